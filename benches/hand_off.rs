//! Duration of a hand-off and its stages. `cargo bench --bench hand_off`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark may fail loudly"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use marketplace_sso::authn::{AuthRequest, Authentication};
use marketplace_sso::clock::Timestamp;
use marketplace_sso::config::Config;
use marketplace_sso::jwt::sign::SigningKey;
use marketplace_sso::pandium::{Claims, Link};
use marketplace_sso::request::{Headers, Peer};
use marketplace_sso::secret::SharedSecret;
use marketplace_sso::session::{Session, SessionId};
use marketplace_sso::sign_on::SignOnRequest;
use marketplace_sso::user::{Email, Identifier, Label, User};
use serde_json::json;
use uuid::Uuid;

const CONFIG: &str = r#"
environment = "sandbox"
[pandium]
account = "acme"
shared_secret = "0123456789abcdef0123456789abcdef"
[identity]
preset = "auth_request"
trusted_proxies = ["127.0.0.1/32"]
[embed]
parents = ["https://app.example.com"]
"#;

const HEADERS: [(&str, &str); 12] = [
    ("host", "app.example.com"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.9"),
    ("accept-encoding", "gzip, deflate, br"),
    ("cookie", "session=abcdef"),
    ("sec-fetch-dest", "iframe"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-site"),
    ("referer", "https://app.example.com/integrations"),
    ("x-auth-request-email", "alice@example.com"),
    ("x-auth-request-user", "user-4211"),
];

fn hand_off(criterion: &mut Criterion) {
    let config = Config::from_toml(CONFIG).expect("a valid configuration");
    let entrance = config.entrances.first().expect("there is an entrance");
    let headers: Headers<'_> = HEADERS.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let request = AuthRequest {
        peer: Peer::from_ip([127, 0, 0, 1].into()),
        path: None,
        headers: &headers,
        query: "",
        received: Timestamp::from_unix_seconds(1_621_521_641),
        fetched: None,
    };
    let secret = SharedSecret::parse("0123456789abcdef0123456789abcdef").unwrap();
    let key = SigningKey::new(&secret);
    let (jti, now, link) = (Uuid::new_v4(), Timestamp::from_unix_seconds(1_621_521_641), Link::default());
    let Authentication::User(user) = entrance.authenticator.authenticate(request, now) else {
        panic!("the user is authenticated")
    };
    let token_claims = json!({"iat": 1_621_521_641, "jti": jti, "sub": "alice@example.com",
        "external_id": "user-4211", "ti": {"uem": "alice@example.com"}});
    let interpreted = Claims::compile(&json!({"sub": "email|lower"})).unwrap();
    let looked_up = Claims::compile(&json!({"sub": "email"})).unwrap();

    let mut group = criterion.benchmark_group("hand_off");
    group.bench_function("user to signed URL", |bencher| {
        bencher.iter(|| entrance.hand_off(black_box(&user), &link, jti, now).unwrap());
    });
    group.bench_function("whole sign-on, from headers", |bencher| {
        bencher.iter(|| {
            let sign_on = SignOnRequest {
                auth: request,
                query: black_box("integration_id=1121&display=settings"),
                install: None,
            };
            entrance.decide(&sign_on, Uuid::new_v4(), now, None).0.outcome.unwrap()
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("stages");
    group.bench_function("identity", |bencher| {
        bencher.iter(|| entrance.authenticator.authenticate(black_box(request), now))
    });
    group.bench_function("embed", |bencher| {
        bencher.iter(|| entrance.embed.check_embedding(black_box(&headers)))
    });
    group.bench_function("link", |bencher| {
        let rules = entrance.marketplace.links();
        bencher.iter(|| rules.parse(black_box("integration_id=1121&display=settings"), None));
    });
    group.bench_function("claim by lookup", |bencher| {
        bencher.iter(|| looked_up.evaluate(black_box(&user)).is_ok())
    });
    group.bench_function("claim by interpreter", |bencher| {
        bencher.iter(|| interpreted.evaluate(black_box(&user)).is_ok())
    });
    group.bench_function("sign", |bencher| bencher.iter(|| key.sign(black_box(&token_claims)).unwrap()));
    group.bench_function("sign, by jsonwebtoken", |bencher| {
        let (header, key) =
            (jsonwebtoken::Header::default(), jsonwebtoken::EncodingKey::from_secret(secret.expose_bytes()));
        bencher.iter(|| jsonwebtoken::encode(&header, black_box(&token_claims), &key).unwrap());
    });
    group.finish();
}

/// The hand-off of a user with a session cookie, to compare it with the one by headers.
fn session(criterion: &mut Criterion) {
    let by_session =
        CONFIG.replace("[pandium]", "[server]\npublic_url = \"https://app.example.com\"\n[pandium]").replace(
            "preset = \"auth_request\"\ntrusted_proxies = [\"127.0.0.1/32\"]",
            "kind = \"oidc\"\nissuer = \"https://id.example.com\"\nclient_id = \"marketplace-sso\"",
        );
    let config = format!("{by_session}\n[session]\nkey = \"a-key-of-sessions-0123456789abcdef\"\n");
    let config = Config::from_toml(&config).expect("a valid configuration");
    let entrance = config.entrances.first().expect("there is an entrance");
    let sign_in = entrance.authenticator.sign_in().expect("users sign in");
    let now = Timestamp::from_unix_seconds(1_621_521_641);
    let claims = json!({"iss": "https://id.example.com", "sub": "user-4211", "aud": "marketplace-sso",
        "exp": 1_621_525_241, "iat": 1_621_521_641, "nonce": "n-0S6_WzA2Mjn-0S6_WzA2Mjn-0S6_WzA2Mj",
        "email": "alice@example.com", "name": "Alice", "sid": "0b8a21f4-53d1-44c1-95a4-0c1f9f7f3c3e"});
    let user = User {
        id: Identifier::parse("user-4211").ok(),
        email: Email::parse("alice@example.com").ok(),
        name: Label::parse("Alice").ok(),
        token: serde_json::from_value(claims).unwrap(),
        ..User::default()
    };
    let id = SessionId::random().unwrap();
    let session = Session {
        id,
        sign_in: id,
        created: now,
        authenticated: None,
        used: now,
        refreshed: now,
        issuer: "https://id.example.com".into(),
        subject: "user-4211".into(),
        sid: Some("0b8a21f4-53d1-44c1-95a4-0c1f9f7f3c3e".into()),
        nonce: String::new(),
        refresh_token: None,
        user,
    };
    let cookie = sign_in.sessions.set(&session).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let fields = HEADERS.iter().filter(|(name, _)| !name.starts_with("x-auth") && *name != "cookie");
    let fields = fields.map(|(name, value)| (*name, value.as_bytes()));
    let headers: Headers<'_> = fields.chain([("cookie", cookie.as_bytes())]).collect();
    let request = AuthRequest {
        peer: Peer::from_ip([127, 0, 0, 1].into()),
        path: None,
        headers: &headers,
        query: "",
        received: now,
        fetched: None,
    };
    let mut group = criterion.benchmark_group("hand_off");
    group.bench_function("whole sign-on, from a session", |bencher| {
        bencher.iter(|| {
            let sign_on = SignOnRequest {
                auth: request,
                query: black_box("integration_id=1121&display=settings"),
                install: None,
            };
            entrance.decide(&sign_on, Uuid::new_v4(), now, None).0.outcome.unwrap()
        });
    });
    group.finish();
    let mut group = criterion.benchmark_group("stages");
    group.bench_function("identity, by a session", |bencher| {
        bencher.iter(|| entrance.authenticator.authenticate(black_box(request), now))
    });
    group.finish();
}

criterion_group!(benches, hand_off, session);
criterion_main!(benches);
