//! Checks the sign-in of an entrance whose users this service signs in: whether it redirects to the provider.

use reqwest::Url;

use super::probe::{JSON, Probe, Response};
use super::snippets::Remedy;
use super::{Finding, Topic, display_url, is_on_this_machine};

const TOPIC: Topic = Topic::proxy("sign-in");

/// The Fetch Metadata that a browser sends when a window navigates.
const WINDOW_NAVIGATION: [(&str, &str); 2] = [("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Mode", "navigate")];

/// Begins a sign-in, without following the redirect. `None` if this service signs no users in.
/// `refusal`: how the entrance refuses a request without a login.
pub(super) async fn run(probe: &Probe, entrance: &Url, refusal: Option<&Response>) -> Option<Finding> {
    let login = login_url(entrance, refusal?)?;
    let headers = [&[JSON], WINDOW_NAVIGATION.as_slice()].concat();
    Some(match probe.get(&login, &headers).await {
        Ok(response) => finding(&login, &response),
        Err(error) => Finding::broken(TOPIC, format!("{} does not respond: {error}", display_url(&login))),
    })
}

/// The address of the sign-in, as a browser at the entrance opens it.
fn login_url(entrance: &Url, refusal: &Response) -> Option<Url> {
    let named = entrance.join(&refusal.login_url()?).ok()?;
    let path = named.path();
    let is_login = path.starts_with("/auth/") && path.ends_with("/login");
    is_login.then(|| {
        let mut login = entrance.clone();
        login.set_path(path);
        login.set_query(None);
        login
    })
}

fn finding(login: &Url, response: &Response) -> Finding {
    let (status, path) = (response.status, login.path());
    let not_passed_on = |response: String| {
        let message = format!("{response}: pass /auth/ on to the service, without a login");
        Finding::broken(TOPIC, message).with(Remedy::PassSignIn)
    };
    if matches!(status, 301..=303 | 307 | 308) {
        let location = Url::parse(&response.header("location")).ok();
        let Some(provider) = location.filter(is_authorization_request) else {
            return not_passed_on(format!("{path} is redirected, but not to an OpenID provider"));
        };
        // without the query, which holds the state of the sign-in
        let host = provider.host_str().unwrap_or_default();
        return if provider.scheme() == "https" || is_on_this_machine(&provider) {
            Finding::ok(TOPIC, format!("a sign-in begins at the provider, {host}"))
        } else {
            let message =
                format!("a sign-in begins at {host} by http, so it can be read on the network: use https");
            Finding::broken(TOPIC, message)
        };
    }
    let message = match response.reason().as_deref() {
        Some(reason @ ("upstream_unavailable" | "keys_unavailable")) => format!(
            "no user can sign in ({status} {reason}): the service cannot reach the provider, or cannot use its \
             discovery document. See detail in its log, compare identity.issuer, and let the service connect there"
        ),
        Some(reason) => {
            format!(
                "no user can sign in ({status} {reason}): see detail in the service's log, and docs/runbook.md"
            )
        }
        None => return not_passed_on(format!("the proxy responds with {status} at {path} itself")),
    };
    Finding::broken(TOPIC, message)
}

/// Whether a browser is sent to a provider's authorization endpoint (RFC 6749, 4.1.1), not to another login.
fn is_authorization_request(url: &Url) -> bool {
    url.query_pairs().any(|(name, _)| name == "client_id")
}
