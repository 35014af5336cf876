//! Parses Fetch Metadata (<https://www.w3.org/TR/fetch-metadata/>) and detects
//! speculative requests (prefetch, prerender, preview).

use crate::request::Headers;

/// The Fetch Metadata of a request. Without a destination, all fields are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchMetadata<'a> {
    /// `Sec-Fetch-Dest`: what the response is for.
    pub destination: Option<&'a [u8]>,
    /// `Sec-Fetch-Mode`.
    pub mode: Option<&'a [u8]>,
    /// `Sec-Fetch-Site`: the relation between the initiator's origin and this one.
    pub site: Option<&'a [u8]>,
}

/// Why Fetch Metadata is rejected. Browsers send each field at most once, with a value that the
/// specification defines, and always together with `Sec-Fetch-Dest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadMetadata {
    /// A prefetch, a prerender or a preview.
    Speculative,
    /// Some fields, but no destination.
    WithoutDestination,
    /// A field is repeated.
    Repeated,
    /// A value is not in the specification.
    UnknownValue,
}

fn is_site(value: &[u8]) -> bool {
    matches!(value, b"cross-site" | b"none" | b"same-origin" | b"same-site")
}

fn is_mode(value: &[u8]) -> bool {
    matches!(value, b"cors" | b"navigate" | b"no-cors" | b"same-origin" | b"websocket")
}

fn is_user(value: &[u8]) -> bool {
    matches!(value, b"?0" | b"?1")
}

/// A request destination (Fetch Standard, 2.2.5), or `empty` for none.
#[rustfmt::skip]
fn is_destination(value: &[u8]) -> bool {
    matches!(
        value,
        b"audio" | b"audioworklet" | b"document" | b"embed" | b"empty" | b"fencedframe" | b"font" | b"frame"
        | b"iframe" | b"image" | b"json" | b"manifest" | b"object" | b"paintworklet" | b"report" | b"script"
        | b"serviceworker" | b"sharedworker" | b"speculationrules" | b"style" | b"text" | b"track" | b"video"
        | b"webidentity" | b"websocket" | b"worker" | b"xslt"
    )
}

impl<'a> FetchMetadata<'a> {
    /// Parses the fields.
    pub fn read(headers: &Headers<'a>) -> Result<Self, BadMetadata> {
        let mut metadata = Self::default();
        let mut user_activation = None;
        for (name, value) in headers.iter() {
            let (field, is_known): (_, fn(&[u8]) -> bool) = match name {
                "sec-fetch-dest" => (&mut metadata.destination, is_destination),
                "sec-fetch-mode" => (&mut metadata.mode, is_mode),
                "sec-fetch-site" => (&mut metadata.site, is_site),
                "sec-fetch-user" => (&mut user_activation, is_user),
                // sent only with speculative requests
                "sec-purpose" => return Err(BadMetadata::Speculative),
                "purpose" | "x-purpose" | "x-moz" if is_speculative(value) => {
                    return Err(BadMetadata::Speculative);
                }
                _ => continue,
            };
            if field.replace(value).is_some() {
                return Err(BadMetadata::Repeated);
            }
            if !is_known(value) {
                return Err(BadMetadata::UnknownValue);
            }
        }
        let is_some = metadata.mode.or(metadata.site).or(user_activation).is_some();
        if is_some && metadata.destination.is_none() {
            return Err(BadMetadata::WithoutDestination);
        }
        Ok(metadata)
    }
}

impl BadMetadata {
    /// The cause for the operator's log.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Speculative => "the request is speculative (prefetch, prerender or preview)",
            Self::WithoutDestination => "the request has Fetch Metadata without Sec-Fetch-Dest",
            Self::Repeated => "a Fetch Metadata field is repeated",
            Self::UnknownValue => "a Fetch Metadata field has a value that is not in the specification",
        }
    }
}

/// Whether the value contains `prefetch`, `preview`, `instant` or `prerender`, alone, with
/// parameters or in a list.
fn is_speculative(purpose: &[u8]) -> bool {
    let tokens = purpose.split(|byte| b",;\"".contains(byte));
    let names = [b"instant".as_slice(), b"prefetch", b"prerender", b"preview"];
    tokens.map(<[u8]>::trim_ascii).any(|token| names.iter().any(|name| token.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &'static str) -> Result<FetchMetadata<'static>, BadMetadata> {
        let fields = text.split(" | ").filter_map(|field| field.split_once(": "));
        FetchMetadata::read(&fields.map(|(name, value)| (name, value.as_bytes())).collect())
    }

    #[rstest]
    #[case::none("accept: */*")]
    #[case::all(
        "sec-fetch-dest: iframe | sec-fetch-mode: navigate | sec-fetch-site: same-site | sec-fetch-user: ?1"
    )]
    #[case::destination_alone("sec-fetch-dest: document")]
    #[case::another_purpose("purpose: payment | x-moz: b")]
    fn valid_metadata_is_parsed(#[case] text: &'static str) {
        assert!(read(text).is_ok());
    }

    #[rstest]
    #[case::site_alone("sec-fetch-site: same-origin", BadMetadata::WithoutDestination)]
    #[case::mode_alone("sec-fetch-mode: navigate", BadMetadata::WithoutDestination)]
    #[case::user_alone("sec-fetch-user: ?1", BadMetadata::WithoutDestination)]
    #[case::destination_twice("sec-fetch-dest: document | sec-fetch-dest: document", BadMetadata::Repeated)]
    #[case::user_twice(
        "sec-fetch-dest: document | sec-fetch-user: ?1 | sec-fetch-user: ?1",
        BadMetadata::Repeated
    )]
    #[case::destination("sec-fetch-dest: page", BadMetadata::UnknownValue)]
    #[case::list("sec-fetch-dest: document, iframe", BadMetadata::UnknownValue)]
    #[case::capitals("sec-fetch-dest: Document", BadMetadata::UnknownValue)]
    #[case::blank("sec-fetch-dest: ", BadMetadata::UnknownValue)]
    #[case::site("sec-fetch-dest: document | sec-fetch-site: same", BadMetadata::UnknownValue)]
    #[case::mode("sec-fetch-dest: document | sec-fetch-mode: x", BadMetadata::UnknownValue)]
    #[case::user("sec-fetch-dest: document | sec-fetch-user: 1", BadMetadata::UnknownValue)]
    #[case::prefetch("sec-purpose: prefetch", BadMetadata::Speculative)]
    #[case::prerender("sec-purpose: prefetch;prerender", BadMetadata::Speculative)]
    #[case::proxied("sec-purpose: prefetch;anonymous-client-ip", BadMetadata::Speculative)]
    #[case::purpose("purpose: prefetch", BadMetadata::Speculative)]
    #[case::capital_purpose("purpose: Prefetch ;x", BadMetadata::Speculative)]
    #[case::top_sites("x-purpose: preview", BadMetadata::Speculative)]
    #[case::quoted("x-purpose: \"instant\"", BadMetadata::Speculative)]
    #[case::list_of_purposes("x-moz: x, prefetch", BadMetadata::Speculative)]
    fn invalid_metadata_is_rejected(#[case] text: &'static str, #[case] why: BadMetadata) {
        assert_eq!(read(text), Err(why));
    }
}
