//! Which kind of answer a client wants, by `Accept` (RFC 9110, 12.5.1).

use actix_web::http::header::{ACCEPT, HeaderMap};

/// The kinds of answers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A page, or a redirect: what browsers ask for when they go somewhere.
    Html,
    /// JSON: what scripts ask for.
    Json,
    /// No preference.
    Any,
}

/// Whether JSON is preferred. What a browser sends when it goes somewhere has
/// no `j` in it, which settles most requests.
pub(super) fn prefers_json(headers: &HeaderMap) -> bool {
    let may_name_json = |value: &[u8]| value.iter().any(|byte| byte.eq_ignore_ascii_case(&b'j'));
    headers.get_all(ACCEPT).any(|value| may_name_json(value.as_bytes())) && wanted(headers) == Wanted::Json
}

/// Reads the preference. Only what is named counts; `*/*` says nothing.
pub(super) fn wanted(headers: &HeaderMap) -> Wanted {
    let mut values = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok()).peekable();
    if values.peek().is_none() {
        return Wanted::Any;
    }
    let (mut html, mut json) = (0, 0);
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let place = match parts.next() {
            Some(kind) if kind.eq_ignore_ascii_case("text/html") => &mut html,
            Some(kind) if kind.eq_ignore_ascii_case("application/json") => &mut json,
            _ => continue,
        };
        *place = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, weight).max(*place);
    }
    match (html, json) {
        (0, 0) => Wanted::Any,
        (html, json) if html >= json => Wanted::Html,
        _ => Wanted::Json,
    }
}

/// A weight in thousandths; what is none weighs nothing.
fn weight(text: &str) -> u32 {
    match text.parse::<f64>() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies between 0 and 1000"
        )]
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0).round() as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("", Wanted::Any)]
    #[case::curl("*/*", Wanted::Any)]
    #[case::browser("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Wanted::Html)]
    #[case::json("application/json", Wanted::Json)]
    #[case::axios("application/json, text/plain, */*", Wanted::Json)]
    #[case::json_first("application/json, text/html;q=0.9", Wanted::Json)]
    #[case::html_first("text/html, application/json;q=0.9", Wanted::Html)]
    #[case::json_refused("application/json;q=0", Wanted::Any)]
    #[case::capitals("Application/JSON", Wanted::Json)]
    fn the_preference_is_read(#[case] accept: &'static str, #[case] meant: Wanted) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        assert_eq!(wanted(&headers), meant);
    }
}
