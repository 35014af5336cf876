//! Entry point for cargo-fuzz; see `targets.rs`.
#![no_main]

#[path = "../targets.rs"]
#[expect(dead_code, reason = "each target is a separate program")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::authorization_response(data));
