//! What believing a token costs beside the bare signature check of the crypto
//! library: reading it strictly, finding the key, checking the claims.
//! `cargo bench --bench verify`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may fail loudly")]

use std::hint::black_box;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use criterion::{Criterion, criterion_group, criterion_main};
use jsonwebtoken::Algorithm;
use marketplace_sso::clock::Moment;
use marketplace_sso::jwt::keys::{KeySet, WithoutKeyId};
use marketplace_sso::jwt::verify::{Audience, IssuedAt, Rules, verify};

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key pair, seen from both sides.
struct Issuer {
    name: &'static str,
    algorithm: Algorithm,
    bare: &'static dyn VerificationAlgorithm,
    public: Vec<u8>,
    der: Vec<u8>,
    sign: Sign,
}

const CLAIMS: &str = r#"{"iss":"https://login.example.com/","aud":"marketplace-sso","sub":"user-4211",
    "email":"alice@example.com","name":"Alice","groups":["staff","buyers"],"iat":1600000000,"exp":1600000300}"#;

fn issuers() -> Vec<Issuer> {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let ec = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let ed = Ed25519KeyPair::generate().unwrap();
    let der = |key: PublicKeyX509Der<'_>| key.as_ref().to_vec();
    vec![
        Issuer {
            name: "RS256",
            algorithm: Algorithm::RS256,
            bare: &signature::RSA_PKCS1_2048_8192_SHA256,
            public: rsa.public_key().as_ref().to_vec(),
            der: der(rsa.public_key().as_der().unwrap()),
            sign: Box::new(move |message| {
                let mut signed = vec![0; rsa.public_modulus_len()];
                rsa.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signed).unwrap();
                signed
            }),
        },
        Issuer {
            name: "ES256",
            algorithm: Algorithm::ES256,
            bare: &signature::ECDSA_P256_SHA256_FIXED,
            public: ec.public_key().as_ref().to_vec(),
            der: der(ec.public_key().as_der().unwrap()),
            sign: Box::new(move |message| ec.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()),
        },
        Issuer {
            name: "EdDSA",
            algorithm: Algorithm::EdDSA,
            bare: &signature::ED25519,
            public: ed.public_key().as_ref().to_vec(),
            der: der(ed.public_key().as_der().unwrap()),
            sign: Box::new(move |message| ed.sign(message).as_ref().to_vec()),
        },
    ]
}

fn believe(criterion: &mut Criterion) {
    for issuer in issuers() {
        let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, issuer.name);
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(CLAIMS));
        let signature = (issuer.sign)(signed.as_bytes());
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature));
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(&issuer.der)
        );
        let keys = KeySet::from_pem(pem.as_bytes()).unwrap();
        let audiences = ["marketplace-sso".to_owned()];
        let algorithms = [issuer.algorithm];
        let rules = Rules {
            algorithms: &algorithms,
            without_key_id: WithoutKeyId::TheOnlyOne,
            issuer: Some("https://login.example.com/"),
            audience: Audience::OneOf(&audiences),
            issued_at: IssuedAt::Required,
            leeway_s: 0,
            required_claims: &[],
            person_claim: None,
            subject: Some("sub"),
        };
        let now = Moment::from_unix_seconds(1_600_000_010);
        let key = UnparsedPublicKey::new(issuer.bare, issuer.public.clone());

        let mut group = criterion.benchmark_group(issuer.name);
        group.bench_function("bare signature", |bencher| {
            bencher.iter(|| key.verify(black_box(signed.as_bytes()), &signature).unwrap());
        });
        group.bench_function("whole token", |bencher| {
            bencher.iter(|| verify(black_box(&token), &rules, &keys, now).unwrap());
        });
        group.finish();
    }
}

criterion_group!(benches, believe);
criterion_main!(benches);
