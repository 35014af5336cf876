//! Fuzz targets. Each function takes arbitrary bytes and panics if an invariant is
//! violated. `make fuzz` searches for such input; `make test` runs every input in
//! `corpus`.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use marketplace_sso::authn::mittwald::{Delivery, Expected, Handling, PublicKey, WebhookSignature};
use marketplace_sso::authn::oidc::AuthorizationResponse;
use marketplace_sso::authn::{AuthRequest, Authentication, Authenticator, Vendor};
use marketplace_sso::clock::Timestamp;
use marketplace_sso::config::Config;
use marketplace_sso::jwt::compact::Compact;
use marketplace_sso::jwt::jwks::KeySource;
use marketplace_sso::jwt::key_set::{KeySet, parse_algorithm};
use marketplace_sso::jwt::verify::verify_hs256;
use marketplace_sso::playground::stand_ins::{Signer, key_set};
use marketplace_sso::request::{Headers, Peer};
use marketplace_sso::secret::SharedSecret;
use marketplace_sso::user::{Email, Identifier};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const ALL: [(&str, Target); 10] = [
    ("token", token),
    ("key_set", keys),
    ("authenticate_proxy_headers", |data| authenticate("pandium-sso", data)),
    ("authenticate_bearer", |data| authenticate("bearer", data)),
    ("authenticate_appdirect", |data| authenticate("appdirect", data)),
    ("authenticate_commercetools", |data| authenticate("commercetools", data)),
    ("authenticate_caf", |data| authenticate("caf", data)),
    ("authenticate_aws_alb", |data| authenticate("aws_alb", data)),
    ("mittwald_webhook", webhook),
    ("authorization_response", authorization_response),
];

/// The shared secret of all entrances that use one.
const SECRET: &str = "what-the-fuzzer-and-the-service-share";

/// The time of every request.
const NOW: u64 = 1_600_000_000;

/// A token is parsed or rejected; the parsed parts are those of the input.
pub fn token(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(parts) = Compact::parse(text) {
        assert_eq!(format!("{}.{}", parts.signed, parts.signature), text);
        assert_eq!(text.matches('.').count(), 2);
    }
    if let Ok(parts) = Compact::parse_padded(text) {
        assert!(text.starts_with(parts.signed));
    }
    if let Ok(secret) = SharedSecret::parse(SECRET) {
        assert!(verify_hs256(text, &secret).is_err(), "only the holder of the secret can sign");
    }
}

/// A key set is accepted or rejected, and never contains a secret.
pub fn keys(data: &[u8]) {
    let sets = [KeySet::from_jwks(data).ok(), KeySet::from_pem(data).ok()];
    for set in sets.into_iter().flatten() {
        for algorithm in ["HS256", "HS384", "HS512"].iter().filter_map(|name| parse_algorithm(name)) {
            assert!(!set.supports(algorithm), "a public key never supports HMAC");
        }
    }
}

/// Authentication is deterministic, and the user's fields are valid.
pub fn authenticate(entrance: &str, data: &[u8]) {
    match (authentication(entrance, data), authentication(entrance, data)) {
        (Authentication::User(user), Authentication::User(again)) => {
            assert_eq!(user, again);
            if let Some(email) = &user.email {
                assert_eq!(Email::parse(email.as_str()).as_ref(), Ok(email));
            }
            for id in [&user.id, &user.username, &user.organization.id].into_iter().flatten() {
                assert_eq!(Identifier::parse(id.as_str()).as_ref(), Ok(id));
            }
        }
        (Authentication::NoCredentials, Authentication::NoCredentials) => {}
        (Authentication::Rejected(refusal), Authentication::Rejected(again)) => assert_eq!(refusal, again),
        (one, other) => panic!("{one:?} the first time, {other:?} the second"),
    }
}

/// The result of an entrance for a request.
///
/// The first line is a token's header, the second its claims, and they are
/// signed as the entrance expects; the remaining lines are header fields. A first
/// line that starts with `!` is the token itself.
pub fn authentication(entrance: &str, data: &[u8]) -> Authentication {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let (_, issuer) = ENTRANCES.iter().find(|(name, _)| name == entrance).expect("a known entrance");
    let token = match first.strip_prefix('!') {
        Some(token) => token.to_owned(),
        None => issuer.sign(&first, &String::from_utf8_lossy(lines.next().unwrap_or_default())),
    };
    let mut fields = issuer.authenticator.headers_for_token(&token, &serde_json::Map::new());
    for line in lines {
        let line = String::from_utf8_lossy(line);
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let headers: Headers<'_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let peer = Peer::from_ip([127, 0, 0, 1].into());
    let now = Timestamp::from_unix_seconds(NOW);
    let offer =
        AuthRequest { peer, path: Some("/x"), headers: &headers, query: "", received: now, fetched: None };
    issuer.authenticator.authenticate(offer, now)
}

/// A webhook without a valid signature is refused; a signed one is refused, or is meant for this
/// service.
pub fn webhook(data: &[u8]) {
    let (fields, body) = split_webhook(data);
    let headers: Headers<'_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    if let Ok(signature) = WebhookSignature::read(&headers) {
        let serial = signature.serial().to_string();
        assert!(serial.len() == 36 && serial.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
        assert!(signature.verify(body, &WEBHOOK_KEY.1).is_err(), "only the holder of the key can sign");
    }
    assert_eq!(webhook_handling(data), webhook_handling(data));
}

/// The handling of a webhook, signed as mittwald signs it. The lines before the first empty line
/// are its header fields; `query: …` is the query of its request; the rest is its body.
pub fn webhook_handling(data: &[u8]) -> Option<Handling> {
    let (fields, body) = split_webhook(data);
    let query = fields.iter().find(|(name, _)| name == "query").map_or("", |(_, query)| query.as_str());
    let (signer, key) = &*WEBHOOK_KEY;
    let signature = STANDARD.encode(signer.signature(body).expect("a signature"));
    let signed = [
        ("x-marketplace-signature", signature.as_str()),
        ("x-marketplace-signature-serial", EXTENSION),
        ("x-marketplace-signature-algorithm", "Ed25519"),
    ];
    let headers: Headers<'_> = signed.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let signature = WebhookSignature::read(&headers).expect("valid header fields");
    let delivery = Delivery::parse(signature.verify(body, key).expect("a valid signature")).ok()?;
    let extension = EXTENSION.parse().expect("a UUID");
    let (age, ahead) = (Duration::from_secs(86_400), Duration::from_secs(60));
    let expected = Expected {
        url: "https://sso.example.com/mittwald/webhooks",
        query,
        extension_ids: &[extension],
        max_age: age,
        max_ahead: ahead,
    };
    let now = Timestamp::from_unix_seconds(NOW);
    let handling = delivery.check(&expected, now).ok()?;
    assert_eq!(delivery.extension_id, extension);
    assert!(now.time_since(delivery.created_at) <= age && delivery.created_at.time_since(now) <= ahead);
    Some(handling)
}

/// An authorization response has a code or an error, each parameter once, and visible characters only.
pub fn authorization_response(data: &[u8]) {
    let Ok(query) = str::from_utf8(data) else { return };
    let Ok(response) = AuthorizationResponse::parse(query) else { return };
    assert!(response.code.is_some() != response.error.is_some());
    let written = [("code", response.code), ("state", response.state), ("iss", response.iss)];
    for (name, value) in written.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        assert!(!value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let sent = url::form_urlencoded::parse(data).filter(|(own, _)| own == name).collect::<Vec<_>>();
        assert!(sent.len() == 1 && sent.iter().all(|(_, own)| *own == value), "{name}");
    }
}

fn split_webhook(data: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let end = data.windows(2).position(|end| end == b"\n\n");
    let (head, body) = end.map_or((&b""[..], data), |end| (&data[..end], &data[end + 2..]));
    let head = String::from_utf8_lossy(head);
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    (fields.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())).collect(), body)
}

/// An entrance's authenticator and the signer of its tokens.
struct Issuer {
    authenticator: Authenticator,
    signer: Arc<Signer>,
    is_padded: bool,
}

impl Issuer {
    fn sign(&self, header: &str, claims: &str) -> String {
        if self.is_padded {
            let text = format!("{}.{}", URL_SAFE.encode(header), URL_SAFE.encode(claims));
            let signature = self.signer.signature(text.as_bytes()).expect("a signature");
            return format!("{text}.{}", URL_SAFE.encode(signature));
        }
        self.signer.sign(header, claims).expect("a signature")
    }
}

/// All configured entrances, with static keys instead of fetched ones.
static ENTRANCES: LazyLock<Vec<(String, Issuer)>> = LazyLock::new(|| entrances().expect("entrances"));

fn entrances() -> anyhow::Result<Vec<(String, Issuer)>> {
    let shared = Arc::new(Signer::shared(SECRET.as_bytes()));
    let rsa = Arc::new(Signer::new("RS256")?);
    let ec = Arc::new(Signer::new("ES256")?);
    let config = Config::from_toml(&CONFIGURATION.replace("SECRET", SECRET))
        .map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let entrances = config.entrances.into_iter().map(|entrance| {
        let mut authenticator = entrance.authenticator;
        let Authenticator::Token(token) = &mut authenticator else {
            return Ok((
                entrance.name,
                Issuer { authenticator, signer: Arc::clone(&shared), is_padded: false },
            ));
        };
        let signer = match token.vendor {
            Vendor::Commercetools(_) => &rsa,
            Vendor::AwsAlb(_) => &ec,
            Vendor::Standard | Vendor::Caf => &shared,
        };
        let is_padded = matches!(token.vendor, Vendor::AwsAlb(_));
        for keys in token.keys.iter_mut().filter(|keys| keys.source.published().is_some()) {
            keys.source = static_keys(signer, is_padded.then_some(KEY_ID))?;
        }
        let signer = Arc::clone(signer);
        Ok((entrance.name, Issuer { authenticator, signer, is_padded }))
    });
    entrances.collect()
}

fn static_keys(signer: &Signer, kid: Option<&str>) -> anyhow::Result<KeySource> {
    let set = key_set(&[signer.jwk(kid)?]);
    Ok(KeySource::Static(KeySet::from_jwks(set.as_bytes())?))
}

/// The key that signs webhooks.
static WEBHOOK_KEY: LazyLock<(Signer, PublicKey)> = LazyLock::new(|| {
    let signer = Signer::new("EdDSA").expect("a key");
    let key = PublicKey::parse(signer.public().expect("a public key")).expect("a public key");
    (signer, key)
});

/// The extension, and the serial of the key.
const EXTENSION: &str = "018f2c4e-0000-7000-8000-000000000001";

/// The `kid` of the load balancers' only key.
const KEY_ID: &str = "0f5a3c58-7f0e-4a4e-9a3e-2c9ff1f2a001";

const CONFIGURATION: &str = r#"
environment = "sandbox"
[pandium]
account = "acme"
shared_secret = "0123456789abcdef0123456789abcdef"
[claims]
sub = "id or email"
[identity]
kind = "proxy_headers"
preset = "authelia"
trusted_proxies = ["127.0.0.1/32"]
[entrances.bearer]
path = "/bearer"
[entrances.bearer.identity]
kind = "bearer"
issuer = "i"
audience = ["a"]
algorithms = ["HS256"]
shared_secret = "SECRET"
[entrances.bearer.identity.user]
name = "given_name ~ ' ' ~ family_name"
groups = "realm_access.roles"
attributes.plan = "custom['plan'] or 'free'"
[entrances.appdirect]
path = "/appdirect"
[entrances.appdirect.identity]
kind = "appdirect"
marketplace_url = "https://marketplace.example.com"
tenant = "t"
algorithms = ["HS256"]
shared_secret = "SECRET"
[entrances.commercetools]
path = "/commercetools"
[entrances.commercetools.identity]
kind = "commercetools"
issuer = "gcp-eu"
infer_issuer = true
public_origin = "https://sso.example.com"
[entrances.caf]
path = "/caf"
[entrances.caf.identity]
kind = "caf"
client_secret = "SECRET"
policy_id = "p"
[entrances.aws_alb]
path = "/aws_alb"
[entrances.aws_alb.identity]
kind = "aws_alb"
load_balancers = ["arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/1"]
client = "c"
issuer = "i"
"#;
