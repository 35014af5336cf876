//! The advice for operators about each reason: on the dashboard, and in `docs/runbook.md`, which a
//! test compares with this file. The texts are inline Markdown; links are relative to `docs/`.

use super::Reason;

/// What usually causes a refusal, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The usual cause.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl Reason {
    /// The advice for operators.
    pub const fn advice(self) -> Advice {
        let (cause, remedy) = match self {
            Self::Unauthenticated => (
                "the session expired; the proxy sends another header than the preset reads; `claims.sub` is empty for this user",
                "log in again; read `detail` in the log, which names another preset's header if one was present; compare the proxy with the [preset table](recipes/README.md#what-every-recipe-does); `mint` with that user's data",
            ),
            Self::InvalidToken => (
                "a token with the wrong issuer, audience or key; an `iat` or `nbf` in the future, because clocks differ; below `/v1` an [API token](api.md) that is wrong, expired or revoked",
                "`inspect` the token; `detail` in the log names the claim; check both clocks; `token list`",
            ),
            Self::ExpiredToken => (
                "a token that was used too late; clocks that differ",
                "log in again; `inspect` the token; check both clocks",
            ),
            Self::AmbiguousIdentity => (
                "an identity header is repeated, has two values, has a variant with `_` or `.`, or is named in `Connection`",
                "let one proxy set it, and overwrite it in place of appending",
            ),
            Self::BadIdentity => (
                "not an e-mail address, control or direction characters, not UTF-8",
                "correct the value at the login",
            ),
            Self::BadLink => (
                "an unknown link parameter, `tenant` in the request, an `integration_id` that is not a number",
                "correct the link as `detail` says, in the log and in the JSON response; `pandium.link_parameters` lists what is passed on",
            ),
            Self::UntrustedPeer => (
                "the proxy's address is not in `identity.trusted_proxies`, or a client bypasses the proxy",
                "compare `peer` in the log; trust it only if it is the proxy",
            ),
            Self::NotAllowed => (
                "`[access]`: domain or group; of [mittwald](platforms.md#mittwald): an extension instance that is unknown, disabled or removed, or a webhook that is old, received before, or for another service",
                "none if intended; otherwise add them; `detail` in the log says which",
            ),
            Self::EmbeddingNotAllowed => (
                "the page around the frame is not in `embed.parents`",
                "see [embedding](embedding.md#policy)",
            ),
            Self::CrossSiteRequest => (
                "a page of another site caused it: a script whose origin is not allowed, an image, a prefetch, a preflight; or its Fetch Metadata is incomplete",
                "see [embedding](embedding.md#policy)",
            ),
            Self::MissingScope => (
                "an API token without the scope that the response names",
                "create a token with it: [scopes](api.md#scopes)",
            ),
            Self::BadRequest => (
                "a program sent an API request with an unknown or invalid parameter, or a [body](links.md#errors) that cannot be read; or `server.public_url` is not set",
                "read `detail` in the response; correct the program: [API](api.md)",
            ),
            Self::BodyTooLarge => (
                "a program sent a body above the limit of its path, such as a [webhook](platforms.md#webhooks) of more than 256 KiB",
                "correct the program",
            ),
            Self::LinkExpired => (
                "a [single-use address](links.md#single-use-addresses) was opened twice or after its 60 seconds, or was truncated; `detail` in the log says which",
                "none; if one user causes many, the page reloads the frame without requesting another address",
            ),
            Self::TooManyRequests => (
                "a limit of [`[limits]`](operating.md#limits), which `detail` in the log names: a frame that is reloaded again and again, or wrong API tokens",
                "correct the page, or the program's token; `detail` names one that expired or was revoked",
            ),
            Self::NotFound => {
                ("an extra slash, a proxy that rewrites the path", "pass the path on unchanged")
            }
            Self::MethodNotAllowed => {
                ("a form or script used POST or HEAD", "use a plain link or frame (GET)")
            }
            Self::MisdirectedRequest => (
                "the request's `Host` is neither that of `server.public_url` nor in `server.hosts`",
                "pass the browser's `Host` on at the proxy; add further names to `server.hosts`",
            ),
            Self::TokenTooLarge => {
                ("the claims are too large", "the log names the largest; see [Sizes](operating.md#sizes)")
            }
            Self::Internal => ("a fault in the service", "report it with the log line of the `request_id`"),
            Self::KeysUnavailable => (
                "fetching the issuer's keys fails; or tokens name unknown keys more often than [they are fetched](tokens.md#fetched-keys)",
                "check the issuer; the service retries on its own",
            ),
            Self::UpstreamUnavailable => (
                "an identity provider or a platform does not respond in time, or its response cannot be used",
                "`detail` in the log says which request failed, and how; check the provider's status, and that this service may connect to it",
            ),
            Self::AuditUnavailable => (
                "the store does not accept audit events, and `audit.on_failure = \"refuse\"`",
                "see the log line \"audit events cannot be stored\"; the service retries on its own",
            ),
            Self::StoreUnavailable => {
                ("the store cannot be read", "see the log; the service tries again with the next request")
            }
            Self::Draining => {
                ("the service is stopping", "none; the load balancer should poll `/readyz` more often")
            }
        };
        Advice { cause, remedy }
    }

    /// The reason with this code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}
