//! The service behind its proxy: does it answer, believe nobody who only says
//! so, keep its insides inside, and does what it sends fit through.

use reqwest::{Method, Url};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::probe::{Answer, Probe};
use super::{Finding, SetUp};
use crate::clock::Moment;
use crate::identity::proxy_headers::presets;

/// What the service says of an entrance (`/embed.json`).
#[derive(Debug, Deserialize)]
pub(super) struct About {
    pub marketplace_origin: String,
    pub login_url: Option<String>,
}

/// What a browser sends when a frame of the app goes somewhere.
const IN_A_FRAME: [(&str, &str); 4] = [
    ("Accept", "text/html"),
    ("Sec-Fetch-Dest", "iframe"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
];

/// Somebody who does not exist (RFC 2606, 2), for headers that are forged.
const NOBODY: &str = "doctor@forged.invalid";

/// Seconds by which two clocks may differ before tokens are refused for it.
const MAX_SKEW_S: i64 = 5;

/// nginx buffers the headers of an answer in this, unless told otherwise.
const PROXY_BUFFER_BYTES: usize = 4096;

pub(super) async fn examine(probe: &Probe, set_up: &SetUp, now: Moment) -> (Vec<Finding>, Option<About>) {
    let entrance = &set_up.entrance;
    let mut findings = vec![encryption(probe, entrance).await];
    let answer = match probe.get(entrance, &IN_A_FRAME).await {
        Ok(answer) => answer,
        Err(why) => {
            findings.push(Finding::broken("answer", format!("{entrance} does not answer: {why}")));
            return (findings, None);
        }
    };
    findings.push(clock(&answer, now));
    findings.push(without_login(&answer));
    let about = match about(probe, entrance).await {
        Ok(about) => about,
        Err(finding) => {
            findings.push(finding);
            return (findings, None);
        }
    };
    findings.push(forged(probe, set_up, &about).await);
    findings.push(other_methods(probe, entrance, &about).await);
    findings.push(with_login(probe, set_up, &about).await);
    findings.push(marketplace(probe, &about).await);
    findings.push(insides(probe, entrance).await);
    if about.login_url.is_none() {
        findings.push(Finding::doubtful(
            "login",
            "embed.login_url is empty, so a page that lost its login has no way back; name it",
        ));
    }
    (findings, Some(about))
}

async fn encryption(probe: &Probe, entrance: &Url) -> Finding {
    const ABOUT: &str = "encryption";
    if entrance.scheme() != "https" {
        return Finding::broken(ABOUT, "the address is not https: anybody on the way can read tokens");
    }
    match probe.get(entrance, &[]).await {
        Err(why) => Finding::broken(ABOUT, format!("no encrypted connection: {why}")),
        Ok(answer) if answer.header("strict-transport-security").is_empty() => Finding::doubtful(
            ABOUT,
            "https, without Strict-Transport-Security: have the proxy add \
             \"max-age=31536000\", so that browsers never try http",
        ),
        Ok(_) => Finding::fine(ABOUT, "https, and browsers are told to use nothing else"),
    }
}

fn clock(answer: &Answer, now: Moment) -> Finding {
    const ABOUT: &str = "clock";
    // RFC 9110 writes dates as RFC 2822 does, but for the zone
    let date = answer.header("date").replace("GMT", "+0000");
    let Ok(date) = OffsetDateTime::parse(&date, &Rfc2822) else {
        return Finding::skipped(ABOUT, "the answer has no Date to compare with");
    };
    let skew = (date - now.to_utc()).whole_seconds();
    if skew.abs() > MAX_SKEW_S {
        let what = format!("the server's clock and this machine's differ by {skew} s; tokens carry the time");
        return Finding::doubtful(ABOUT, what);
    }
    Finding::fine(ABOUT, format!("the server's clock is right to {} s", skew.abs().max(1)))
}

/// What a frame shows whose login has ended.
fn without_login(answer: &Answer) -> Finding {
    const ABOUT: &str = "no login";
    let is_ours = !answer.header("x-request-id").is_empty();
    match answer.status {
        401 if is_ours && answer.body.contains("marketplace-sso") => {
            Finding::fine(ABOUT, "without a login the service's own page is shown (401)")
        }
        200..=299 => Finding::broken(ABOUT, "without a login the entrance answers as if there were one"),
        301..=303 | 307 | 308 => Finding::doubtful(
            ABOUT,
            format!(
                "without a login the browser is sent to {}: identity providers refuse to be framed; pass the \
                 request on without an identity instead",
                host_of(&answer.header("location"))
            ),
        ),
        status => Finding::doubtful(
            ABOUT,
            format!(
                "without a login the proxy answers {status} itself; the service's page would help people more"
            ),
        ),
    }
}

async fn about(probe: &Probe, entrance: &Url) -> Result<About, Finding> {
    const ABOUT: &str = "entrance";
    let mut url = entrance.clone();
    url.set_path("/embed.json");
    url.set_query(None);
    url.query_pairs_mut().append_pair("entrance", entrance.path());
    let why = match probe.get(&url, &[]).await {
        Err(why) => why,
        Ok(answer) if answer.status == 200 => match serde_json::from_str(&answer.body) {
            Ok(about) => return Ok(about),
            Err(_) => "what comes is not the service's".to_owned(),
        },
        Ok(answer) => format!("it answers {}", answer.status),
    };
    let what =
        format!("{url} cannot be read ({why}); pass /embed, /embed.js and /embed.json on to the service");
    Err(Finding::broken(ABOUT, what))
}

/// A stranger writes the headers that the proxy is to write.
async fn forged(probe: &Probe, set_up: &SetUp, about: &About) -> Finding {
    const ABOUT: &str = "forged headers";
    let known = presets::ALL.iter().flat_map(|preset| preset.fields).map(|(_, name)| *name);
    let own = set_up.identity_headers.iter().map(String::as_str);
    let mut headers: Vec<(&str, &str)> = known.chain(own).map(|name| (name, NOBODY)).collect();
    headers.extend(IN_A_FRAME);
    headers.push(("X-Forwarded-For", "127.0.0.1"));
    match probe.get(&set_up.entrance, &headers).await {
        Ok(answer) if answer.is_hand_off(&about.marketplace_origin) => Finding::broken(
            ABOUT,
            "SOMEBODY WITHOUT A LOGIN IS SIGNED ON: a client's own identity header is believed. Have the proxy \
             overwrite it on every request, and let nobody else connect to the service",
        ),
        Ok(answer) => Finding::fine(
            ABOUT,
            format!("a client's own identity headers sign nobody on ({})", answer.status),
        ),
        Err(why) => Finding::skipped(ABOUT, format!("not answered: {why}")),
    }
}

async fn other_methods(probe: &Probe, entrance: &Url, about: &About) -> Finding {
    const ABOUT: &str = "methods";
    match probe.ask(Method::POST, entrance, &[]).await {
        Ok(answer) if answer.is_hand_off(&about.marketplace_origin) => {
            Finding::broken(ABOUT, "a POST is sent on to the marketplace, with what it carries")
        }
        Ok(answer) => Finding::fine(ABOUT, format!("a POST is not sent on ({})", answer.status)),
        Err(why) => Finding::skipped(ABOUT, format!("not answered: {why}")),
    }
}

/// A signed-in user, if we may be one.
async fn with_login(probe: &Probe, set_up: &SetUp, about: &About) -> Finding {
    const ABOUT: &str = "signed in";
    let Some(cookie) = &set_up.cookie else {
        return Finding::skipped(
            ABOUT,
            "not looked at: give the cookie of a signed-in user with --cookie-file",
        );
    };
    let headers = [IN_A_FRAME.as_slice(), &[("Cookie", cookie.as_str())]].concat();
    match probe.get(&set_up.entrance, &headers).await {
        Err(why) => Finding::broken(ABOUT, format!("not answered: {why}")),
        Ok(answer) if !answer.is_hand_off(&about.marketplace_origin) => {
            let reason = reason_of(&answer.body).map_or(String::new(), |reason| format!(" ({reason})"));
            let what =
                format!("the user is not signed on: {}{reason}; is the cookie still good?", answer.status);
            Finding::broken(ABOUT, what)
        }
        Ok(answer) => {
            let (location, all) = (answer.header("location").len(), answer.header_bytes());
            let sizes = format!("the address has {location} bytes, all headers {all}");
            if all > PROXY_BUFFER_BYTES {
                let what = format!(
                    "the user is signed on; {sizes}: more than a proxy buffers by default, raise its buffers"
                );
                return Finding::doubtful(ABOUT, what);
            }
            if !answer.header("cache-control").contains("no-store") {
                return Finding::broken(ABOUT, "the answer may be cached: leave our Cache-Control as it is");
            }
            Finding::fine(ABOUT, format!("the user is signed on; {sizes}"))
        }
    }
}

async fn marketplace(probe: &Probe, about: &About) -> Finding {
    const ABOUT: &str = "marketplace";
    let origin = &about.marketplace_origin;
    let Ok(url) = Url::parse(origin) else {
        return Finding::broken(ABOUT, "the service names no marketplace");
    };
    match probe.get(&url, &[]).await {
        Ok(answer) => Finding::fine(ABOUT, format!("{origin} answers ({})", answer.status)),
        Err(why) => Finding::doubtful(ABOUT, format!("{origin} does not answer from here: {why}")),
    }
}

/// What is for operators alone.
async fn insides(probe: &Probe, entrance: &Url) -> Finding {
    const ABOUT: &str = "insides";
    let at = |path: &str| {
        let mut url = entrance.clone();
        url.set_path(path);
        url.set_query(None);
        url
    };
    if let Ok(answer) = probe.get(&at("/metrics"), &[]).await
        && answer.status == 200
        && answer.body.contains("sso_requests")
    {
        return Finding::broken(
            ABOUT,
            "/metrics can be read from outside: pass only the entrances and /embed… on",
        );
    }
    match probe.get(&at("/readyz"), &[]).await {
        Ok(answer) if answer.status == 200 && answer.body.contains("\"version\"") => Finding::doubtful(
            ABOUT,
            "/readyz can be read from outside, and tells the version: pass only the entrances and /embed… on",
        ),
        _ => Finding::fine(ABOUT, "health and metrics are not seen from outside"),
    }
}

/// The reason that a page or a problem of ours names.
fn reason_of(body: &str) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(problem.get("reason")?.as_str()?.to_owned())
}

/// The host of an address, which may carry anything else.
fn host_of(address: &str) -> String {
    Url::parse(address)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "elsewhere".into())
}
