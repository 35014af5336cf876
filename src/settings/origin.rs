//! Parses a URL setting into its origin.

use url::Url;

/// The origin of a URL (RFC 6454), and whether the URL has nothing else. With
/// `https`, only that scheme is accepted.
pub(crate) fn web_origin(text: &str, https: bool) -> Result<(String, bool), String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
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
