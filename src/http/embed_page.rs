//! The page `/embed`, which holds the component, and `/embed.json`, the component's
//! settings for an entrance. Neither depends on a user or a token.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use url::form_urlencoded;

use super::context::Context;
use super::refusal_response::{nonce, page_policy};
use super::refused::{Recipient, RefusedRequest};
use super::served::ServedRequest;
use super::{EntranceRuntime, Snapshot, accept, auth, cors};
use crate::authn::token::TokenLocation;
use crate::page::EmbedPage;
use crate::pandium::LinkRules;
use crate::refusal::{Reason, Refusal};
use crate::sign_on::Entrance;

/// The component's settings for an entrance.
#[derive(Serialize)]
struct Settings<'a> {
    entrance: &'a str,
    /// The origin of messages from the marketplace.
    marketplace_origin: &'a str,
    /// The URL where users sign in. With the parameter `mode=popup` it is this service's own.
    login_url: Option<String>,
    /// The header field for a token that a script sends; `None` if the entrance accepts none.
    proof_header: Option<&'a str>,
    proof_scheme: Option<&'a str>,
}

/// The query: the entrance, and the link parameters for it.
struct EmbedQuery {
    entrance: String,
    install: Option<String>,
    link: String,
}

/// Parameters for this page, which are not passed to the marketplace.
const ENTRANCE: &str = "entrance";
const INSTALL: &str = "install";

/// Responds with the settings. Scripts can read the response of a refusal, for example if the
/// entrance is mistyped.
pub(super) async fn settings(context: Context, request: HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    let query = EmbedQuery::parse(&request);
    let runtime = query.and_then(|query| query.find(&context.snapshot)).map_err(|refusal| {
        RefusedRequest { recipient: Recipient::AnyScript, ..RefusedRequest::from(refusal) }
    })?;
    let entrance = &runtime.entrance;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    cors::allow_origin(&mut response, request.headers(), &entrance.embed);
    let (proof_header, proof_scheme) = match entrance.authenticator.token_location() {
        Some(TokenLocation::Header { name, scheme }) => (Some(name.as_str()), scheme.as_deref()),
        Some(TokenLocation::Cookie(_)) | None => (None, None),
    };
    let own_login = auth::component_login_url(&context, &runtime, &request);
    let response = response.json(Settings {
        entrance: &entrance.path,
        marketplace_origin: entrance.marketplace.origin(),
        login_url: own_login.or_else(|| entrance.embed.login_url.clone()),
        proof_header,
        proof_scheme,
    });
    Ok(context.served(ServedRequest::at(runtime), response))
}

/// Responds with the page, for plain links and pop-ups.
pub(super) async fn page(context: Context, request: HttpRequest) -> Result<HttpResponse, RefusedRequest> {
    let query = EmbedQuery::parse(&request)?;
    let runtime = query.find(&context.snapshot)?;
    let entrance = &runtime.entrance;
    // parsed as in the frame's own request, so that invalid link parameters are reported by this
    // page
    let link = entrance.marketplace.links().parse(&query.link, query.install.as_deref());
    link.map_err(|refusal| RefusedRequest::at(&runtime, refusal))?;
    if auth::is_out_of_reach(&context, &runtime, &request) {
        let cause = "no session reaches this frame in a page of another site; with store.url, single-use addresses would";
        return Err(RefusedRequest::at(&runtime, Reason::Unauthenticated.because(cause)));
    }
    let nonce = nonce();
    let page = EmbedPage { entrance: &entrance.path, attributes: query.attributes() };
    let page = context.snapshot.pages.embed(&page, accept::language(&request), &nonce).map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        RefusedRequest::internal("a page could not be rendered; the log has the cause")
    })?;
    let more = format!("connect-src 'self'; frame-src 'self' {}; ", entrance.marketplace.origin());
    let ancestors = runtime.frame_ancestors.to_str().unwrap_or("frame-ancestors 'none'");
    let policy = HeaderValue::try_from(page_policy(&nonce, &more, ancestors))
        .map_err(|_| RefusedRequest::internal("the page's policy is not a valid header field value"))?;
    let response = HttpResponse::Ok()
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        // pop-ups of connectors need access to their opener
        .insert_header((
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin-allow-popups"),
        ))
        // the frame's requests send the origin as referrer, without path and query
        .insert_header((header::REFERRER_POLICY, HeaderValue::from_static("strict-origin")))
        .insert_header((header::VARY, HeaderValue::from_static("Accept-Language")))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .content_type("text/html; charset=utf-8")
        .body(page);
    Ok(context.served(ServedRequest::at(runtime), response))
}

impl EmbedQuery {
    fn parse(request: &HttpRequest) -> Result<Self, Refusal> {
        let query = request.uri().query().unwrap_or_default();
        let (mut entrance, mut install) = (None, None);
        let mut link = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match name.as_ref() {
                ENTRANCE => &mut entrance,
                INSTALL => &mut install,
                _ => {
                    link.append_pair(&name, &value);
                    continue;
                }
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(Reason::BadLink.because(format!("{name} is given twice")));
            }
        }
        let entrance = entrance.unwrap_or_else(|| Entrance::MAIN_PATH.to_owned());
        Ok(Self { entrance, install, link: link.finish() })
    }

    /// The entrance that the query names.
    fn find(&self, snapshot: &Snapshot) -> Result<Arc<EntranceRuntime>, Refusal> {
        let found = snapshot.entrances.iter().find(|runtime| runtime.entrance.path == self.entrance);
        found.map(Arc::clone).ok_or_else(|| {
            Reason::NotFound.because("there is no entrance at the path in the parameter entrance")
        })
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
                // not reached: a link with this parameter was refused when it was parsed
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
