//! The component's public files for the app's page: its script and its types, uncompressed and in
//! the encodings that `build.rs` creates.

use actix_web::http::header::{
    self, AcceptEncoding, ETag, Encoding, EntityTag, Header, HeaderValue, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse};

use super::refused::RefusedRequest;

/// A public file.
struct Asset {
    /// A hash of the content.
    hash: &'static str,
    media_type: &'static str,
    identity: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

/// Defines a file of `packages/embed`.
macro_rules! asset {
    ($name:literal, $hash:literal, $media_type:literal) => {
        Asset {
            hash: env!($hash),
            media_type: $media_type,
            identity: include_bytes!(concat!("../../packages/embed/", $name)),
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")),
            brotli: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".br")),
        }
    };
}

static SCRIPT: Asset = asset!("embed.js", "EMBED_JS_HASH", "text/javascript; charset=utf-8");
static TYPES: Asset = asset!("embed.d.ts", "EMBED_D_TS_HASH", "text/plain; charset=utf-8");

/// The path of this version of the script.
pub(super) const HASHED_SCRIPT: &str = concat!("/embed.", env!("EMBED_JS_HASH"), ".js");

/// Browsers revalidate after five minutes, so that a new version is used soon.
const SHORT: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The content at the address never changes.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The script of the current version. `Content-Location` names its own address.
pub(super) async fn script(request: HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    let mut response = response(&request, &SCRIPT, SHORT);
    let location = HeaderValue::from_static(HASHED_SCRIPT);
    response.headers_mut().insert(header::CONTENT_LOCATION, location);
    Ok(response)
}

/// The script at the address of its version.
pub(super) async fn hashed_script(request: HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    Ok(response(&request, &SCRIPT, IMMUTABLE))
}

/// The TypeScript types of the script.
pub(super) async fn types(request: HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    Ok(response(&request, &TYPES, SHORT))
}

fn response(request: &HttpRequest, asset: &'static Asset, cache_control: HeaderValue) -> HttpResponse {
    let (encoding, body) = asset.encoded(request);
    // each encoding is a separate representation with its own tag (RFC 9110, 8.8.3.3)
    let tag = EntityTag::new_strong(match encoding {
        Some(encoding) => format!("{}-{encoding}", asset.hash),
        None => asset.hash.to_owned(),
    });
    let is_cached = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        // proxies that change the encoding make the tag a weak one
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if is_cached { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, cache_control))
        .insert_header((header::VARY, HeaderValue::from_static("Accept-Encoding")))
        .insert_header(ETag(tag))
        // a module script is fetched with CORS; its content is public
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin")))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)));
    if is_cached {
        return response.finish();
    }
    if let Some(encoding) = encoding {
        response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static(encoding)));
    }
    response.body(body)
}

impl Asset {
    /// The content in the encoding that the client prefers, and that encoding's name; brotli, if
    /// several are preferred equally. Uncompressed, if the client accepts neither brotli nor gzip.
    fn encoded(&self, request: &HttpRequest) -> (Option<&'static str>, &'static [u8]) {
        let supported = [Encoding::brotli(), Encoding::gzip(), Encoding::identity()];
        let preferred =
            AcceptEncoding::parse(request).ok().and_then(|accept| accept.negotiate(supported.iter()));
        if preferred == Some(Encoding::brotli()) {
            (Some("br"), self.brotli)
        } else if preferred == Some(Encoding::gzip()) {
            (Some("gzip"), self.gzip)
        } else {
            (None, self.identity)
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::ACCEPT_ENCODING;
    use actix_web::test::TestRequest;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::browser("gzip, deflate, br, zstd", Some("br"))]
    #[case::gzip_alone("gzip", Some("gzip"))]
    #[case::capitals("GZIP", Some("gzip"))]
    #[case::by_weight("br;q=0.5, gzip;q=0.8", Some("gzip"))]
    #[case::brotli_refused("br;q=0, gzip", Some("gzip"))]
    #[case::both_refused("br;q=0, gzip;q=0", None)]
    #[case::identity_preferred("identity, gzip;q=0.5", None)]
    #[case::identity_refused("identity;q=0, gzip", Some("gzip"))]
    #[case::nothing_accepted("*;q=0", None)]
    #[case::anything("*", None)]
    #[case::others("zstd, deflate", None)]
    #[case::empty("", None)]
    #[case::malformed("gzip;q=x", None)]
    fn the_encoding_is_negotiated(#[case] accept: &'static str, #[case] meant: Option<&str>) {
        let request = TestRequest::default().insert_header((ACCEPT_ENCODING, accept)).to_http_request();
        assert_eq!(SCRIPT.encoded(&request).0, meant);
    }

    #[test]
    fn without_accept_encoding_nothing_is_compressed() {
        assert_eq!(SCRIPT.encoded(&TestRequest::default().to_http_request()).0, None);
    }
}
