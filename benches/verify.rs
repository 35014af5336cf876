//! Verifying a token compared with the bare signature check of the crypto library: the
//! difference is strict parsing, key lookup and claims validation.
//! `cargo bench --bench verify`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may fail loudly")]

use std::hint::black_box;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use criterion::{Criterion, criterion_group, criterion_main};
use marketplace_sso::clock::Timestamp;
use marketplace_sso::jwt::key_set::{KeySet, MissingKid, parse_algorithm};
use marketplace_sso::jwt::token_type::DEFAULT_TYPES;
use marketplace_sso::jwt::verify::{Audience, IssuedAt, Validation, verify};
use marketplace_sso::playground::stand_ins::Signer;
use marketplace_sso::secret::SharedSecret;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The crypto library's verification of message and signature.
type BareVerify = Box<dyn Fn(&[u8], &[u8])>;

/// A signer, its keys, and the crypto library's verification with them.
struct Issuer {
    signer: Signer,
    keys: KeySet,
    bare: BareVerify,
}

const CLAIMS: &str = r#"{"iss":"https://login.example.com/","aud":"marketplace-sso","sub":"user-4211",
    "email":"alice@example.com","name":"Alice","groups":["staff","buyers"],"iat":1600000000,"exp":1600000300}"#;

fn issuers() -> Vec<Issuer> {
    let published = |algorithm: &'static str, bare: &'static dyn VerificationAlgorithm| {
        let signer = Signer::new(algorithm).unwrap();
        let keys = KeySet::from_pem(signer.pem().unwrap().as_bytes()).unwrap();
        let key = UnparsedPublicKey::new(bare, signer.public().unwrap().to_vec());
        let bare: BareVerify = Box::new(move |message, signature| key.verify(message, signature).unwrap());
        Issuer { signer, keys, bare }
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let shared = Issuer {
        signer: Signer::shared(SECRET.as_bytes()),
        keys: KeySet::from_shared_secret(&SharedSecret::parse(SECRET).unwrap()),
        bare: Box::new(move |message, signature| hmac::verify(&key, message, signature).unwrap()),
    };
    vec![
        shared,
        published("RS256", &signature::RSA_PKCS1_2048_8192_SHA256),
        published("ES256", &signature::ECDSA_P256_SHA256_FIXED),
        published("EdDSA", &signature::ED25519),
    ]
}

fn verify_token(criterion: &mut Criterion) {
    for Issuer { signer, keys, bare } in issuers() {
        let name = signer.algorithm();
        let token = signer.sign(&format!(r#"{{"alg":"{name}","typ":"JWT"}}"#), CLAIMS).unwrap();
        let (signed, _) = token.rsplit_once('.').unwrap();
        let signature = signer.signature(signed.as_bytes()).unwrap();
        let validation = Validation {
            algorithms: vec![parse_algorithm(name).unwrap()],
            types: DEFAULT_TYPES.to_vec(),
            missing_kid: MissingKid::OnlyKey,
            issuer: Some("https://login.example.com/".to_owned()),
            audience: Audience::OneOf(vec!["marketplace-sso".to_owned()]),
            issued_at: IssuedAt::Required,
            leeway_s: 0,
            required_claims: Vec::new(),
            person_claim: None,
            subject: Some("sub"),
        };
        let now = Timestamp::from_unix_seconds(1_600_000_010);

        let mut group = criterion.benchmark_group(name);
        group.bench_function("bare signature", |bencher| {
            bencher.iter(|| bare(black_box(signed.as_bytes()), &signature));
        });
        group.bench_function("whole token", |bencher| {
            bencher.iter(|| verify(black_box(&token), &validation, &keys, now).unwrap());
        });
        group.finish();
    }
}

criterion_group!(benches, verify_token);
criterion_main!(benches);
