//! Content negotiation: the media type by `Accept` (RFC 9110, 12.5.1), and the
//! language by `Accept-Language` (12.5.4).

use actix_web::http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderMap, HeaderName};

use crate::page::Language;

/// The negotiated media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A page or a redirect, for navigations of browsers.
    Html,
    /// JSON, for scripts.
    Json,
    /// No preference.
    Any,
}

/// Whether JSON is preferred. A navigation's `Accept` has no `j`, which decides
/// most requests early.
pub(super) fn prefers_json(headers: &HeaderMap) -> bool {
    let may_name_json = |value: &[u8]| value.iter().any(|byte| byte.eq_ignore_ascii_case(&b'j'));
    headers.get_all(ACCEPT).any(|value| may_name_json(value.as_bytes())) && wanted(headers) == Wanted::Json
}

/// The preferred type. Only named types count; `*/*` is no preference.
pub(super) fn wanted(headers: &HeaderMap) -> Wanted {
    let (mut html, mut json) = (0, 0);
    for (kind, weight) in weighed(headers, ACCEPT) {
        let place = match kind {
            kind if kind.eq_ignore_ascii_case("text/html") => &mut html,
            kind if kind.eq_ignore_ascii_case("application/json") => &mut json,
            _ => continue,
        };
        *place = weight.max(*place);
    }
    match (html, json) {
        (0, 0) => Wanted::Any,
        (html, json) if html >= json => Wanted::Html,
        _ => Wanted::Json,
    }
}

/// The supported language with the highest weight; the first of equal ones.
pub(super) fn language(headers: &HeaderMap) -> Language {
    let mut best = (0, Language::English);
    for (tag, weight) in weighed(headers, ACCEPT_LANGUAGE) {
        if let Some(language) = Language::of_tag(tag).filter(|_| weight > best.0) {
            best = (weight, language);
        }
    }
    best.1
}

/// The items of a field, each with its weight.
fn weighed(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (&str, u32)> {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let what = parts.next().unwrap_or_default();
        (
            what,
            parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q="))).map_or(1000, weight),
        )
    })
}

/// A weight in thousandths; 0 for an invalid one.
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
    #[case::nothing("", Language::English)]
    #[case::none_of_ours("ja, zh;q=0.5", Language::English)]
    #[case::region("de-AT,de;q=0.9,en;q=0.8", Language::German)]
    #[case::by_weight("en;q=0.5, fr;q=0.7, es;q=0.6", Language::French)]
    #[case::the_first_of_equals("es, fr", Language::Spanish)]
    #[case::refused("de;q=0, fr;q=0.1", Language::French)]
    fn the_language_is_read(#[case] accept: &'static str, #[case] meant: Language) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(accept));
        assert_eq!(language(&headers), meant);
    }

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
