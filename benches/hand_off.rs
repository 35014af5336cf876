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
use marketplace_sso::sign_on::SignOnRequest;
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

criterion_group!(benches, hand_off);
criterion_main!(benches);
