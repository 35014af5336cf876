//! The page of the app around the frame: would the browser show it there.

use reqwest::Url;

use super::probe::{Answer, Probe};
use super::service::About;
use super::{Finding, SetUp};

pub(super) async fn examine(probe: &Probe, set_up: &SetUp, about: &About) -> Vec<Finding> {
    let Some(page) = &set_up.page else {
        return vec![Finding::skipped("page", "not looked at: name the page with the frame with --page")];
    };
    let cookie: Vec<(&str, &str)> = set_up.cookie.iter().map(|cookie| ("Cookie", cookie.as_str())).collect();
    let headers = [&[("Accept", "text/html")], cookie.as_slice()].concat();
    let answer = match probe.get(page, &headers).await {
        Ok(answer) if answer.status == 200 => answer,
        Ok(answer) => {
            let what =
                format!("{page} answers {}, so its headers may be others; give --cookie-file", answer.status);
            return vec![Finding::skipped("page", what)];
        }
        Err(why) => return vec![Finding::broken("page", format!("{page} does not answer: {why}"))],
    };
    let needed = [set_up.entrance.origin().ascii_serialization(), about.marketplace_origin.clone()];
    vec![
        policy(&answer, page, &needed),
        opener(&answer),
        embedder(&answer),
        parents(probe, set_up, page).await,
    ]
}

/// `frame-src`, which is checked again after the redirect.
fn policy(answer: &Answer, page: &Url, needed: &[String]) -> Finding {
    const ABOUT: &str = "frame-src";
    let origin = page.origin().ascii_serialization();
    let missing: Vec<&str> = needed
        .iter()
        .filter(|needed| {
            policies(&answer.header("content-security-policy"))
                .iter()
                .any(|policy| !policy.frames(needed, &origin))
        })
        .map(String::as_str)
        .collect();
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
    match probe.get(&set_up.entrance, &headers).await {
        Ok(answer) if answer.body.contains("frame_not_allowed") => {
            let what = format!(
                "the service refuses this page: add {} to embed.parents",
                referer.trim_end_matches('/')
            );
            Finding::broken(ABOUT, what)
        }
        Ok(_) => Finding::fine(ABOUT, "the service lets this page frame it"),
        Err(why) => Finding::skipped(ABOUT, format!("not answered: {why}")),
    }
}

/// A policy of a page (CSP Level 3), as far as it is about frames.
struct PagePolicy<'a> {
    /// The sources of the directive that decides; none where none does.
    sources: Option<Vec<&'a str>>,
}

/// All policies of a header; each must allow what is shown.
fn policies(header: &str) -> Vec<PagePolicy<'_>> {
    let policy = |text| {
        let find = |name: &str| {
            let mut directives = str::split(text, ';').map(str::split_ascii_whitespace);
            directives.find_map(|mut words| {
                words.next().is_some_and(|own| own.eq_ignore_ascii_case(name)).then(|| words.collect())
            })
        };
        PagePolicy {
            sources: find("frame-src").or_else(|| find("child-src")).or_else(|| find("default-src")),
        }
    };
    header.split(',').map(policy).collect()
}

impl PagePolicy<'_> {
    /// Whether a page of `own` may show a frame of that origin.
    fn frames(&self, origin: &str, own: &str) -> bool {
        let Some(sources) = &self.sources else { return true };
        sources.iter().any(|source| is_met(source, origin, own))
    }
}

/// Whether a source expression (CSP Level 3, 6.7.2.8) is met by an origin.
fn is_met(source: &str, origin: &str, own: &str) -> bool {
    let source = source.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, host) = origin.split_once("://").unwrap_or(("", origin));
    if source == "'self'" {
        return origin == own;
    }
    if source == "*" || source == format!("{scheme}:") {
        return true;
    }
    let (wanted_scheme, wanted) = source.split_once("://").unwrap_or((scheme, &source));
    // what stands behind the host is a path, which a redirect makes be overlooked
    let wanted = wanted.split('/').next().unwrap_or(wanted);
    let is_scheme = wanted_scheme == scheme || (wanted_scheme == "http" && scheme == "https");
    let is_host = match wanted.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|label| label.ends_with('.')),
        None => {
            host == wanted
                || host == wanted.trim_end_matches(":443")
                || wanted.strip_suffix(":*") == host.split(':').next()
        }
    };
    is_scheme && is_host
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
    #[case("frame-src https://*.pandium.io", true)]
    #[case("frame-src imp.pandium.io:443", true)]
    #[case("frame-src https:", true)]
    #[case("FRAME-SRC *", true)]
    #[case("default-src 'self' https://imp.pandium.io", true)]
    #[case("default-src *; child-src 'self'", false)]
    #[case("default-src 'self'", false)]
    #[case("frame-src 'none'", false)]
    #[case("frame-src https://pandium.io", false)]
    #[case("frame-src https://evil-imp.pandium.io.example", false)]
    #[case("frame-src *, frame-src 'self'", false)]
    fn a_policy_lets_the_marketplace_in_or_not(#[case] policy: &str, #[case] is_shown: bool) {
        let frames =
            |policy: &PagePolicy<'_>| policy.frames("https://imp.pandium.io", "https://app.example.com");
        assert_eq!(policies(policy).iter().all(frames), is_shown, "{policy}");
    }
}
