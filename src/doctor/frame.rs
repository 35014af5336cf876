//! Checks the page that embeds the frame: whether a browser would show the
//! frame there.

use reqwest::Url;

use super::probe::{Probe, Response};
use super::service::EntranceInfo;
use super::snippets::Remedy;
use super::{Finding, Setup, Topic, display_url, is_on_this_machine};

const PAGE: Topic = Topic::frame("page");

/// `entrance`: the content of `/embed.json`, if it could be read.
pub(super) async fn run(probe: &Probe, setup: &Setup, entrance: Option<&EntranceInfo>) -> Vec<Finding> {
    let Some(page) = &setup.page else {
        return vec![Finding::skipped(PAGE, "not checked: name the page that embeds the frame with --page")];
    };
    // the cookie must not be sent to another site than the application's
    let cookie = setup.cookie.iter().filter(|_| is_same_site(page, &setup.entrance));
    let cookie: Vec<(&str, &str)> = cookie.map(|cookie| ("Cookie", cookie.as_str())).collect();
    let headers = [&[("Accept", "text/html")], cookie.as_slice()].concat();
    let response = match probe.get(page, &headers).await {
        Ok(response) if response.status == 200 => response,
        Ok(response) => {
            let (page, status) = (display_url(page), response.status);
            let remedy = match status {
                404 | 410 => "check the page's address",
                _ if setup.cookie.is_some() => "check the page's address and the cookie",
                _ => "give --cookie-file",
            };
            let message = format!("{page} responds with {status}, so its headers may differ; {remedy}");
            return vec![Finding::skipped(PAGE, message)];
        }
        Err(error) => {
            return vec![Finding::broken(PAGE, format!("{} does not respond: {error}", display_url(page)))];
        }
    };
    vec![
        frame_src(&response, page, setup, entrance),
        component(&response, page, setup),
        opener(&response),
        embedder(&response),
        parents(probe, setup, page).await,
    ]
}

/// Whether a cookie of the entrance may be sent to the page: the same host, or
/// hosts of one domain, by https or on this machine.
fn is_same_site(page: &Url, entrance: &Url) -> bool {
    let is_secure = page.scheme() == "https" || is_on_this_machine(page);
    let (Some(page), Some(entrance)) = (page.host_str(), entrance.host_str()) else { return false };
    let parent = |host: &str| {
        let (_, parent) = host.split_once('.')?;
        parent.contains('.').then(|| parent.to_owned())
    };
    let is_below = |host: &str, above: &str| host.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'));
    let is_related = page == entrance
        || is_below(page, entrance)
        || is_below(entrance, page)
        || (parent(page).is_some() && parent(page) == parent(entrance));
    is_secure && is_related
}

/// `frame-src`, which browsers check again after the redirect.
fn frame_src(response: &Response, page: &Url, setup: &Setup, entrance: Option<&EntranceInfo>) -> Finding {
    const TOPIC: Topic = Topic::frame("frame-src");
    let marketplace = entrance.map(|entrance| entrance.marketplace_origin.origin().ascii_serialization());
    let ours = setup.entrance.origin().ascii_serialization();
    let directives = ["frame-src", "child-src", "default-src"];
    let frames = |target: Target<'_>| allows(response, page, &directives, target);
    let mut missing = Vec::new();
    if !frames(Target { origin: &ours, path: Some(setup.entrance.path()) }) {
        missing.push(ours.as_str());
    }
    // after a redirect the path is not compared (CSP Level 3, "Paths and Redirects")
    if let Some(marketplace) = marketplace.as_deref()
        && !frames(Target { origin: marketplace, path: None })
    {
        missing.push(marketplace);
    }
    if missing.is_empty() && marketplace.is_none() {
        return Finding::skipped(
            TOPIC,
            "the page's Content-Security-Policy allows the frame; whether it allows the marketplace is unknown, \
             since /embed.json cannot be read",
        );
    }
    if missing.is_empty() {
        return Finding::ok(TOPIC, "the page's Content-Security-Policy allows the frame and the marketplace");
    }
    let message = format!(
        "the page's Content-Security-Policy blocks the frame: add {} to its frame-src",
        missing.join(" and ")
    );
    let remedy = Remedy::Header(format!("Content-Security-Policy: frame-src {}", missing.join(" ")));
    Finding::broken(TOPIC, message).with(remedy)
}

/// `script-src` and `connect-src`, for the optional component `<marketplace-frame>`.
fn component(response: &Response, page: &Url, setup: &Setup) -> Finding {
    const TOPIC: Topic = Topic::frame("component");
    let ours = setup.entrance.origin().ascii_serialization();
    let scripts = ["script-src-elem", "script-src", "default-src"];
    let connections = ["connect-src", "default-src"];
    let allows = |directives: &[&str], path| {
        allows(response, page, directives, Target { origin: &ours, path: Some(path) })
    };
    if allows(&scripts, "/embed.js") && allows(&connections, "/embed.json") {
        return Finding::ok(TOPIC, "the page's Content-Security-Policy allows <marketplace-frame>");
    }
    let message = format!(
        "the page's Content-Security-Policy blocks <marketplace-frame>; if the page uses it, add {ours} \
         to its script-src and connect-src"
    );
    let remedy = format!("Content-Security-Policy: script-src {ours}; connect-src {ours}");
    Finding::warning(TOPIC, message).with(Remedy::Header(remedy))
}

/// `Cross-Origin-Opener-Policy`: connectors open their login in a pop-up window.
fn opener(response: &Response) -> Finding {
    const TOPIC: Topic = Topic::frame("opener");
    match response.header("cross-origin-opener-policy").as_str() {
        policy if policy.starts_with("same-origin") && !policy.starts_with("same-origin-allow-popups") => {
            Finding::broken(
                TOPIC,
                "Cross-Origin-Opener-Policy: same-origin disconnects connectors' pop-ups from the frame; write \
                 same-origin-allow-popups",
            )
            .with(Remedy::Header("Cross-Origin-Opener-Policy: same-origin-allow-popups".to_owned()))
        }
        policy if policy.starts_with("noopener-allow-popups") => Finding::warning(
            TOPIC,
            "pop-ups of connectors may lose their opener; write same-origin-allow-popups",
        ),
        _ => Finding::ok(TOPIC, "pop-ups of connectors keep their opener"),
    }
}

/// `Cross-Origin-Embedder-Policy`: a page that requires one blocks frames without one, such as the
/// marketplace.
fn embedder(response: &Response) -> Finding {
    const TOPIC: Topic = Topic::frame("embedder");
    match response.header("cross-origin-embedder-policy").as_str() {
        "" | "unsafe-none" => {
            Finding::ok(TOPIC, "the page does not require frames to have a Cross-Origin-Embedder-Policy")
        }
        policy => Finding::broken(
            TOPIC,
            format!(
                "Cross-Origin-Embedder-Policy: {policy} blocks every frame without one, such as the marketplace"
            ),
        ),
    }
}

/// Whether the service allows this page to frame it.
async fn parents(probe: &Probe, setup: &Setup, page: &Url) -> Finding {
    const TOPIC: Topic = Topic::frame("parents");
    let referer = format!("{}/", page.origin().ascii_serialization());
    let headers = [
        ("Accept", "application/json"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Referer", referer.as_str()),
    ];
    let response = match probe.get(&setup.entrance, &headers).await {
        Ok(response) => response,
        Err(error) => return Finding::skipped(TOPIC, format!("no response: {error}")),
    };
    match response.reason().as_deref() {
        Some("embedding_not_allowed") => {
            let origin = referer.trim_end_matches('/');
            Finding::broken(TOPIC, format!("the service refuses this page: add {origin} to embed.parents"))
                .with(Remedy::Setting(format!("[embed]\nparents = [{origin:?}]")))
        }
        Some(_) => Finding::ok(TOPIC, "the service allows this page to frame it"),
        None if response.is_hand_off() => Finding::ok(TOPIC, "the service allows this page to frame it"),
        None => Finding::skipped(TOPIC, "unknown: the proxy responds in place of the service"),
    }
}

/// The URL that a page frames or loads.
#[derive(Clone, Copy)]
struct Target<'a> {
    origin: &'a str,
    /// `None` if it is not compared, as after a redirect.
    path: Option<&'a str>,
}

/// Whether every policy of the response allows the target. In each policy, the first of
/// `directives` that it contains applies.
fn allows(response: &Response, page: &Url, directives: &[&str], target: Target<'_>) -> bool {
    let own = page.origin().ascii_serialization();
    let header = response.header("content-security-policy");
    policies(&header).all(|policy| policy.allows(directives, target, &own))
}

/// One serialized policy (CSP Level 3).
struct PageCsp<'a>(&'a str);

/// The policies of a header; each must allow the target.
fn policies(header: &str) -> impl Iterator<Item = PageCsp<'_>> {
    header.split(',').map(PageCsp)
}

impl PageCsp<'_> {
    fn allows(&self, directives: &[&str], target: Target<'_>, own: &str) -> bool {
        let sources = |name: &&str| {
            let mut all = self.0.split(';').map(str::split_ascii_whitespace);
            all.find_map(|mut tokens| tokens.next()?.eq_ignore_ascii_case(name).then_some(tokens))
        };
        match directives.iter().find_map(sources) {
            Some(mut sources) => sources.any(|source| source_matches(source, target, own)),
            None => true,
        }
    }
}

/// Whether a source expression matches the target (CSP Level 3, 6.7.2.8).
fn source_matches(source: &str, target: Target<'_>, own: &str) -> bool {
    let (scheme, host) = target.origin.split_once("://").unwrap_or(("", target.origin));
    if source.eq_ignore_ascii_case("'self'") {
        return target.origin == own;
    }
    if source == "*" || source.eq_ignore_ascii_case(&format!("{scheme}:")) {
        return true;
    }
    let (source_scheme, rest) = source.split_once("://").unwrap_or((scheme, source));
    let (source_host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (source_scheme, source_host) = (source_scheme.to_ascii_lowercase(), source_host.to_ascii_lowercase());
    let is_scheme = source_scheme == scheme || (source_scheme == "http" && scheme == "https");
    let is_host = match source_host.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|label| label.ends_with('.')),
        None => {
            host == source_host
                || host == source_host.trim_end_matches(":443")
                || (source_host.ends_with(":*") && source_host.strip_suffix(":*") == host.split(':').next())
        }
    };
    let is_path = match target.path {
        None => true,
        Some(_) if matches!(path, "" | "/") => true,
        Some(own) if path.ends_with('/') => own.starts_with(path),
        Some(own) => own == path,
    };
    is_scheme && is_host && is_path
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", true)]
    #[case("script-src 'self'", true)]
    #[case("frame-src https://imp.pandium.io", true)]
    #[case("frame-src https://imp.pandium.io/", true)]
    #[case("frame-src https://imp.pandium.io/acme", true)]
    #[case("frame-src https://imp.pandium.io/other", false)]
    #[case("frame-src https://*.pandium.io", true)]
    #[case("frame-src imp.pandium.io:443", true)]
    #[case("frame-src imp.pandium.io:*", true)]
    #[case("frame-src https:", true)]
    #[case("FRAME-SRC *", true)]
    #[case("default-src 'self' https://imp.pandium.io", true)]
    #[case("default-src *; child-src 'self'", false)]
    #[case("default-src 'self'", false)]
    #[case("frame-src 'none'", false)]
    #[case("frame-src https://pandium.io", false)]
    #[case("frame-src https://evil-imp.pandium.io.example", false)]
    #[case("frame-src *, frame-src 'self'", false)]
    fn a_policy_allows_or_blocks_the_marketplace(#[case] header: &str, #[case] is_allowed: bool) {
        let target = Target { origin: "https://imp.pandium.io", path: Some("/acme") };
        let directives = ["frame-src", "child-src", "default-src"];
        let frames = |policy: PageCsp<'_>| policy.allows(&directives, target, "https://app.example.com");
        assert_eq!(policies(header).all(frames), is_allowed, "{header}");
    }

    #[rstest]
    #[case("https://app.example.com/", "https://app.example.com/x", true)]
    #[case("https://app.example.com/", "https://sso.example.com/", true)]
    #[case("https://app.example.com/", "https://sso.app.example.com/", true)]
    #[case("http://app.example.com/", "https://app.example.com/", false)]
    #[case("https://evil.example/", "https://app.example.com/", false)]
    #[case("https://evil.com/", "https://example.com/", false)]
    fn the_cookie_is_sent_to_the_same_site_only(
        #[case] page: &str,
        #[case] entrance: &str,
        #[case] is_sent: bool,
    ) {
        let parse = |text: &str| Url::parse(text).unwrap();
        assert_eq!(is_same_site(&parse(page), &parse(entrance)), is_sent);
    }
}
