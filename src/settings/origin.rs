//! Parses a URL setting into its origin.

use url::{ParseError, Url};

/// The origin of a URL (RFC 6454), and whether the URL has nothing else. With
/// `https`, only that scheme is accepted.
pub(crate) fn web_origin(text: &str, https: bool) -> Result<(String, bool), String> {
    const NO_SCHEME: &str = "it needs a scheme, such as https://app.example.com";
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => NO_SCHEME.to_owned(),
        other => other.to_string(),
    })?;
    // a host and a port without a scheme: the parser takes the host for the scheme
    if url.cannot_be_a_base() && url.path().starts_with(|first: char| first.is_ascii_digit()) {
        return Err(NO_SCHEME.to_owned());
    }
    if url.scheme() != "https" && (https || url.scheme() != "http") {
        return Err("it is not https".to_owned());
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.host_str().is_none_or(|host| host.contains('*'))
    {
        return Err("it has a user name, or not a single host".to_owned());
    }
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    Ok((url.origin().ascii_serialization(), is_bare))
}
