//! The component's public files for the app's page: its script and its types.

use std::sync::LazyLock;

use actix_web::http::header::{self, ETag, EntityTag, Header, HeaderValue, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::refused::RefusedRequest;

/// A public file.
struct Asset {
    text: String,
    media_type: &'static str,
    etag: EntityTag,
}

static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = without_comments(include_str!("../../packages/embed/embed.js"));
    Asset { etag: etag(&text), text, media_type: "text/javascript; charset=utf-8" }
});

static TYPES: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("../../packages/embed/embed.d.ts").to_owned();
    Asset { etag: etag(&text), text, media_type: "text/plain; charset=utf-8" }
});

/// Browsers revalidate after five minutes, so that a new version is used soon.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The script.
pub(super) async fn script(request: HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    Ok(response(&request, &SCRIPT))
}

/// Its TypeScript types.
pub(super) async fn types(request: HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    Ok(response(&request, &TYPES))
}

fn response(request: &HttpRequest, asset: &'static Asset) -> HttpResponse {
    let is_cached = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        // proxies that compress a response make its tag a weak one (RFC 9110, 8.8.3)
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&asset.etag)),
        Err(_) => false,
    };
    let mut response = if is_cached { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
        .insert_header(ETag(asset.etag.clone()))
        // a module script is fetched with CORS; its content is public
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin")))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)));
    if is_cached { response.finish() } else { response.body(asset.text.as_str()) }
}

/// A script without comment lines and indentation, which every browser would
/// download.
fn without_comments(script: &str) -> String {
    let lines = script.lines().map(str::trim_start);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).flat_map(|line| [line, "\n"]).collect()
}

/// The tag of a text: a part of its hash.
fn etag(text: &str) -> EntityTag {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let short = digest.as_ref().get(..12).map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).unwrap_or_default();
    EntityTag::new_strong(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_served_without_what_only_its_readers_need() {
        let script = "// why\nlet a = 1;\n\n  // because\n  let b = \"//\";\n";
        assert_eq!(without_comments(script), "let a = 1;\nlet b = \"//\";\n");
    }
}
