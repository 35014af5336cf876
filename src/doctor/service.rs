//! The service behind its proxy: does it answer, believe nobody who only says
//! so, keep its insides inside, and does what it sends fit through.

use reqwest::{Method, Url};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::probe::{Answer, Probe};
use super::{Finding, SetUp, is_on_this_machine, shown};
use crate::clock::Moment;
use crate::identity::proxy_headers::presets;

/// What the service says of an entrance (`/embed.json`).
#[derive(Debug, Deserialize)]
pub(super) struct About {
    pub marketplace_origin: Url,
    pub login_url: Option<String>,
}

/// What a browser sends when a frame of the app goes somewhere.
const IN_A_FRAME: [(&str, &str); 3] =
    [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "same-origin")];

const PAGE: (&str, &str) = ("Accept", "text/html");
const JSON: (&str, &str) = ("Accept", "application/json");

/// Somebody who does not exist (RFC 2606, 2), for headers that are forged.
const NOBODY: &str = "doctor@forged.invalid";

/// The same, as Azure writes a principal: base64 of JSON.
const NOBODYS_PRINCIPAL: &str = concat!(
    "eyJpZGVudGl0eVByb3ZpZGVyIjoiYWFkIiwidXNlcklkIjoiZG9jdG9yQGZvcmdlZC5pbnZhbGlkIiwidXNlck",
    "RldGFpbHMiOiJkb2N0b3JAZm9yZ2VkLmludmFsaWQiLCJ1c2VyUm9sZXMiOlsiYXV0aGVudGljYXRlZCJdfQ=="
);

/// Seconds by which two clocks may differ before tokens are refused for it.
const MAX_SKEW_S: u64 = 5;

/// nginx buffers the headers of an answer in this, unless told otherwise.
const PROXY_BUFFER_BYTES: usize = 4096;

pub(super) async fn examine(probe: &Probe, set_up: &SetUp) -> (Vec<Finding>, Option<About>) {
    let entrance = &set_up.entrance;
    let mut findings = vec![encryption(probe, entrance).await];
    let before = Moment::now();
    let answer = match probe.get(entrance, &[&[PAGE], IN_A_FRAME.as_slice()].concat()).await {
        Ok(answer) => answer,
        Err(why) => {
            findings.push(Finding::broken("answer", format!("{} does not answer: {why}", shown(entrance))));
            return (findings, None);
        }
    };
    findings.push(clock(&answer, before, Moment::now()));
    findings.push(without_login(probe, entrance, &answer).await);
    findings.push(forged(probe, set_up).await);
    findings.push(other_methods(probe, entrance).await);
    findings.push(with_login(probe, set_up).await);
    findings.push(insides(probe, entrance).await);
    match about(probe, entrance).await {
        Ok(about) => {
            findings.push(marketplace(probe, &about).await);
            if about.login_url.is_none() {
                let what = "embed.login_url is empty, so a page that lost its login has no way back; name it";
                findings.push(Finding::doubtful("login", what));
            }
            (findings, Some(about))
        }
        Err(finding) => {
            findings.push(finding);
            (findings, None)
        }
    }
}

async fn encryption(probe: &Probe, entrance: &Url) -> Finding {
    const ABOUT: &str = "encryption";
    if entrance.scheme() != "https" {
        return if is_on_this_machine(entrance) {
            Finding::skipped(ABOUT, "http, on this machine; from elsewhere it has to be https")
        } else {
            Finding::broken(ABOUT, "the address is not https: anybody on the way can read tokens")
        };
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

fn clock(answer: &Answer, before: Moment, after: Moment) -> Finding {
    const ABOUT: &str = "clock";
    // RFC 9110 writes dates as RFC 2822 does, but for the zone
    let date = answer.header("date").replace("GMT", "+0000");
    let date =
        OffsetDateTime::parse(&date, &Rfc2822).ok().and_then(|date| date.unix_timestamp().try_into().ok());
    let Some(date) = date.map(Moment::from_unix_seconds) else {
        return Finding::skipped(ABOUT, "the answer has no Date to compare with");
    };
    let skew_s = before.seconds_since(date).max(date.seconds_since(after));
    if skew_s > MAX_SKEW_S {
        let what =
            format!("the server's clock and this machine's differ by {skew_s} s; tokens carry the time");
        return Finding::doubtful(ABOUT, what);
    }
    Finding::fine(ABOUT, "the server's clock and this machine's agree")
}

/// What a frame shows whose login has ended.
async fn without_login(probe: &Probe, entrance: &Url, page: &Answer) -> Finding {
    const ABOUT: &str = "no login";
    if page.is_hand_off() {
        return Finding::broken(
            ABOUT,
            "EVERYBODY IS SIGNED ON, without any login: where does the identity come from?",
        );
    }
    let told = probe.get(entrance, &[&[JSON], IN_A_FRAME.as_slice()].concat()).await;
    let is_ours = told.is_ok_and(|told| told.reason().as_deref() == Some("no_identity"));
    match page.status {
        401 if is_ours => Finding::fine(ABOUT, "without a login the service's own page is shown (401)"),
        200..=299 => Finding::broken(ABOUT, "without a login the entrance answers as if there were one"),
        301..=303 | 307 | 308 => Finding::doubtful(
            ABOUT,
            format!(
                "without a login the browser is sent to {}: identity providers refuse to be framed; pass the \
                 request on without an identity instead",
                host_of(&page.header("location"))
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
    url.query_pairs_mut().clear().append_pair("entrance", entrance.path());
    let broken = |why: String| {
        let what = format!(
            "{} cannot be read ({why}), which the component needs: pass /embed.js and /embed.json on to the \
             service, without a login; and write the entrance exactly, without a slash at its end",
            shown(&url)
        );
        Err(Finding::doubtful(ABOUT, what))
    };
    let answer = match probe.get(&url, &[]).await {
        Ok(answer) if answer.status == 200 => answer,
        Ok(answer) => return broken(format!("it answers {}", answer.status)),
        Err(why) => return broken(why),
    };
    let about = serde_json::from_str::<About>(&answer.body).ok();
    match about.filter(|about| matches!(about.marketplace_origin.scheme(), "https" | "http")) {
        Some(about) => Ok(about),
        None => broken("what comes is not the service's".to_owned()),
    }
}

/// A stranger writes the headers that the proxy is to write: those of each
/// known proxy in turn, since together they would contradict each other.
async fn forged(probe: &Probe, set_up: &SetUp) -> Finding {
    let known = presets::ALL.iter().map(|preset| preset.fields.iter().map(|(_, name)| *name).collect());
    let own = set_up.identity_headers.iter().map(String::as_str).collect();
    let mut worst: Option<Finding> = None;
    for names in known.chain([own]).filter(|names: &Vec<&str>| !names.is_empty()) {
        let finding = forged_by(probe, &set_up.entrance, &names).await;
        if worst.as_ref().is_none_or(|worst| finding.grade > worst.grade) {
            worst = Some(finding);
        }
    }
    worst.unwrap_or_else(|| Finding::skipped(FORGED, "there is nothing to forge"))
}

async fn forged_by(probe: &Probe, entrance: &Url, names: &[&str]) -> Finding {
    let principal = |name: &str| if name.ends_with("client-principal") { NOBODYS_PRINCIPAL } else { NOBODY };
    let mut headers: Vec<(&str, &str)> = names.iter().map(|name| (*name, principal(name))).collect();
    headers.extend(IN_A_FRAME);
    headers.extend([JSON, ("X-Forwarded-For", "127.0.0.1")]);
    let answer = match probe.get(entrance, &headers).await {
        Ok(answer) => answer,
        Err(why) => return Finding::doubtful(FORGED, format!("the question was not answered: {why}")),
    };
    let first = names.first().copied().unwrap_or_default();
    let believed = format!(
        "a client's own {first} is believed. Have the proxy overwrite it on every request, and let nobody else \
         connect to the service"
    );
    match answer.reason().as_deref() {
        _ if answer.is_hand_off() => {
            Finding::broken(FORGED, format!("SOMEBODY WITHOUT A LOGIN IS SIGNED ON: {believed}"))
        }
        // the service looked at who that is, and had something against him
        Some(reason @ ("not_allowed" | "bad_identity" | "token_too_large")) => {
            Finding::broken(FORGED, format!("A STRANGER ONLY LACKS A BETTER NAME ({reason}): {believed}"))
        }
        Some("ambiguous_identity") => Finding::doubtful(
            FORGED,
            format!(
                "a client's own {first} reaches the service, which refuses it beside the proxy's: have it overwritten"
            ),
        ),
        _ => Finding::fine(
            FORGED,
            format!("a client's own identity headers sign nobody on ({})", answer.status),
        ),
    }
}

const FORGED: &str = "forged headers";

async fn other_methods(probe: &Probe, entrance: &Url) -> Finding {
    const ABOUT: &str = "methods";
    match probe.ask(Method::POST, entrance, &[]).await {
        Ok(answer) if answer.is_hand_off() => {
            Finding::broken(ABOUT, "a POST is sent on to the marketplace, with what it carries")
        }
        Ok(answer) => Finding::fine(ABOUT, format!("a POST is not sent on ({})", answer.status)),
        Err(why) => Finding::skipped(ABOUT, format!("not answered: {why}")),
    }
}

/// A signed-in user, if we may be one.
async fn with_login(probe: &Probe, set_up: &SetUp) -> Finding {
    const ABOUT: &str = "signed in";
    let Some(cookie) = &set_up.cookie else {
        return Finding::skipped(
            ABOUT,
            "not looked at: give the cookie of a signed-in user with --cookie-file",
        );
    };
    let ask = async |accept| {
        let headers = [&[accept, ("Cookie", cookie.as_str())], IN_A_FRAME.as_slice()].concat();
        probe.get(&set_up.entrance, &headers).await
    };
    let answer = match ask(PAGE).await {
        Ok(answer) => answer,
        Err(why) => return Finding::broken(ABOUT, format!("not answered: {why}")),
    };
    if matches!(answer.status, 500 | 502) && answer.reason().is_none() {
        let what = format!(
            "the proxy answers {}: most often the address is longer than it buffers; raise proxy_buffer_size",
            answer.status
        );
        return Finding::broken(ABOUT, what);
    }
    if !answer.is_hand_off() {
        let reason = ask(JSON).await.ok().and_then(|told| told.reason());
        let why = reason.unwrap_or_else(|| "the proxy's own answer; is the cookie still good?".to_owned());
        return Finding::broken(ABOUT, format!("the user is not signed on: {} ({why})", answer.status));
    }
    if !answer.header("cache-control").contains("no-store") {
        return Finding::broken(ABOUT, "the answer may be cached: leave our Cache-Control as it is");
    }
    let (location, all) = (answer.header("location").len(), answer.header_bytes());
    let sizes = format!("the address has {location} bytes, all headers {all}");
    if all > PROXY_BUFFER_BYTES {
        let what = format!(
            "the user is signed on; {sizes}: more than a proxy buffers by default, raise its buffers"
        );
        return Finding::doubtful(ABOUT, what);
    }
    Finding::fine(ABOUT, format!("the user is signed on; {sizes}"))
}

async fn marketplace(probe: &Probe, about: &About) -> Finding {
    const ABOUT: &str = "marketplace";
    let origin = about.marketplace_origin.origin().ascii_serialization();
    match probe.get(&about.marketplace_origin, &[]).await {
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

/// The host of an address, which may carry anything else.
fn host_of(address: &str) -> String {
    Url::parse(address)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "elsewhere".into())
}
