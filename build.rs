//! Compresses the component's public files, so that nothing is compressed at run time, and
//! hashes them.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use brotli::enc::BrotliEncoderParams;
use sha2::{Digest, Sha256};

/// The files, each with the environment variable that has its hash in `src/http/assets.rs`.
const FILES: [(&str, &str); 2] = [("embed.js", "EMBED_JS_HASH"), ("embed.d.ts", "EMBED_D_TS_HASH")];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for (name, variable) in FILES {
        let path = format!("packages/embed/{name}");
        println!("cargo::rerun-if-changed={path}");
        let content = fs::read(&path).map_err(|error| format!("{path} cannot be read: {error}"))?;
        println!("cargo::rustc-env={variable}={}", short_hash(&content)?);

        let mut gzip = Vec::new();
        zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, content.as_slice(), &mut gzip)?;
        fs::write(out.join(format!("{name}.gz")), gzip)?;

        let mut compressed = Vec::new();
        let parameters = BrotliEncoderParams { quality: 11, ..BrotliEncoderParams::default() };
        brotli::BrotliCompress(&mut content.as_slice(), &mut compressed, &parameters)?;
        fs::write(out.join(format!("{name}.br")), compressed)?;
    }
    Ok(())
}

/// The first 64 bits of the SHA-256, in hexadecimal digits: it distinguishes versions, and does not
/// protect against forgery.
fn short_hash(content: &[u8]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for byte in Sha256::digest(content).iter().take(8) {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}
