//! The page of the app around the frame: would the browser show it there.

use reqwest::Url;

use super::probe::{Answer, Probe};
use super::service::About;
use super::{Finding, SetUp, is_on_this_machine, shown};

/// `about`: what the service says of the entrance, where that could be read.
pub(super) async fn examine(probe: &Probe, set_up: &SetUp, about: Option<&About>) -> Vec<Finding> {
    let Some(page) = &set_up.page else {
        return vec![Finding::skipped("page", "not looked at: name the page with the frame with --page")];
    };
    // the user's cookie is the app's, not anybody's who is named here
    let cookie = set_up.cookie.iter().filter(|_| is_same_site(page, &set_up.entrance));
    let cookie: Vec<(&str, &str)> = cookie.map(|cookie| ("Cookie", cookie.as_str())).collect();
    let headers = [&[("Accept", "text/html")], cookie.as_slice()].concat();
    let answer = match probe.get(page, &headers).await {
        Ok(answer) if answer.status == 200 => answer,
        Ok(answer) => {
            let (page, status) = (shown(page), answer.status);
            let what = format!("{page} answers {status}, so its headers may be others; give --cookie-file");
            return vec![Finding::skipped("page", what)];
        }
        Err(why) => return vec![Finding::broken("page", format!("{} does not answer: {why}", shown(page)))],
    };
    vec![
        policy(&answer, page, set_up, about),
        component(&answer, page, set_up),
        opener(&answer),
        embedder(&answer),
        parents(probe, set_up, page).await,
    ]
}

/// Whether a cookie of one may be one of the other: the same host, or hosts of
/// one domain, by https or on this machine.
fn is_same_site(page: &Url, entrance: &Url) -> bool {
    let is_safe = page.scheme() == "https" || is_on_this_machine(page);
    let (Some(page), Some(entrance)) = (page.host_str(), entrance.host_str()) else { return false };
    let parent = |host: &str| {
        let (_, parent) = host.split_once('.')?;
        parent.contains('.').then(|| parent.to_owned())
    };
    let is_below = |host: &str, above: &str| host.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'));
    let is_near = page == entrance
        || is_below(page, entrance)
        || is_below(entrance, page)
        || (parent(page).is_some() && parent(page) == parent(entrance));
    is_safe && is_near
}

/// `frame-src`, which is checked again after the redirect.
fn policy(answer: &Answer, page: &Url, set_up: &SetUp, about: Option<&About>) -> Finding {
    const ABOUT: &str = "frame-src";
    let marketplace = about.map(|about| about.marketplace_origin.origin().ascii_serialization());
    let ours = set_up.entrance.origin().ascii_serialization();
    let directives = ["frame-src", "child-src", "default-src"];
    let frames = |target: Target<'_>| allows(answer, page, &directives, target);
    let mut missing = Vec::new();
    if !frames(Target { origin: &ours, path: Some(set_up.entrance.path()) }) {
        missing.push(ours.as_str());
    }
    // what a redirect leads to is compared without its path
    if let Some(marketplace) = marketplace.as_deref()
        && !frames(Target { origin: marketplace, path: None })
    {
        missing.push(marketplace);
    }
    if missing.is_empty() && marketplace.is_none() {
        return Finding::skipped(
            ABOUT,
            "the page's Content-Security-Policy lets the frame in; whether it lets the marketplace in is not told, \
             since /embed.json cannot be read",
        );
    }
    if missing.is_empty() {
        return Finding::fine(
            ABOUT,
            "the page's Content-Security-Policy lets the frame and the marketplace in",
        );
    }
    let what = format!(
        "the page's Content-Security-Policy keeps the frame out: add {} to its frame-src",
        missing.join(" and ")
    );
    Finding::broken(ABOUT, what)
}

/// What the component needs, which a page may well do without.
fn component(answer: &Answer, page: &Url, set_up: &SetUp) -> Finding {
    const ABOUT: &str = "component";
    let ours = set_up.entrance.origin().ascii_serialization();
    let scripts = ["script-src-elem", "script-src", "default-src"];
    let asks = ["connect-src", "default-src"];
    let allows = |directives: &[&str], path| {
        allows(answer, page, directives, Target { origin: &ours, path: Some(path) })
    };
    if allows(&scripts, "/embed.js") && allows(&asks, "/embed.json") {
        return Finding::fine(ABOUT, "the page's Content-Security-Policy lets <marketplace-frame> work");
    }
    let what = format!(
        "the page's Content-Security-Policy keeps <marketplace-frame> from working; if the page has one, add {ours} \
         to its script-src and connect-src"
    );
    Finding::doubtful(ABOUT, what)
}

/// `Cross-Origin-Opener-Policy`: connectors open their login in a pop-up.
fn opener(answer: &Answer) -> Finding {
    const ABOUT: &str = "opener";
    match answer.header("cross-origin-opener-policy").as_str() {
        policy if policy.starts_with("same-origin") && !policy.starts_with("same-origin-allow-popups") => {
            Finding::broken(
                ABOUT,
                "Cross-Origin-Opener-Policy: same-origin cuts connectors' pop-ups off; write same-origin-allow-popups",
            )
        }
        policy if policy.starts_with("noopener-allow-popups") => Finding::doubtful(
            ABOUT,
            "pop-ups of connectors may not find their way back; write same-origin-allow-popups",
        ),
        _ => Finding::fine(ABOUT, "pop-ups of connectors find their way back"),
    }
}

/// `Cross-Origin-Embedder-Policy`: frames must send one, and the marketplace does not.
fn embedder(answer: &Answer) -> Finding {
    const ABOUT: &str = "embedder";
    match answer.header("cross-origin-embedder-policy").as_str() {
        "" | "unsafe-none" => Finding::fine(ABOUT, "frames need no Cross-Origin-Embedder-Policy"),
        policy => Finding::broken(
            ABOUT,
            format!(
                "Cross-Origin-Embedder-Policy: {policy} blocks every frame that sends none, as the marketplace's"
            ),
        ),
    }
}

/// Whether the service lets this page frame it.
async fn parents(probe: &Probe, set_up: &SetUp, page: &Url) -> Finding {
    const ABOUT: &str = "parents";
    let referer = format!("{}/", page.origin().ascii_serialization());
    let headers = [
        ("Accept", "application/json"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Referer", referer.as_str()),
    ];
    let answer = match probe.get(&set_up.entrance, &headers).await {
        Ok(answer) => answer,
        Err(why) => return Finding::skipped(ABOUT, format!("not answered: {why}")),
    };
    match answer.reason().as_deref() {
        Some("embedding_not_allowed") => {
            let origin = referer.trim_end_matches('/');
            Finding::broken(ABOUT, format!("the service refuses this page: add {origin} to embed.parents"))
        }
        Some(_) => Finding::fine(ABOUT, "the service lets this page frame it"),
        None if answer.is_hand_off() => Finding::fine(ABOUT, "the service lets this page frame it"),
        None => Finding::skipped(ABOUT, "not told: the proxy answers in place of the service"),
    }
}

/// What a page wants to show or to load.
#[derive(Clone, Copy)]
struct Target<'a> {
    origin: &'a str,
    /// None where it does not matter: behind a redirect.
    path: Option<&'a str>,
}

/// Whether every policy of an answer lets a page do that; the first directive
/// that is there decides.
fn allows(answer: &Answer, page: &Url, directives: &[&str], target: Target<'_>) -> bool {
    let own = page.origin().ascii_serialization();
    let header = answer.header("content-security-policy");
    policies(&header).all(|policy| policy.allows(directives, target, &own))
}

/// A policy of a page (CSP Level 3).
struct PagePolicy<'a>(&'a str);

/// All policies of a header; each must allow what is shown.
fn policies(header: &str) -> impl Iterator<Item = PagePolicy<'_>> {
    header.split(',').map(PagePolicy)
}

impl PagePolicy<'_> {
    fn allows(&self, directives: &[&str], target: Target<'_>, own: &str) -> bool {
        let sources = |name: &&str| {
            let mut all = self.0.split(';').map(str::split_ascii_whitespace);
            all.find_map(|mut words| words.next()?.eq_ignore_ascii_case(name).then_some(words))
        };
        match directives.iter().find_map(sources) {
            Some(mut sources) => sources.any(|source| is_met(source, target, own)),
            None => true,
        }
    }
}

/// Whether a source expression is met (CSP Level 3, 6.7.2.8).
fn is_met(source: &str, target: Target<'_>, own: &str) -> bool {
    let (scheme, host) = target.origin.split_once("://").unwrap_or(("", target.origin));
    if source.eq_ignore_ascii_case("'self'") {
        return target.origin == own;
    }
    if source == "*" || source.eq_ignore_ascii_case(&format!("{scheme}:")) {
        return true;
    }
    let (wanted_scheme, rest) = source.split_once("://").unwrap_or((scheme, source));
    let (wanted, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (wanted_scheme, wanted) = (wanted_scheme.to_ascii_lowercase(), wanted.to_ascii_lowercase());
    let is_scheme = wanted_scheme == scheme || (wanted_scheme == "http" && scheme == "https");
    let is_host = match wanted.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|label| label.ends_with('.')),
        None => {
            host == wanted
                || host == wanted.trim_end_matches(":443")
                || (wanted.ends_with(":*") && wanted.strip_suffix(":*") == host.split(':').next())
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
    fn a_policy_lets_the_marketplace_in_or_not(#[case] header: &str, #[case] is_shown: bool) {
        let target = Target { origin: "https://imp.pandium.io", path: Some("/acme") };
        let directives = ["frame-src", "child-src", "default-src"];
        let frames = |policy: PagePolicy<'_>| policy.allows(&directives, target, "https://app.example.com");
        assert_eq!(policies(header).all(frames), is_shown, "{header}");
    }

    #[rstest]
    #[case("https://app.example.com/", "https://app.example.com/x", true)]
    #[case("https://app.example.com/", "https://sso.example.com/", true)]
    #[case("https://app.example.com/", "https://sso.app.example.com/", true)]
    #[case("http://app.example.com/", "https://app.example.com/", false)]
    #[case("https://evil.example/", "https://app.example.com/", false)]
    #[case("https://evil.com/", "https://example.com/", false)]
    fn a_users_cookie_goes_to_his_own_app_alone(
        #[case] page: &str,
        #[case] entrance: &str,
        #[case] goes: bool,
    ) {
        let parse = |text: &str| Url::parse(text).unwrap();
        assert_eq!(is_same_site(&parse(page), &parse(entrance)), goes);
    }
}
