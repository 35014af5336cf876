//! CAF identity attestations, signed with a shared secret.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::playground::platform::kind::{Kind, PlatformTexts, SectionValues, TokenRequest};

pub static CAF: Kind = Kind {
    name: "caf",
    page_header: Some("Authorization"),
    reuse_s: 0,
    published_keys: None,
    may_be_unauthorized: true,
    texts: PlatformTexts {
        brand: "Larkspur Onboarding",
        simulated: "your own page behind CAF",
        slot: "after the identity check",
        token: "identity attestation",
        path: &["identity check", "your page", "marketplace-sso", "marketplace"],
        description: "CAF has checked the person and signs an attestation with the secret that it shares with you. \
                      The page brings it in Authorization. A user who is not authorized is refused, however good \
                      the signature is.",
    },
    claims,
    sections,
};

const POLICY: &str = "policy-1f7c";

fn claims(_issuer: &str, request: &TokenRequest<'_>) -> Value {
    json!({
        "attemptId": Uuid::new_v4(),
        "peopleId": request.person.uuid,
        "policyId": POLICY,
        "isAuthorized": request.is_authorized,
        "isNewContext": false,
        "iat": request.now_s,
        "exp": request.expires_after(120),
    })
}

fn sections(SectionValues { page_origin, client_secret, .. }: &SectionValues<'_>) -> String {
    format!(
        r#"[identity]
kind = "caf"
policy_id = "{POLICY}"
client_secret = "{client_secret}"

[claims]
sub = "id"

[claims.meta]
attempt = "attributes.attempt_id"

[embed]
parents = ["{page_origin}"]
"#
    )
}
