//! The page of the configuration: build, uptime, entrances, ages of keys and of files with secrets,
//! and every effective setting; secrets are hidden.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::super::context::RequestContext;
use super::super::refused::RefusedRequest;
use super::pages::{Current, PageRequest};
use super::view::{UtcTime, duration, number};
use crate::audit::AuditHealth;
use crate::settings::EffectiveSetting;

#[derive(Serialize)]
struct Configuration<'a> {
    /// Label and value.
    facts: Vec<(&'static str, String)>,
    warnings: &'a [String],
    entrances: Vec<EntranceRow<'a>>,
    keys: Vec<KeyRow>,
    files: Vec<FileRow>,
    sections: Vec<Section<'a>>,
}

#[derive(Serialize)]
struct EntranceRow<'a> {
    name: &'a str,
    path: &'a str,
    kind: &'static str,
    environment: &'static str,
    account: &'a str,
    has_keys: bool,
}

/// The keys that are fetched from an issuer.
#[derive(Serialize)]
struct KeyRow {
    url: String,
    age: String,
    skipped: String,
    fetched: String,
    failed: String,
}

#[derive(Serialize)]
struct FileRow {
    path: String,
    changed: Option<UtcTime>,
    age: String,
}

#[derive(Serialize)]
struct Section<'a> {
    key: &'a str,
    settings: Vec<SettingRow<'a>>,
}

#[derive(Serialize)]
struct SettingRow<'a> {
    name: &'a str,
    value: &'a str,
    origin: Option<&'a str>,
}

impl<'a> SettingRow<'a> {
    fn of(EffectiveSetting { name, value, origin, .. }: &'a EffectiveSetting) -> Self {
        Self { name, value, origin: origin.as_deref() }
    }
}

/// The page.
pub(super) fn page(page_request: PageRequest<'_>) -> Result<HttpResponse, RefusedRequest> {
    let context = page_request.context;
    let (snapshot, now) = (&context.snapshot, context.received);
    let entrances = snapshot.entrances.iter().map(|runtime| {
        let entrance = &runtime.entrance;
        EntranceRow {
            name: &entrance.name,
            path: &entrance.path,
            kind: entrance.authenticator.kind(),
            environment: entrance.environment.name(),
            account: entrance.marketplace.account().as_str(),
            has_keys: entrance.authenticator.has_keys(now),
        }
    });
    let keys = snapshot.entrances.iter().flat_map(|runtime| runtime.entrance.authenticator.key_reports(now));
    let keys = keys.map(|report| KeyRow {
        url: report.url,
        age: report.age_s.map_or_else(|| "none in use".to_owned(), duration),
        skipped: report.skipped.map_or_else(String::new, |skipped| skipped.to_string()),
        fetched: count(report.counts.succeeded),
        failed: count(report.counts.failed),
    });
    let files = snapshot.in_effect.files.iter().map(|(path, changed)| FileRow {
        path: path.display().to_string(),
        changed: changed.map(UtcTime::of),
        age: changed.map_or_else(String::new, |changed| duration(now.seconds_since(changed))),
    });
    let page = Configuration {
        facts: facts(context),
        warnings: &snapshot.in_effect.warnings,
        entrances: entrances.collect(),
        keys: keys.collect(),
        files: files.collect(),
        sections: sections(&snapshot.in_effect.settings),
    };
    page_request.respond(StatusCode::OK, Current::Configuration, "configuration.html", page)
}

fn facts(context: &RequestContext) -> Vec<(&'static str, String)> {
    let shared = &context.shared;
    let read_at = context.snapshot.in_effect.read_at;
    let store = shared.store.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let audit = match shared.audit.health() {
        AuditHealth::LogOnly => "events are logged, not stored".to_owned(),
        AuditHealth::Stored => {
            format!("events are stored (durability {})", context.snapshot.in_effect.durability.name())
        }
        AuditHealth::Failing { error, .. } => format!("events cannot be stored: {error}"),
    };
    let is_playground = if cfg!(feature = "playground") { ", with the playground" } else { "" };
    vec![
        ("Version", format!("{}{is_playground}", env!("CARGO_PKG_VERSION"))),
        ("Uptime", duration(shared.uptime.elapsed().as_secs())),
        ("Started", format!("{} UTC", UtcTime::of(shared.started).text)),
        ("Configuration read", format!("{} UTC", UtcTime::of(read_at).text)),
        ("Process", std::process::id().to_string()),
        ("Store", store),
        ("Audit", audit),
        ("Log lines dropped", shared.log_writer.dropped().to_string()),
    ]
}

fn count(count: u64) -> String {
    number(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The settings by section. They are sorted as in a file, so those of a section are adjacent.
fn sections(settings: &[EffectiveSetting]) -> Vec<Section<'_>> {
    let of_section = settings.chunk_by(|one, next| one.section == next.section);
    let sections = of_section.filter_map(|settings| {
        let key = settings.first()?.section.as_str();
        Some(Section { key, settings: settings.iter().map(SettingRow::of).collect() })
    });
    sections.collect()
}
