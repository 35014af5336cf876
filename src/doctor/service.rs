//! The service behind its proxy: does it answer, believe nobody who only says
//! so, keep its insides inside, and does what it sends fit through.

use reqwest::{Method, Url};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::probe::{Answer, NoAnswer, Probe};
use super::{Finding, SetUp, is_on_this_machine, shown};
use crate::authn::proxy_headers::presets;
use crate::clock::Timestamp;

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

/// The entrance's answer to a browser without a login, and when it came.
pub(super) struct FirstAnswer {
    page: Answer,
    before: Timestamp,
    after: Timestamp,
}

/// Asks for the first time; a finding, where that already says why nothing works.
pub(super) async fn first_answer(probe: &Probe, entrance: &Url) -> Result<FirstAnswer, Finding> {
    let before = Timestamp::now();
    let page = probe.get(entrance, &[&[PAGE], IN_A_FRAME.as_slice()].concat()).await;
    let page = page.map_err(|why| match why {
        NoAnswer::Tls(what) => Finding::broken(ENCRYPTION, format!("{}: {what}", shown(entrance))),
        NoAnswer::Other(why) => {
            Finding::broken(ANSWER, format!("{} does not answer: {why}", shown(entrance)))
        }
    })?;
    let after = Timestamp::now();
    if page.is_gateway_error() {
        // a page does not say its reason; and the proxy may only fail to reach the login
        let others = [(entrance.clone(), JSON), (component_url(entrance), JSON)];
        let mut is_all = true;
        for (url, accept) in others {
            is_all &= probe.get(&url, &[accept]).await.is_ok_and(|answer| answer.is_gateway_error());
        }
        if is_all {
            let what = format!(
                "nothing answers behind the proxy ({} to everything): start the service, and compare its \
                 server.listen with where the proxy passes requests on to",
                page.status
            );
            return Err(Finding::broken(ANSWER, what));
        }
    }
    Ok(FirstAnswer { page, before, after })
}

const ANSWER: &str = "answer";
const ENCRYPTION: &str = "encryption";

pub(super) async fn examine(
    probe: &Probe,
    set_up: &SetUp,
    first: FirstAnswer,
) -> (Vec<Finding>, Option<About>) {
    let entrance = &set_up.entrance;
    let FirstAnswer { page, before, after } = first;
    let mut findings = vec![encryption(entrance, &page)];
    findings.push(clock(&page, before, after));
    let told = probe.get(entrance, &[&[JSON], IN_A_FRAME.as_slice()].concat()).await.ok();
    let without = WithoutLogin::of(&page, told.as_ref());
    findings.push(without_login(&page, &without));
    findings.push(forged(probe, set_up, &without).await);
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

/// What the service says to a request without a login and without forged headers.
enum WithoutLogin {
    /// There is no identity, as it should be.
    Unauthenticated,
    /// There is one, and the user is signed on.
    SignedOn,
    /// There is one, and it is refused for this reason.
    Identified(String),
    /// It is not the service that answers, or for another reason.
    Unknown,
}

/// Reasons for which a user is refused whose identity has been accepted.
const REASONS_OF_IDENTIFIED: [&str; 3] = ["not_allowed", "bad_identity", "token_too_large"];

impl WithoutLogin {
    fn of(page: &Answer, told: Option<&Answer>) -> Self {
        if page.is_hand_off() || told.is_some_and(Answer::is_hand_off) {
            return Self::SignedOn;
        }
        match told.and_then(Answer::reason) {
            Some(reason) if reason == "unauthenticated" => Self::Unauthenticated,
            Some(reason) if REASONS_OF_IDENTIFIED.contains(&reason.as_str()) => Self::Identified(reason),
            Some(_) | None => Self::Unknown,
        }
    }
}

fn encryption(entrance: &Url, answer: &Answer) -> Finding {
    if entrance.scheme() != "https" {
        return if is_on_this_machine(entrance) {
            Finding::skipped(ENCRYPTION, "http, on this machine; from elsewhere it has to be https")
        } else {
            Finding::broken(ENCRYPTION, "the address is not https: anybody on the way can read tokens")
        };
    }
    if answer.header("strict-transport-security").is_empty() {
        return Finding::doubtful(
            ENCRYPTION,
            "https, without Strict-Transport-Security: have the proxy add \
             \"max-age=31536000\", so that browsers never try http",
        );
    }
    Finding::fine(ENCRYPTION, "https, and browsers are told to use nothing else")
}

fn clock(answer: &Answer, before: Timestamp, after: Timestamp) -> Finding {
    const ABOUT: &str = "clock";
    // RFC 9110 writes dates as RFC 2822 does, but for the zone
    let date = answer.header("date").replace("GMT", "+0000");
    let date =
        OffsetDateTime::parse(&date, &Rfc2822).ok().and_then(|date| date.unix_timestamp().try_into().ok());
    let Some(date) = date.map(Timestamp::from_unix_seconds) else {
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
fn without_login(page: &Answer, without: &WithoutLogin) -> Finding {
    const ABOUT: &str = "no login";
    match without {
        WithoutLogin::SignedOn => {
            let what = "EVERY REQUEST IS SIGNED ON, without any login: where does the identity come from?";
            return Finding::broken(ABOUT, what);
        }
        WithoutLogin::Identified(reason) => {
            let what = format!(
                "every request has an identity, without any login, and is refused only as {reason}: where does the \
                 identity come from?"
            );
            return Finding::broken(ABOUT, what);
        }
        WithoutLogin::Unauthenticated | WithoutLogin::Unknown => {}
    }
    let is_ours = matches!(without, WithoutLogin::Unauthenticated);
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

/// Where the component asks about an entrance.
fn component_url(entrance: &Url) -> Url {
    let mut url = entrance.clone();
    url.set_path("/embed.json");
    url.query_pairs_mut().clear().append_pair("entrance", entrance.path());
    url
}

async fn about(probe: &Probe, entrance: &Url) -> Result<About, Finding> {
    const ABOUT: &str = "entrance";
    let url = component_url(entrance);
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
        Err(why) => return broken(why.to_string()),
    };
    let about = serde_json::from_str::<About>(&answer.body).ok();
    match about.filter(|about| matches!(about.marketplace_origin.scheme(), "https" | "http")) {
        Some(about) => Ok(about),
        None => broken("what comes is not the service's".to_owned()),
    }
}

/// A stranger writes the headers that the proxy is to write: those of each
/// known proxy in turn, since together they would contradict each other.
async fn forged(probe: &Probe, set_up: &SetUp, without: &WithoutLogin) -> Finding {
    let known = presets::ALL.iter().map(|preset| preset.fields.iter().map(|(_, name)| *name).collect());
    let own = set_up.identity_headers.iter().map(String::as_str).collect();
    let mut worst: Option<Finding> = None;
    for names in known.chain([own]).filter(|names: &Vec<&str>| !names.is_empty()) {
        let finding = forged_by(probe, &set_up.entrance, &names, without).await;
        if worst.as_ref().is_none_or(|worst| finding.grade > worst.grade) {
            worst = Some(finding);
        }
    }
    worst.unwrap_or_else(|| Finding::skipped(FORGED, "there is nothing to forge"))
}

async fn forged_by(probe: &Probe, entrance: &Url, names: &[&str], without: &WithoutLogin) -> Finding {
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
    let is_usual = matches!(without, WithoutLogin::SignedOn | WithoutLogin::Identified(_));
    match answer.reason().as_deref() {
        _ if answer.is_hand_off_of(NOBODY) => {
            Finding::broken(FORGED, format!("A CLIENT SIGNS ON AS WHOM IT LIKES: {believed}"))
        }
        // with or without these headers: they are not where the identity comes from
        reason if is_usual && (answer.is_hand_off() || reason.is_some_and(is_of_identified)) => {
            Finding::skipped(
                FORGED,
                "not told: every request has an identity already; look again once that is corrected",
            )
        }
        _ if answer.is_hand_off() => {
            Finding::broken(FORGED, format!("SOMEBODY WITHOUT A LOGIN IS SIGNED ON: {believed}"))
        }
        // the service looked at who that is, and had something against him
        Some(reason) if is_of_identified(reason) => {
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

fn is_of_identified(reason: &str) -> bool {
    REASONS_OF_IDENTIFIED.contains(&reason)
}

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
        && answer.body.contains("marketplace_sso_requests")
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
