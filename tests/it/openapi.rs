//! `docs/openapi.json` describes the API as it is: paths, methods, scopes, reasons and statuses.

use std::collections::{BTreeMap, BTreeSet};

use marketplace_sso::api_token::Scope;
use marketplace_sso::refusal::Reason;
use serde_json::Value;

use crate::documents::runbook;
use crate::harness::App;
use crate::harness::tree::{files_below, read, root};

/// Paths below `/v1` that source files name, although they are not routes.
const NO_ROUTES: [&str; 1] = ["/v1/"];

fn description() -> Value {
    serde_json::from_str(&read(&root().join("docs/openapi.json"))).unwrap()
}

/// Each operation: its path, its method and its description.
fn operations(description: &Value) -> Vec<(String, String, Value)> {
    let paths = description["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(|(method, operation)| (path.clone(), method.to_uppercase(), operation.clone()))
    });
    operations.collect()
}

/// The object to which a `$ref` refers.
fn resolve<'a>(description: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => description.pointer(reference.trim_start_matches('#')).expect(reference),
        None => value,
    }
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn it_is_served_as_it_is_written() {
    let response = App::standard().get("/v1/openapi.json", &[]);
    assert_eq!((response.status, response.header("content-type")), (200, "application/json"));
    assert_eq!(response.json(), description());
    assert_eq!(description()["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_described_operation_is_served() {
    let app = App::standard();
    for (path, method, operation) in operations(&description()) {
        let is_for_tokens = operation["security"].to_string().contains("apiToken");
        let response = app.request(&method, &path.replace("{name}", "x"), &[]);
        let expected = match (path.contains('{'), is_for_tokens) {
            (true, _) => 404,
            (false, true) => 401,
            (false, false) => 200,
        };
        assert_eq!(response.status, expected, "{method} {path}");
        assert!(operation["responses"].get(expected.to_string()).is_some(), "{method} {path}: {expected}");
    }
}

#[test]
fn every_route_below_v1_is_described() {
    let described: BTreeSet<String> =
        operations(&description()).into_iter().map(|(path, _, _)| path).collect();
    let mut routes = BTreeSet::new();
    for file in files_below(&root().join("src/http"), "rs") {
        let text = read(&file);
        let code = text.split("#[cfg(test)]").next().unwrap();
        for part in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for quoted in part.split('"').skip(1).step_by(2).filter(|quoted| quoted.starts_with("/v1/")) {
                routes.insert(quoted.trim_end_matches('/').to_owned());
            }
        }
    }
    routes.retain(|route| !NO_ROUTES.contains(&format!("{route}/").as_str()));
    assert!(routes.len() >= 3, "{routes:?}");
    for route in routes {
        let is_described = described.iter().any(|path| path.split("/{").next() == Some(&route));
        assert!(is_described, "docs/openapi.json lacks {route}; see docs/architecture.md");
    }
}

#[test]
fn every_described_scope_exists() {
    let documented: BTreeSet<String> = read(&root().join("docs/api.md"))
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .filter(|(name, _)| name.contains(':'))
        .map(|(name, _)| name.to_owned())
        .collect();
    let known: BTreeSet<String> = Scope::ALL.iter().map(|scope| scope.name().to_owned()).collect();
    assert_eq!(documented, known);
    for (path, _, operation) in operations(&description()) {
        for scheme in operation["security"].as_array().unwrap() {
            if let Some(scopes) = scheme.get("apiToken") {
                let scopes = texts(scopes);
                assert!(!scopes.is_empty() && scopes.is_subset(&known), "{path}: {scopes:?}");
                let answers = &operation["responses"];
                assert!(["401", "403", "429", "503"].iter().all(|status| answers.get(status).is_some()));
            }
        }
    }
}

#[test]
fn every_described_reason_has_its_status() {
    let description = description();
    let known: BTreeSet<String> = Reason::ALL.iter().map(|reason| reason.code().to_owned()).collect();
    assert_eq!(
        texts(&description["components"]["schemas"]["Problem"]["properties"]["reason"]["enum"]),
        known
    );
    let statuses = documented_statuses();
    let mut compared = 0;
    for (path, method, operation) in operations(&description) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response = resolve(&description, response);
            if status.starts_with('2') {
                assert!(response["content"]["application/json"]["schema"].is_object(), "{path}: {status}");
                continue;
            }
            let schema = &response["content"]["application/problem+json"]["schema"];
            for reason in texts(&schema["allOf"][1]["properties"]["reason"]["enum"]) {
                assert_eq!(statuses.get(&reason), Some(status), "{method} {path}: {reason}");
                compared += 1;
            }
        }
    }
    assert!(compared > 20, "{compared}");
}

/// The status of each reason, as `docs/runbook.md` has them.
fn documented_statuses() -> BTreeMap<String, String> {
    let status = |entry: String| {
        let (status, _) = entry.trim_start().strip_prefix("Status ").unwrap().split_once('.').unwrap();
        status.to_owned()
    };
    runbook().into_iter().map(|(reason, entry)| (reason, status(entry))).collect()
}

#[test]
fn every_member_of_an_event_is_described() {
    let description = description();
    let described = &description["components"]["schemas"]["AuditEvent"]["properties"];
    let described: BTreeSet<&str> = described.as_object().unwrap().keys().map(String::as_str).collect();
    let written: BTreeSet<&str> = marketplace_sso::audit::CSV_FIELDS.into_iter().collect();
    assert_eq!(described, written);
}
