//! A record in the form in which the page shows it: four steps, each with the party that performs
//! it, a line of text, and the data that was sent.

use serde::Serialize;

use super::Settings;
use super::record::{
    Answered, Asked, Entry, Exchange, Fields, Forwarded, Kind, LoadReport, Visit, shorten_tokens,
};
use crate::jwt::compact::Compact;
use crate::playground::load::CLIENTS;
use crate::playground::token_rules::describe_claims;

/// An entry of the trace, in the form for the page.
#[derive(Debug, Serialize)]
pub struct Story {
    pub id: u64,
    pub at_ms: i64,
    /// A line for the list of earlier entries.
    pub title: String,
    pub is_refused: bool,
    /// What the frame in the app's page shows after this entry; `None` if the entry does not
    /// concern that frame.
    pub frame: Option<Shown>,
    pub steps: Vec<Step>,
}

/// What the frame shows.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The party whose page it is.
    pub party: Party,
    /// The URL, with the token shortened.
    pub url: String,
}

/// The party that performs a step; also the name of its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    App,
    Service,
    Marketplace,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done,
    Refused,
    /// The step was not performed.
    Skipped,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct Step {
    pub party: Party,
    pub outcome: Outcome,
    pub title: String,
    pub line: String,
    /// A short text after the title, such as a status.
    pub badge: String,
    pub sections: Vec<Section>,
}

/// A part of a step's details: a text, or a table.
#[derive(Debug, Serialize)]
pub struct Section {
    pub title: &'static str,
    pub text: String,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Story {
    /// Describes an entry. `signed` is the entry in which the token of a visit was signed.
    pub fn tell(entry: &Entry, signed: Option<&Entry>, settings: &Settings) -> Self {
        let (title, frame, steps) = match &entry.kind {
            Kind::Exchange(exchange) => {
                (title_of(exchange), shown_by(exchange, settings), steps_of(exchange, settings))
            }
            Kind::Again { visit, .. } => {
                let exchange = match signed.map(|entry| &entry.kind) {
                    Some(Kind::Exchange(exchange)) => Some(exchange),
                    Some(Kind::Again { .. } | Kind::Load(_)) | None => None,
                };
                let mut steps = exchange.map(|exchange| steps_of(exchange, settings)).unwrap_or_default();
                steps.truncate(3);
                steps.push(verify_step(visit, exchange.is_some()));
                (format!("In the frame: {}", visit.text), visit.shown(settings), steps)
            }
            Kind::Load(report) => (load_title(report), None, load_steps(report)),
        };
        Self {
            id: entry.id,
            at_ms: entry.at.unix_microseconds() / 1_000,
            title,
            is_refused: steps.iter().any(|step| step.outcome == Outcome::Refused),
            frame,
            steps,
        }
    }
}

fn title_of(exchange: &Exchange) -> String {
    let Exchange { asked, answered, log_line, .. } = exchange;
    let reason = log_line.as_deref().and_then(|line| field(line, "reason")).unwrap_or_default();
    format!("{} {} → {} {reason}", asked.method, asked.shown_target(), answered.status)
}

/// What the frame shows after an exchange.
fn shown_by(exchange: &Exchange, settings: &Settings) -> Option<Shown> {
    if !exchange.asked.is_framed() {
        return None;
    }
    match &exchange.visit {
        Some(visit) => visit.shown(settings),
        None if exchange.answered.token().is_some() => None,
        None => Some(Shown {
            party: Party::Service,
            url: format!("{}{}", settings.app_origin, exchange.asked.shown_target()),
        }),
    }
}

fn steps_of(exchange: &Exchange, settings: &Settings) -> Vec<Step> {
    let Exchange { asked, forwarded, answered, log_line, visit } = exchange;
    let verify = match visit {
        Some(visit) => verify_step(visit, false),
        None => unasked_step(answered),
    };
    vec![
        ask_step(asked, forwarded),
        forward_step(forwarded, settings),
        sign_step(answered, log_line.as_deref(), settings),
        verify,
    ]
}

fn ask_step(asked: &Asked, forwarded: &Forwarded) -> Step {
    let who = match asked.destination() {
        _ if forwarded.is_direct => "A program asks",
        Some("iframe") if asked.is_own_page => "The frame asks",
        Some("iframe") => "A page of another site asks",
        Some("empty") => "A script asks",
        Some("document") => "A tab asks",
        Some(_) | None => "A program asks",
    };
    let mut sections = vec![Section::text(
        "The request",
        format!("{} {} HTTP/1.1\n{}", asked.method, asked.target, lines(&asked.fields)),
    )];
    if asked.is_framed() {
        sections.push(Section::text("In the page", EMBEDDING.to_owned()));
    }
    Step {
        party: Party::App,
        outcome: Outcome::Done,
        title: who.to_owned(),
        line: format!("{} {}", asked.method, asked.shown_target()),
        badge: String::new(),
        sections,
    }
}

fn forward_step(forwarded: &Forwarded, settings: &Settings) -> Step {
    let Forwarded { user, removed, added, is_direct } = forwarded;
    let (title, line) = match (user, removed.len()) {
        _ if *is_direct => ("The request passes the proxy by", "it goes to the service directly".to_owned()),
        (Some(user), 0) => (ADDS_IDENTITY, format!("{} identity headers for {user}", added.len())),
        (Some(user), forged) => {
            (ADDS_IDENTITY, format!("{} for {user}; {forged} forged removed", added.len()))
        }
        (None, 0) => (ADDS_NO_IDENTITY, "no session, so no identity headers".to_owned()),
        (None, forged) => (ADDS_NO_IDENTITY, format!("no session; {forged} forged removed")),
    };
    let mut sections = Vec::new();
    if !added.is_empty() {
        let rows = added
            .iter()
            .map(|(name, value)| vec![(*name).to_owned(), value.clone(), settings.of_field(name)]);
        sections.push(Section::table(
            "Added, for the user of the session",
            &["header field", "value", "read by the setting"],
            rows,
        ));
    }
    if !removed.is_empty() {
        let rows = removed.iter().map(|(name, value)| vec![name.clone(), value.clone()]);
        let title = if *is_direct { "Sent by the program" } else { "Removed, since the client sent them" };
        sections.push(Section::table(title, &["header field", "value"], rows));
    }
    Step {
        party: Party::App,
        outcome: if user.is_some() { Outcome::Done } else { Outcome::Skipped },
        title: title.to_owned(),
        line,
        badge: String::new(),
        sections,
    }
}

fn sign_step(answered: &Answered, log_line: Option<&str>, settings: &Settings) -> Step {
    let is_refused = answered.status >= 400;
    let line = log_line.map(|line| {
        let reason = field(line, "reason").map(str::to_owned);
        let took = field(line, "took_us").map(|took| format!("took {took} µs"));
        let parts: Vec<_> = [reason, took, Some("audit event".to_owned())].into_iter().flatten().collect();
        parts.join(" · ")
    });
    let body =
        answered.json.as_deref().map(|json| format!("\n{}\n", shorten_tokens(json))).unwrap_or_default();
    let mut sections = Vec::new();
    if let Some(token) = answered.token() {
        sections.extend(token_sections(&token, settings));
    }
    sections.push(Section::text(
        "The response",
        format!("HTTP/1.1 {}\n{}{body}", answered.status, shorten_tokens(&lines(&answered.fields))),
    ));
    if let Some(line) = log_line {
        sections.push(Section::text("The log line, which is the audit event", line.to_owned()));
    }
    sections.push(Section::text("The configuration", settings.text.clone()));
    Step {
        party: Party::Service,
        outcome: if is_refused { Outcome::Refused } else { Outcome::Done },
        title: if is_refused { "marketplace-sso refuses" } else { "marketplace-sso signs" }.to_owned(),
        line: line.unwrap_or_default(),
        badge: answered.status.to_string(),
        sections,
    }
}

/// The claims as a table, then the token.
fn token_sections(token: &str, settings: &Settings) -> Vec<Section> {
    let Ok(parsed) = Compact::parse(token) else { return Vec::new() };
    let rows = describe_claims(&parsed.claims).into_iter().map(|claim| {
        let setting = settings.of_claim(&claim.name);
        vec![claim.name, claim.value, claim.meaning.to_owned(), setting]
    });
    let header = serde_json::Value::Object(parsed.header.clone());
    vec![
        Section::table("The claims", &["claim", "value", "meaning", "from the setting"], rows),
        Section::text("The token", format!("{header}\n\n{token}")),
    ]
}

/// The last step of an exchange, if the marketplace was not requested.
fn unasked_step(answered: &Answered) -> Step {
    let (title, line) = if answered.token().is_some() {
        ("The marketplace is not asked yet", "the address has not been opened")
    } else {
        ("The marketplace is not asked", "there is no token")
    };
    Step {
        party: Party::Marketplace,
        outcome: Outcome::Skipped,
        title: title.to_owned(),
        line: line.to_owned(),
        badge: String::new(),
        sections: Vec::new(),
    }
}

fn verify_step(visit: &Visit, is_again: bool) -> Step {
    let Visit { target, status, text, is_token_valid, facts, .. } = visit;
    let rows = facts.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]);
    let mut sections = vec![Section::text("The request", format!("GET {} HTTP/1.1", shorten_tokens(target)))];
    if !facts.is_empty() {
        sections.push(Section::table("Read from the token", &["rule", "result"], rows));
    }
    let (title, line) = match (is_token_valid, is_again) {
        (true, false) => {
            ("The marketplace verifies", format!("signature and claims are valid · shows {text}"))
        }
        (true, true) => ("The marketplace verifies", format!("the same token again · shows {text}")),
        (false, _) => ("The marketplace refuses", text.clone()),
    };
    Step {
        party: Party::Marketplace,
        outcome: if *status >= 400 { Outcome::Refused } else { Outcome::Done },
        title: title.to_owned(),
        line,
        badge: status.to_string(),
        sections,
    }
}

impl Visit {
    fn shown(&self, settings: &Settings) -> Option<Shown> {
        let is_framed = self.destination.as_deref() == Some("iframe");
        is_framed.then(|| Shown {
            party: Party::Marketplace,
            url: format!("{}{}", settings.marketplace_origin, shorten_tokens(&self.target)),
        })
    }
}

fn load_title(report: &LoadReport) -> String {
    format!("Secret rotated under load: {} requests, {} failed", report.requests, report.failed)
}

fn load_steps(report: &LoadReport) -> Vec<Step> {
    let LoadReport { requests, failed, earlier, new, took_ms, switched_ms } = report;
    let switched = switched_ms.map_or_else(
        || "the new secret was not in use in time".to_owned(),
        |after| format!("the new secret is in use after {after} ms"),
    );
    let outcome = if report.is_complete() { Outcome::Done } else { Outcome::Refused };
    let step = |party, outcome, title: &str, line, badge| Step {
        party,
        outcome,
        title: title.to_owned(),
        line,
        badge,
        sections: Vec::new(),
    };
    vec![
        step(
            Party::App,
            Outcome::Done,
            "Many requests",
            format!("{requests} in {took_ms} ms, {CLIENTS} at a time"),
            String::new(),
        ),
        step(Party::App, Outcome::Done, ADDS_IDENTITY, "to each of them".to_owned(), String::new()),
        step(
            Party::Service,
            outcome,
            "marketplace-sso reloads",
            format!("the file has another secret; {switched}"),
            format!("{failed} failed"),
        ),
        step(
            Party::Marketplace,
            outcome,
            "The marketplace verifies",
            format!("{earlier} by the earlier secret, {new} by the new one"),
            format!("{} valid", earlier + new),
        ),
    ]
}

impl Section {
    fn text(title: &'static str, text: String) -> Self {
        Self { title, text, columns: Vec::new(), rows: Vec::new() }
    }

    fn table(title: &'static str, columns: &[&'static str], rows: impl Iterator<Item = Vec<String>>) -> Self {
        Self { title, text: String::new(), columns: columns.to_vec(), rows: rows.collect() }
    }
}

fn lines(fields: &Fields) -> String {
    fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

/// The value of a field of a log line in the text format.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    // `detail` is text and comes before `took_us`, and after `reason`
    let mut values = line.split(' ').filter_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    if name == "reason" { values.next() } else { values.next_back() }
}

/// The titles of the second step.
const ADDS_IDENTITY: &str = "The proxy adds the identity";
const ADDS_NO_IDENTITY: &str = "The proxy adds no identity";

/// How a page embeds the marketplace.
const EMBEDDING: &str = "<script type=\"module\" src=\"/embed.js\"></script>
<marketplace-frame></marketplace-frame>";
