//! Checks the service behind its proxy: whether it responds, whether forged
//! identity headers sign on, whether internal paths are reachable, and whether
//! responses fit into the proxy's buffers.

use reqwest::{Method, Url};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::probe::{FRAME_NAVIGATION, JSON, PAGE, Probe, ProbeError, Response};
use super::snippets::Remedy;
use super::tls::TlsError;
use super::{Finding, Front, Setup, Topic, display_url, is_on_this_machine, sign_in};
use crate::authn::proxy_headers::presets;
use crate::clock::Timestamp;

/// The content of `/embed.json` for an entrance.
#[derive(Debug, Deserialize)]
pub(super) struct EntranceInfo {
    pub marketplace_origin: Url,
    pub login_url: Option<String>,
}

/// The user in forged headers, with a reserved domain (RFC 2606, 2).
const FORGED_USER: &str = "doctor@forged.invalid";

/// The same user as an `X-MS-CLIENT-PRINCIPAL` of Azure: base64 of JSON.
const FORGED_PRINCIPAL: &str = concat!(
    "eyJpZGVudGl0eVByb3ZpZGVyIjoiYWFkIiwidXNlcklkIjoiZG9jdG9yQGZvcmdlZC5pbnZhbGlkIiwidXNlck",
    "RldGFpbHMiOiJkb2N0b3JAZm9yZ2VkLmludmFsaWQiLCJ1c2VyUm9sZXMiOlsiYXV0aGVudGljYXRlZCJdfQ=="
);

/// The clock skew in seconds above which tokens may be rejected.
const MAX_SKEW_S: u64 = 5;

/// The entrance's response to a browser without a login, and the times before
/// and after it.
pub(super) struct FirstResponse {
    page: Response,
    before: Timestamp,
    after: Timestamp,
}

impl FirstResponse {
    /// The proxy that its header fields name.
    pub fn front(&self) -> Option<Front> {
        let server = self.page.header("server").to_ascii_lowercase();
        let via = self.page.header("via").to_ascii_lowercase();
        let is = |name: &str| server.starts_with(name);
        if is("nginx") || is("openresty") {
            Some(Front::Nginx)
        } else if is("caddy") || via.contains("caddy") {
            Some(Front::Caddy)
        } else if is("apache") {
            Some(Front::Apache)
        } else {
            None
        }
    }
}

/// Sends the first request. The error is a finding that explains why every
/// other check would fail.
pub(super) async fn first_response(probe: &Probe, entrance: &Url) -> Result<FirstResponse, Finding> {
    let before = Timestamp::now();
    let page = probe.get(entrance, &[&[PAGE], FRAME_NAVIGATION.as_slice()].concat()).await;
    let page = page.map_err(|error| match error {
        ProbeError::Tls(TlsError { message, is_of_authority }) => {
            let finding = Finding::broken(ENCRYPTION, format!("{}: {message}", display_url(entrance)));
            match entrance.host() {
                Some(host) if is_of_authority => finding.with(Remedy::Certificate(host.to_owned())),
                Some(_) | None => finding,
            }
        }
        ProbeError::Dns(_) => {
            let host = entrance.host_str().unwrap_or_default();
            let port = entrance.port_or_known_default().unwrap_or_default();
            let message = format!(
                "{}: {error}; if DNS does not have it yet, give the proxy's address: --resolve {host}:{port}:ADDRESS",
                display_url(entrance)
            );
            Finding::broken(RESPONSE, message)
        }
        ProbeError::Other(error) => {
            Finding::broken(RESPONSE, format!("{} does not respond: {error}", display_url(entrance)))
        }
    })?;
    let after = Timestamp::now();
    if page.is_gateway_error() {
        // other requests are tried too: a page has no reason code, and perhaps only the login
        // behind the proxy is down
        let others = [(entrance.clone(), JSON), (component_url(entrance), JSON)];
        let mut is_everywhere = true;
        for (url, accept) in others {
            is_everywhere &=
                probe.get(&url, &[accept]).await.is_ok_and(|response| response.is_gateway_error());
        }
        if is_everywhere {
            let message = format!(
                "nothing responds behind the proxy (status {} for every path): start the service, and compare its \
                 server.listen with the proxy's upstream",
                page.status
            );
            return Err(Finding::broken(RESPONSE, message));
        }
    }
    Ok(FirstResponse { page, before, after })
}

const RESPONSE: Topic = Topic::proxy("response");
const ENCRYPTION: Topic = Topic::proxy("encryption");

pub(super) async fn run(
    probe: &Probe,
    setup: &Setup,
    first: FirstResponse,
) -> (Vec<Finding>, Option<EntranceInfo>) {
    let entrance = &setup.entrance;
    let FirstResponse { page, before, after } = first;
    let mut findings = vec![encryption(entrance, &page)];
    findings.push(clock(&page, before, after));
    let json = probe.get(entrance, &[&[JSON], FRAME_NAVIGATION.as_slice()].concat()).await.ok();
    let anonymous = AnonymousResult::of(&page, json.as_ref());
    findings.push(without_login(&page, json.as_ref(), &anonymous));
    findings.push(forged_headers(probe, setup, &anonymous).await);
    findings.push(other_methods(probe, entrance).await);
    findings.push(keys(json.as_ref()));
    findings.extend(sign_in::run(probe, entrance, json.as_ref()).await);
    findings.push(internal_paths(probe, entrance).await);
    match entrance_info(probe, entrance).await {
        Ok(info) => {
            findings.push(marketplace(probe, &info).await);
            if info.login_url.is_none() {
                let message = "embed.login_url is empty, so a page whose login has expired cannot start a new one; set it";
                let remedy = Remedy::Setting("[embed]\nlogin_url = \"https://…\"".to_owned());
                findings.push(Finding::warning(Topic::frame("login"), message).with(remedy));
            }
            (findings, Some(info))
        }
        Err(finding) => {
            findings.push(finding);
            (findings, None)
        }
    }
}

/// The result of a request without a login and without forged headers.
enum AnonymousResult {
    /// No identity, as intended.
    Unauthenticated,
    /// The proxy adds an identity, and the user is signed on.
    SignedOn,
    /// The proxy adds an identity, and the user is refused for this reason.
    Refused(String),
    /// Another response, of the proxy or of the service.
    Unknown,
}

/// Reasons for which an authenticated user is refused.
const REASONS_AFTER_AUTHENTICATION: [&str; 3] = ["not_allowed", "bad_identity", "token_too_large"];

impl AnonymousResult {
    fn of(page: &Response, json: Option<&Response>) -> Self {
        if page.is_hand_off() || json.is_some_and(Response::is_hand_off) {
            return Self::SignedOn;
        }
        match json.and_then(Response::reason) {
            Some(reason) if reason == "unauthenticated" => Self::Unauthenticated,
            Some(reason) if REASONS_AFTER_AUTHENTICATION.contains(&reason.as_str()) => Self::Refused(reason),
            Some(_) | None => Self::Unknown,
        }
    }
}

fn encryption(entrance: &Url, response: &Response) -> Finding {
    if entrance.scheme() != "https" {
        return if is_on_this_machine(entrance) {
            Finding::skipped(ENCRYPTION, "http, on this machine; from another machine it must be https")
        } else {
            Finding::broken(ENCRYPTION, "the URL is not https: tokens can be read on the network")
        };
    }
    if response.header("strict-transport-security").is_empty() {
        return Finding::warning(
            ENCRYPTION,
            "https, without Strict-Transport-Security: have the proxy add \
             \"max-age=31536000\", so that browsers never try http",
        )
        .with(Remedy::StrictTransportSecurity);
    }
    Finding::ok(ENCRYPTION, "https, with Strict-Transport-Security")
}

fn clock(response: &Response, before: Timestamp, after: Timestamp) -> Finding {
    const TOPIC: Topic = Topic::keys("clock");
    // an RFC 9110 date differs from an RFC 2822 date only in the zone
    let date = response.header("date").replace("GMT", "+0000");
    let date =
        OffsetDateTime::parse(&date, &Rfc2822).ok().and_then(|date| date.unix_timestamp().try_into().ok());
    let Some(date) = date.map(Timestamp::from_unix_seconds) else {
        return Finding::skipped(TOPIC, "the response has no Date");
    };
    let skew_s = before.seconds_since(date).max(date.seconds_since(after));
    if skew_s > MAX_SKEW_S {
        let message = format!(
            "the clocks of the server and of this machine differ by {skew_s} s; tokens contain times"
        );
        return Finding::warning(TOPIC, message);
    }
    Finding::ok(TOPIC, "the clocks of the server and of this machine agree")
}

/// What a frame shows when the login has expired.
fn without_login(page: &Response, json: Option<&Response>, anonymous: &AnonymousResult) -> Finding {
    const TOPIC: Topic = Topic::proxy("no login");
    match anonymous {
        AnonymousResult::SignedOn => {
            let message =
                "EVERY REQUEST IS SIGNED ON, without any login: find out where the identity comes from";
            return Finding::broken(TOPIC, message);
        }
        AnonymousResult::Refused(reason) => {
            let message = format!(
                "every request has an identity, without any login, and is refused only as {reason}: where does the \
                 identity come from?"
            );
            return Finding::broken(TOPIC, message);
        }
        AnonymousResult::Unauthenticated | AnonymousResult::Unknown => {}
    }
    let is_ours = matches!(anonymous, AnonymousResult::Unauthenticated);
    match page.status {
        401 if is_ours => Finding::ok(TOPIC, "without a login the service's own page is shown (401)"),
        200..=299 => Finding::broken(
            TOPIC,
            "without a login the entrance responds with a page that is not the service's: the request does not reach \
             it, or the proxy adds an identity. Is the entrance's location in the server block that the proxy uses?",
        ),
        301..=303 | 307 | 308 => Finding::warning(
            TOPIC,
            format!(
                "without a login the browser is redirected to {}: identity providers refuse to be framed; pass \
                 the request on without an identity instead",
                host_or_placeholder(&page.header("location"))
            ),
        )
        .with(Remedy::PassSignedOut),
        status if json.is_some_and(Response::is_gateway_error) => {
            let message = format!("the proxy responds with {status}: start the login proxy, and run doctor again");
            Finding::broken(TOPIC, message)
        }
        status => Finding::warning(
            TOPIC,
            format!(
                "without a login the proxy responds with {status} itself; pass the request on, so that the service's \
                 page is shown"
            ),
        )
        .with(Remedy::PassSignedOut),
    }
}

/// The URL of an entrance's `/embed.json`.
fn component_url(entrance: &Url) -> Url {
    let mut url = entrance.clone();
    url.set_path("/embed.json");
    url.query_pairs_mut().clear().append_pair("entrance", entrance.path());
    url
}

async fn entrance_info(probe: &Probe, entrance: &Url) -> Result<EntranceInfo, Finding> {
    const TOPIC: Topic = Topic::proxy("entrance");
    let url = component_url(entrance);
    let unreadable = |why: String| {
        let message = format!(
            "{} cannot be read ({why}), which the component needs: pass /embed.js and /embed.json on to the \
             service, without a login; and write the entrance's path exactly, without a trailing slash",
            display_url(&url)
        );
        Err(Finding::warning(TOPIC, message).with(Remedy::PassComponent))
    };
    let response = match probe.get(&url, &[]).await {
        Ok(response) if response.status == 200 => response,
        Ok(response) => return unreadable(format!("status {}", response.status)),
        Err(error) => return unreadable(error.to_string()),
    };
    let info = serde_json::from_str::<EntranceInfo>(&response.body).ok();
    match info.filter(|info| matches!(info.marketplace_origin.scheme(), "https" | "http")) {
        Some(info) => Ok(info),
        None => unreadable("the response is not the service's".to_owned()),
    }
}

/// Forges the identity headers of each preset in turn, since together they would
/// contradict each other, and those named by the caller.
async fn forged_headers(probe: &Probe, setup: &Setup, anonymous: &AnonymousResult) -> Finding {
    let of_presets = presets::ALL.iter().map(|preset| preset.fields.iter().map(|(_, name)| *name).collect());
    let own = setup.identity_headers.iter().map(String::as_str).collect();
    let mut worst: Option<Finding> = None;
    for names in of_presets.chain([own]).filter(|names: &Vec<&str>| !names.is_empty()) {
        let finding = forged_set(probe, &setup.entrance, &names, anonymous).await;
        if worst.as_ref().is_none_or(|worst| finding.severity > worst.severity) {
            worst = Some(finding);
        }
    }
    worst.unwrap_or_else(|| Finding::skipped(FORGED, "there are no headers to forge"))
}

async fn forged_set(probe: &Probe, entrance: &Url, names: &[&str], anonymous: &AnonymousResult) -> Finding {
    let value = |name: &str| if name.ends_with("client-principal") { FORGED_PRINCIPAL } else { FORGED_USER };
    let mut headers: Vec<(&str, &str)> = names.iter().map(|name| (*name, value(name))).collect();
    headers.extend(FRAME_NAVIGATION);
    headers.extend([JSON, ("X-Forwarded-For", "127.0.0.1")]);
    let response = match probe.get(entrance, &headers).await {
        Ok(response) => response,
        Err(error) => return Finding::warning(FORGED, format!("no response: {error}")),
    };
    let first = names.first().copied().unwrap_or_default();
    let direct = if is_on_this_machine(entrance) {
        ". If this is the service itself, run doctor on the proxy's address"
    } else {
        ""
    };
    let remedy = format!(
        "a client's own {first} is accepted. Have the proxy overwrite it on every request, and let no other \
         client connect to the service{direct}"
    );
    let overwrite = || Remedy::Overwrite(names.iter().map(|name| (*name).to_owned()).collect());
    let is_always_identified = matches!(anonymous, AnonymousResult::SignedOn | AnonymousResult::Refused(_));
    match response.reason().as_deref() {
        _ if response.is_hand_off_of(FORGED_USER) => {
            Finding::broken(FORGED, format!("ANY CLIENT CAN SIGN ON AS ANY USER: {remedy}")).with(overwrite())
        }
        // the response is the same without these headers, so the identity does not come from them
        reason
            if is_always_identified
                && (response.is_hand_off() || reason.is_some_and(is_after_authentication)) =>
        {
            Finding::skipped(
                FORGED,
                "unknown: every request has an identity already; correct that first, and run doctor again",
            )
        }
        _ if response.is_hand_off() => {
            Finding::broken(FORGED, format!("A CLIENT WITHOUT A LOGIN IS SIGNED ON: {remedy}")).with(overwrite())
        }
        // the forged user was authenticated, and refused only by authorization
        Some(reason) if is_after_authentication(reason) => Finding::broken(
            FORGED,
            format!("A FORGED USER IS REFUSED ONLY BY AUTHORIZATION ({reason}): {remedy}"),
        )
        .with(overwrite()),
        Some("ambiguous_identity") => Finding::warning(
            FORGED,
            format!(
                "a client's own {first} reaches the service, which refuses it in addition to the proxy's: have the \
                 proxy overwrite it"
            ),
        )
        .with(overwrite()),
        _ if response.is_gateway_error() => {
            Finding::skipped(FORGED, format!("unknown: the proxy responds with {}", response.status))
        }
        _ => Finding::ok(
            FORGED,
            format!("a client's own identity headers do not sign on ({})", response.status),
        ),
    }
}

const FORGED: Topic = Topic::proxy("forged headers");

fn is_after_authentication(reason: &str) -> bool {
    REASONS_AFTER_AUTHENTICATION.contains(&reason)
}

async fn other_methods(probe: &Probe, entrance: &Url) -> Finding {
    const TOPIC: Topic = Topic::proxy("methods");
    match probe.send(Method::POST, entrance, &[]).await {
        Ok(response) if response.is_hand_off() => {
            Finding::broken(TOPIC, "a POST is redirected to the marketplace with its body")
        }
        Ok(response) => Finding::ok(TOPIC, format!("a POST is not redirected ({})", response.status)),
        Err(error) => Finding::skipped(TOPIC, format!("no response: {error}")),
    }
}

/// Whether the service has the keys of its issuers.
fn keys(json: Option<&Response>) -> Finding {
    const TOPIC: Topic = Topic::keys("fetched keys");
    match json.and_then(Response::reason).as_deref() {
        Some(reason @ ("keys_unavailable" | "upstream_unavailable")) => Finding::broken(
            TOPIC,
            format!(
                "the service cannot fetch the keys that verify users ({reason}): see its log for the URL, and let \
                 it connect there"
            ),
        ),
        Some(_) => Finding::ok(TOPIC, "the service has all keys"),
        None => Finding::skipped(TOPIC, "unknown: the service did not respond itself"),
    }
}

async fn marketplace(probe: &Probe, info: &EntranceInfo) -> Finding {
    const TOPIC: Topic = Topic::frame("marketplace");
    let origin = info.marketplace_origin.origin().ascii_serialization();
    match probe.get(&info.marketplace_origin, &[]).await {
        Ok(response) => Finding::ok(TOPIC, format!("{origin} responds ({})", response.status)),
        Err(error) => Finding::warning(TOPIC, format!("{origin} does not respond to this machine: {error}")),
    }
}

/// Checks that only operators can reach metrics and health details.
async fn internal_paths(probe: &Probe, entrance: &Url) -> Finding {
    const TOPIC: Topic = Topic::proxy("internal paths");
    let url_of = |path: &str| {
        let mut url = entrance.clone();
        url.set_path(path);
        url.set_query(None);
        url
    };
    if let Ok(response) = probe.get(&url_of("/metrics"), &[]).await
        && response.status == 200
        && response.body.contains("marketplace_sso_requests")
    {
        let message = "/metrics can be read from outside: pass only the entrances and /embed… on";
        return Finding::broken(TOPIC, message).with(Remedy::HideInternalPaths);
    }
    match probe.get(&url_of("/readyz"), &[]).await {
        Ok(response) if response.status == 200 && response.body.contains("\"version\"") => Finding::warning(
            TOPIC,
            "/readyz can be read from outside and shows the version: pass only the entrances and /embed… on",
        )
        .with(Remedy::HideInternalPaths),
        _ => Finding::ok(TOPIC, "health and metrics cannot be read from outside"),
    }
}

/// The host of a URL, whose other parts may hold secrets.
fn host_or_placeholder(url: &str) -> String {
    Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "another host".into())
}
