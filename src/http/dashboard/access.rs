//! Who may see the dashboard: a peer on this machine that requests it by a loopback name, or a
//! session that was opened with an API token. Requests of other sites are refused.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::http::{Method, Version};
use secrecy::ExposeSecret;

use super::super::context::RequestContext;
use super::super::refused::RefusedRequest;
use super::api_token;
use crate::host::is_loopback;
use crate::refusal::{Reason, Refusal};
use crate::request::Peer;

/// The client that sees a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Viewer {
    /// A client on this machine.
    Local,
    /// The holder of an API token.
    Token {
        /// The token's name.
        name: String,
    },
}

/// Header fields that a proxy adds. They detect a proxy on this machine, whose clients would
/// otherwise count as local.
const OF_PROXIES: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// The client that sends the request; `None` if it has to log in first.
pub(super) async fn viewer(
    context: &RequestContext,
    request: &HttpRequest,
) -> Result<Option<Viewer>, RefusedRequest> {
    if is_local(context.peer, request) {
        return Ok(Some(Viewer::Local));
    }
    let sessions = &context.shared.sessions;
    let Some(token) = sessions.token(request, context.received) else { return Ok(None) };
    match api_token::verify(context, token.expose_secret()).await {
        Ok(name) => Ok(Some(Viewer::Token { name })),
        Err(refused) if refused.status().is_server_error() => Err(refused),
        Err(_) => {
            sessions.close(request);
            Ok(None)
        }
    }
}

/// Refuses requests from pages of another site. The request of a form must prove that its page is
/// of this site.
pub(super) fn check_site(request: &HttpRequest) -> Result<(), Refusal> {
    let headers = request.headers();
    let mut sites = headers.get_all(HeaderName::from_static("sec-fetch-site")).peekable();
    let is_allowed = if sites.peek().is_some() {
        // `none`: the user opened the page directly, for example by a bookmark; a form is never
        // sent like this
        let is_read = request.method() != Method::POST;
        sites.all(|site| site == "same-origin" || site == "none" && is_read)
    } else {
        request.method() != Method::POST || has_own_origin(headers)
    };
    if is_allowed {
        return Ok(());
    }
    Err(Reason::CrossSiteRequest
        .because("a page of another site requested the dashboard; open it by its address"))
}

/// Whether the peer is on this machine, and is not a proxy that passes on the request of another
/// client. A public name that resolves to a loopback address does not count as a loopback name.
fn is_local(peer: Peer, request: &HttpRequest) -> bool {
    let is_here = match peer {
        Peer::Ip(address) => address.is_loopback(),
        Peer::UnixSocket => true,
        Peer::Unknown => false,
    };
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let target = request.uri().authority().map(|authority| authority.as_str());
    is_here
        && host.is_some_and(is_loopback)
        && target.is_none_or(is_loopback)
        // browsers never use HTTP/1.0, but nginx does by default when it passes requests on,
        // without adding a header field
        && request.version() == Version::HTTP_11
        && !OF_PROXIES.iter().any(|name| headers.contains_key(*name))
}

/// Whether `Origin` names the host to which the request was sent.
fn has_own_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else { return false };
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use rstest::rstest;

    use super::*;

    fn request(fields: &[(&'static str, &str)]) -> TestRequest {
        fields.iter().fold(TestRequest::default(), |request, field| request.insert_header(*field))
    }

    #[rstest]
    #[case::address("127.0.0.1", &[("host", "127.0.0.1:9090")], true)]
    #[case::name("::1", &[("host", "localhost:9090")], true)]
    #[case::remote("192.0.2.1", &[("host", "localhost:9090")], false)]
    #[case::rebound("127.0.0.1", &[("host", "evil.example:9090")], false)]
    #[case::own_name("127.0.0.1", &[("host", "app.example.com")], false)]
    #[case::no_host("127.0.0.1", &[], false)]
    #[case::proxied("127.0.0.1", &[("host", "127.0.0.1:9090"), ("x-forwarded-for", "192.0.2.1")], false)]
    #[case::via("127.0.0.1", &[("host", "127.0.0.1:9090"), ("via", "1.1 proxy")], false)]
    fn a_local_peer_names_this_machine(
        #[case] peer: &str,
        #[case] fields: &[(&'static str, &str)],
        #[case] expected: bool,
    ) {
        let peer = Peer::from_ip(peer.parse().unwrap());
        assert_eq!(is_local(peer, &request(fields).to_http_request()), expected);
    }

    #[test]
    fn a_request_over_http_1_0_is_not_local() {
        let request = request(&[("host", "localhost")]);
        assert!(is_local(Peer::UnixSocket, &request.to_http_request()));
        let old = TestRequest::default().insert_header(("host", "localhost")).version(Version::HTTP_10);
        assert!(!is_local(Peer::UnixSocket, &old.to_http_request()));
        assert!(!is_local(
            Peer::Unknown,
            &TestRequest::default().insert_header(("host", "localhost")).to_http_request()
        ));
    }

    #[rstest]
    #[case::typed(Method::GET, &[("sec-fetch-site", "none")], true)]
    #[case::own_link(Method::GET, &[("sec-fetch-site", "same-origin")], true)]
    #[case::no_browser(Method::GET, &[], true)]
    #[case::other_site(Method::GET, &[("sec-fetch-site", "cross-site")], false)]
    #[case::other_port(Method::GET, &[("sec-fetch-site", "same-site")], false)]
    #[case::unknown(Method::GET, &[("sec-fetch-site", "")], false)]
    #[case::own_form(Method::POST, &[("sec-fetch-site", "same-origin")], true)]
    #[case::typed_form(Method::POST, &[("sec-fetch-site", "none")], false)]
    #[case::other_form(Method::POST, &[("sec-fetch-site", "cross-site"), ("host", "a"), ("origin", "http://a")], false)]
    #[case::own_origin(Method::POST, &[("host", "sso:9090"), ("origin", "http://sso:9090")], true)]
    #[case::other_origin(Method::POST, &[("host", "sso:9090"), ("origin", "http://sso")], false)]
    #[case::no_origin(Method::POST, &[("host", "sso:9090"), ("origin", "null")], false)]
    #[case::silent(Method::POST, &[("host", "sso:9090")], false)]
    fn requests_of_other_sites_are_refused(
        #[case] method: Method,
        #[case] fields: &[(&'static str, &str)],
        #[case] expected: bool,
    ) {
        assert_eq!(check_site(&request(fields).method(method).to_http_request()).is_ok(), expected);
    }

    #[test]
    fn a_repeated_sec_fetch_site_is_refused() {
        let twice = TestRequest::default()
            .append_header(("sec-fetch-site", "same-origin"))
            .append_header(("sec-fetch-site", "cross-site"));
        assert!(check_site(&twice.to_http_request()).is_err());
    }
}
