//! The component for the app's page: its script, its types, its settings, and a
//! page that holds it. None of it depends on a user or a token.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use url::form_urlencoded;

use super::refused::{NO_ENTRANCE, Refused, nonce, page_policy};
use super::{EntranceRuntime, RequestContext, accept, cors};
use crate::authn::token::TokenLocation;
use crate::page::EmbedPage;
use crate::pandium::LinkRules;
use crate::refusal::{Reason, Refusal};
use crate::sign_on::Entrance;

/// A resource of the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    /// The script.
    Script,
    /// Its types.
    Types,
    /// Its settings for an entrance.
    About,
    /// The page that holds it.
    Page,
}

/// The component's settings for an entrance.
#[derive(Serialize)]
struct About<'a> {
    entrance: &'a str,
    /// Where the marketplace's messages come from.
    marketplace_origin: &'a str,
    login_url: Option<&'a str>,
    /// The header in which a script brings the user's token, where it may.
    proof_header: Option<&'a str>,
    proof_scheme: Option<&'a str>,
}

/// A public file.
struct Asset {
    text: String,
    kind: &'static str,
    etag: HeaderValue,
}

static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = without_comments(include_str!("../../packages/embed/embed.js"));
    Asset { etag: etag(&text), text, kind: "text/javascript; charset=utf-8" }
});

static TYPES: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("../../packages/embed/embed.d.ts").to_owned();
    Asset { etag: etag(&text), text, kind: "text/plain; charset=utf-8" }
});

/// Browsers revalidate after five minutes, so that a new version is used soon.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Parameters for this page, which are not passed to the marketplace.
const ENTRANCE: &str = "entrance";
const INSTALL: &str = "install";

impl Component {
    /// The resource at a path.
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/embed.js" => Some(Self::Script),
            "/embed.d.ts" => Some(Self::Types),
            "/embed.json" => Some(Self::About),
            "/embed" => Some(Self::Page),
            _ => None,
        }
    }
}

impl RequestContext<'_> {
    /// Handles a request for a resource of the component.
    pub(super) fn component(&self, component: Component) -> HttpResponse {
        if !matches!(*self.request.method(), Method::GET | Method::HEAD) {
            let refusal = Reason::MethodNotAllowed.because("the component is requested with GET");
            return self.refuse(Refused::nowhere(&refusal));
        }
        match component {
            Component::Script => self.asset(&SCRIPT),
            Component::Types => self.asset(&TYPES),
            Component::About => self.about(),
            Component::Page => self.embed_page(),
        }
    }

    fn asset(&self, asset: &'static Asset) -> HttpResponse {
        let etag = &asset.etag;
        // proxies that compress a response make its tag a weak one (RFC 9110, 8.8.3)
        let known = self.request.headers().get_all(header::IF_NONE_MATCH);
        let mut known = known.filter_map(|known| known.to_str().ok()).flat_map(|known| known.split(','));
        let is_known = known.any(|known| {
            let known = known.trim();
            known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == etag.as_bytes()
        });
        let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        self.shared.metrics.count_request(NO_ENTRANCE, status.as_u16());
        let mut answer = HttpResponse::build(status);
        self.common_headers(&mut answer);
        answer
            .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
            .insert_header((header::ETAG, etag.clone()))
            // a module script is fetched with CORS; its content is public
            .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")))
            .insert_header((
                HeaderName::from_static("cross-origin-resource-policy"),
                HeaderValue::from_static("cross-origin"),
            ))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
            .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)));
        if is_known { answer.finish() } else { answer.body(asset.text.as_str()) }
    }

    fn about(&self) -> HttpResponse {
        let asked = Asked::read(self.request.uri().query().unwrap_or_default());
        let runtime = match asked.as_ref().map(|asked| find(&self.snapshot.entrances, asked)) {
            Ok(Some(runtime)) => runtime,
            Ok(None) => return self.refuse_about(&no_such_entrance()),
            Err(refusal) => return self.refuse_about(refusal),
        };
        let entrance = &runtime.entrance;
        self.shared.metrics.count_request(&entrance.name, 200);
        let mut answer = HttpResponse::Ok();
        self.common_headers(&mut answer);
        answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
        cors::allow_origin(&mut answer, self.request.headers(), &entrance.embed);
        let (proof_header, proof_scheme) = match entrance.authenticator.token_location() {
            Some(TokenLocation::Header { name, scheme }) => (Some(name.as_str()), scheme.as_deref()),
            Some(TokenLocation::Cookie(_)) | None => (None, None),
        };
        answer.json(About {
            entrance: &entrance.path,
            marketplace_origin: entrance.marketplace.origin(),
            login_url: entrance.embed.login_url.as_deref(),
            proof_header,
            proof_scheme,
        })
    }

    /// Lets the page's script read why the request is refused, such as for a
    /// mistyped entrance.
    fn refuse_about(&self, refusal: &Refusal) -> HttpResponse {
        let mut answer = self.refuse(Refused::nowhere(refusal));
        let embeds = self.snapshot.entrances.iter().map(|runtime| &runtime.entrance.embed);
        cors::allow_error_read(&mut answer, self.request.headers(), embeds);
        answer
    }

    /// The page `/embed`, for plain links and pop-ups.
    fn embed_page(&self) -> HttpResponse {
        let asked = match Asked::read(self.request.uri().query().unwrap_or_default()) {
            Ok(asked) => asked,
            Err(refusal) => return self.refuse(Refused::nowhere(&refusal)),
        };
        let Some(runtime) = find(&self.snapshot.entrances, &asked) else {
            return self.refuse(Refused::nowhere(&no_such_entrance()));
        };
        let entrance = &runtime.entrance;
        // parsed as for the frame's own request, so that a bad link is reported here
        if let Err(refusal) = entrance.marketplace.links().parse(&asked.link, asked.install.as_deref()) {
            return self.refuse(Refused::at(runtime, &refusal));
        }
        let nonce = nonce();
        let language = accept::language(self.request.headers());
        let page = EmbedPage { entrance: &entrance.path, attributes: asked.attributes() };
        let page = match self.snapshot.pages.embed(&page, language, &nonce) {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "a page could not be made");
                return self.internal_error("a page could not be made; the log says why");
            }
        };
        let more = format!("connect-src 'self'; frame-src 'self' {}; ", entrance.marketplace.origin());
        let policy =
            page_policy(&nonce, &more, runtime.frame_ancestors.to_str().unwrap_or("frame-ancestors 'none'"));
        let Ok(policy) = HeaderValue::try_from(policy) else {
            return self.internal_error("the page's policy is no header's value");
        };
        self.shared.metrics.count_request(&entrance.name, 200);
        let mut answer = HttpResponse::Ok();
        self.common_headers(&mut answer);
        answer
            .insert_header((header::CONTENT_SECURITY_POLICY, policy))
            // pop-ups of connectors need their opener
            .insert_header((
                HeaderName::from_static("cross-origin-opener-policy"),
                HeaderValue::from_static("same-origin-allow-popups"),
            ))
            // the frame's requests carry the origin, not path and query
            .insert_header((header::REFERRER_POLICY, HeaderValue::from_static("strict-origin")))
            .insert_header((header::VARY, HeaderValue::from_static("Accept-Language")))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
            .content_type("text/html; charset=utf-8")
            .body(page)
    }
}

/// The query: the entrance, and the link for it.
struct Asked {
    entrance: String,
    install: Option<String>,
    link: String,
}

impl Asked {
    fn read(query: &str) -> Result<Self, Refusal> {
        let (mut entrance, mut install) = (None, None);
        let mut link = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                ENTRANCE => &mut entrance,
                INSTALL => &mut install,
                _ => {
                    link.append_pair(&name, &value);
                    continue;
                }
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(Reason::BadLink.because("entrance or install is there more than once"));
            }
        }
        let entrance = entrance.unwrap_or_else(|| Entrance::MAIN_PATH.to_owned());
        Ok(Self { entrance, install, link: link.finish() })
    }

    /// The link as attributes of the component.
    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut more = form_urlencoded::Serializer::new(String::new());
        let mut attributes: Vec<(&'static str, String)> =
            self.install.iter().map(|id| (INSTALL, id.clone())).collect();
        for (name, value) in form_urlencoded::parse(self.link.as_bytes()) {
            match name.as_ref() {
                "integration_id" => attributes.push(("integration-id", value.into_owned())),
                "display" => attributes.push(("display", value.into_owned())),
                "integration_settings" => attributes.push(("integration-settings", value.into_owned())),
                // the link was parsed, which refuses it
                LinkRules::TOKEN_PARAMETER => {}
                _ => {
                    more.append_pair(&name, &value);
                }
            }
        }
        attributes.extend(Some(more.finish()).filter(|more| !more.is_empty()).map(|more| ("params", more)));
        attributes
    }
}

fn find<'a>(entrances: &'a [EntranceRuntime], asked: &Asked) -> Option<&'a EntranceRuntime> {
    entrances.iter().find(|runtime| runtime.entrance.path == asked.entrance)
}

fn no_such_entrance() -> Refusal {
    Reason::NotFound.because("there is no entrance at the path that entrance names")
}

/// A script without comment lines and indentation, which every browser would
/// download.
fn without_comments(script: &str) -> String {
    let lines = script.lines().map(str::trim_start);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).flat_map(|line| [line, "\n"]).collect()
}

fn etag(text: &str) -> HeaderValue {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let short = digest.as_ref().get(..12).map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).unwrap_or_default();
    HeaderValue::try_from(format!("\"{short}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
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
