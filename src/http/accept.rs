//! Content negotiation: the media type from `Accept` (RFC 9110, 12.5.1), and the language from
//! `Accept-Language` (12.5.4).

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT, Accept, AcceptLanguage, Header, Preference, Quality};

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

/// Whether JSON is preferred. A value without the letter `j` does not name JSON, so most
/// navigations need no parsing.
pub(super) fn prefers_json(request: &HttpRequest) -> bool {
    let may_name_json = |value: &[u8]| value.contains(&b'j') || value.contains(&b'J');
    request.headers().get_all(ACCEPT).any(|value| may_name_json(value.as_bytes()))
        && wanted(request) == Wanted::Json
}

/// The preferred type. Only named types count; `*/*` is no preference. Malformed items, and a field
/// that is not ASCII, are ignored.
pub(super) fn wanted(request: &HttpRequest) -> Wanted {
    let (mut html, mut json) = (Quality::ZERO, Quality::ZERO);
    for range in Accept::parse(request).map_or_else(|_| Vec::new(), |accept| accept.0) {
        let best = match range.item.essence_str() {
            "text/html" => &mut html,
            "application/json" => &mut json,
            _ => continue,
        };
        *best = range.quality.max(*best);
    }
    match (html, json) {
        (Quality::ZERO, Quality::ZERO) => Wanted::Any,
        (html, json) if html >= json => Wanted::Html,
        _ => Wanted::Json,
    }
}

/// The supported language with the highest weight; the first one if several have it.
pub(super) fn language(request: &HttpRequest) -> Language {
    let mut best = (Quality::ZERO, Language::English);
    for range in AcceptLanguage::parse(request).map_or_else(|_| Vec::new(), |accept| accept.0) {
        let Preference::Specific(tag) = &range.item else { continue };
        if range.quality > best.0
            && let Some(language) = Language::of_tag(tag.primary_language())
        {
            best = (range.quality, language);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::ACCEPT_LANGUAGE;
    use actix_web::test::TestRequest;
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
        let request = TestRequest::default().insert_header((ACCEPT_LANGUAGE, accept)).to_http_request();
        assert_eq!(language(&request), meant);
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
    #[case::parameters("application/json; charset=utf-8; q=0.5, text/html;q=0.4", Wanted::Json)]
    #[case::malformed_item("text/, ;;, application/json", Wanted::Json)]
    #[case::malformed_weight("application/json;q=2, text/html;q=0.1", Wanted::Html)]
    #[case::not_ascii("application/json, \u{e4}/\u{f6}", Wanted::Any)]
    fn the_preference_is_read(#[case] accept: &'static str, #[case] meant: Wanted) {
        let request = TestRequest::default().insert_header((ACCEPT, accept)).to_http_request();
        assert_eq!(wanted(&request), meant);
    }
}
