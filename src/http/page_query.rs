//! Parses the query of paths that respond page by page: each parameter at most once, and `limit`.

use url::form_urlencoded;

use super::refused::{ForProgram, RefusedRequest};
use crate::refusal::Reason;

/// The number of items on a page, if the request has no `limit`.
const DEFAULT_LIMIT: i64 = 100;

/// The maximum number of items on a page.
const MAX_LIMIT: i64 = 1_000;

/// The name of an invalid parameter, and what to write as its value.
pub(super) type Wrong = (&'static str, &'static str);

/// The values of these parameters. An unknown or repeated one is refused.
pub(super) fn values<const N: usize>(
    query: &str,
    names: [&'static str; N],
) -> Result<[Option<String>; N], RefusedRequest> {
    let mut values = [const { None }; N];
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let known = names.iter().zip(&mut values).find(|(known, _)| **known == name);
        let Some((name, place)) = known else { return Err(unknown(&name)) };
        if place.replace(value.into_owned()).is_some() {
            return Err(refuse((name, "it came twice")));
        }
    }
    Ok(values)
}

/// The value of `limit`.
pub(super) fn limit(text: Option<String>) -> Result<i64, Wrong> {
    let Some(text) = text else { return Ok(DEFAULT_LIMIT) };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text.parse().ok().filter(|limit| is_number && (1..=MAX_LIMIT).contains(limit));
    limit.ok_or(("limit", "write a whole number from 1 to 1000"))
}

/// Refuses a parameter.
pub(super) fn refuse((name, what): Wrong) -> RefusedRequest {
    let refusal = Reason::BadRequest.because(format!("the parameter {name}: {what}"));
    let members =
        ForProgram { parameter: Some(name.to_owned()), detail: Some(what.into()), ..ForProgram::default() };
    RefusedRequest::for_program(refusal, members)
}

/// Whether a text is lower-case letters and underscores, as names of parameters are.
pub(super) fn is_lower_case(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Refuses an unknown parameter. The response names it if the name cannot be a secret; the log
/// never does.
fn unknown(name: &str) -> RefusedRequest {
    let refusal = Reason::BadRequest.because("an unknown parameter");
    let parameter = Some(name.to_owned()).filter(|name| name.len() <= 32 && is_lower_case(name));
    let detail = Some("there is no such parameter; see /v1/openapi.json".into());
    RefusedRequest::for_program(refusal, ForProgram { parameter, detail, ..ForProgram::default() })
}
