//! Where the browser is redirected after a sign-in: a page of this entrance, a page with the
//! component, or a page of a listed parent. Any other address is ignored.

use url::Url;

use crate::sign_on::Entrance;

/// An address to which the browser may be redirected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReturnAddress(String);

/// The maximum length in bytes: longer addresses would not fit into the login cookie.
const MAX_BYTES: usize = 1500;

impl ReturnAddress {
    /// The entrance itself.
    pub fn of(entrance: &Entrance) -> Self {
        Self(entrance.path.clone())
    }

    /// Parses an address from a query, after percent-decoding; `None` if this entrance may not
    /// redirect to it.
    pub fn parse(text: &str, entrance: &Entrance) -> Option<Self> {
        if text.len() > MAX_BYTES || !text.bytes().all(is_allowed) {
            return None;
        }
        let is_allowed = match text.strip_prefix('/') {
            Some(_) => is_own(text, entrance),
            None => is_of_parent(text, entrance),
        };
        is_allowed.then(|| Self(text.to_owned()))
    }

    /// The address: a path and a query, or a URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The characters of a path and a query (RFC 3986). Browsers read `\` as `/`, and drop line breaks and
/// tabs.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@/?[]".contains(&byte)
}

/// Whether this is exactly the entrance, one of its install pages, or `/embed` for it.
fn is_own(text: &str, entrance: &Entrance) -> bool {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if path == "/embed" {
        return true;
    }
    let Some(rest) = path.strip_prefix(entrance.path.as_str()) else { return false };
    let install = match rest {
        "" => None,
        _ => match rest.strip_prefix("/install/") {
            Some(id) => Some(id),
            None => return false,
        },
    };
    entrance.marketplace.links().parse(query, install).is_ok()
}

/// Whether this is a page of a listed parent, in the form in which browsers serialize URLs.
fn is_of_parent(text: &str, entrance: &Entrance) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let origin = url.origin().ascii_serialization();
    let rest = text.strip_prefix(origin.as_str());
    matches!(url.scheme(), "https" | "http")
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        && entrance.embed.parents.allow_origin(&origin)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Option<String> {
        let config = Config::from_toml(
            "environment = \"sandbox\"\n[server]\npublic_url = \"https://sso.example.com\"\n\
             [pandium]\naccount = \"acme\"\nshared_secret = \"0123456789abcdef0123456789abcdef\"\n\
             [identity]\npreset = \"auth_request\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
             [embed]\nparents = [\"https://app.example.com\", \"https://*.customers.example.com\", \
             \"http://localhost:3000\", \"ionic:\"]\n\
             [entrances.partners]\npath = \"/partners\"\n[entrances.partners.identity]\n\
             kind = \"proxy_headers\"\npreset = \"auth_request\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n",
        )
        .unwrap();
        ReturnAddress::parse(text, &config.entrances[0]).map(|address| address.0)
    }

    #[rstest]
    #[case("/pandium-sso")]
    #[case("/pandium-sso?integration_id=1121&display=settings")]
    #[case("/pandium-sso/install/1121")]
    #[case("/pandium-sso/install/1121?display=list")]
    #[case("/embed")]
    #[case("/embed?entrance=%2Fpandium-sso&integration_id=1121")]
    #[case("https://app.example.com")]
    #[case("https://app.example.com/integrations?a=b")]
    #[case("https://a.customers.example.com/")]
    #[case("http://localhost:3000/")]
    fn own_pages_and_those_of_parents_are_accepted(#[case] text: &str) {
        assert_eq!(parse(text).as_deref(), Some(text));
    }

    // T39
    #[rstest]
    #[case("")]
    #[case("/")]
    #[case("/partners")]
    #[case("/pandium-sso/")]
    #[case("/pandium-sso/install/")]
    #[case("/pandium-sso/install/x")]
    #[case("/pandium-sso/install/1/2")]
    #[case("/pandium-sso/../x")]
    #[case("/pandium-sso?tenant=x")]
    #[case("/pandium-sso?unknown=x")]
    #[case("/pandium-sso#x")]
    #[case("/embedded")]
    #[case("/embed/x")]
    #[case("/embed.json")]
    #[case("/auth/pandium-sso/login")]
    #[case("/auth/pandium-sso/logout")]
    #[case("/l/x")]
    #[case("//evil.example")]
    #[case("//evil.example/pandium-sso")]
    #[case("///evil.example")]
    #[case("/\\evil.example")]
    #[case("\\\\evil.example")]
    #[case("/\t/evil.example")]
    #[case("/\n/evil.example")]
    #[case("/%2f/evil.example")]
    #[case("/%5cevil.example")]
    #[case("pandium-sso")]
    #[case(".//evil.example")]
    #[case("https:evil.example")]
    #[case("https:/evil.example")]
    #[case("https:app.example.com")]
    #[case("https:///app.example.com")]
    #[case("https://evil.example")]
    #[case("https://app.example.com.evil.example")]
    #[case("https://app.example.com@evil.example")]
    #[case("https://evil.example@app.example.com/")]
    #[case("https://app.example.com:8443/")]
    #[case("https://app.example.com:443/")]
    #[case("http://app.example.com/")]
    #[case("HTTPS://app.example.com/")]
    #[case("https://APP.example.com/")]
    #[case("https://app.example.com\\@evil.example")]
    #[case("https://app.example.com%2f@evil.example")]
    #[case("https://app.example.com?x")]
    #[case("https://app.example.com#x")]
    #[case("https://app.example.com/#x")]
    #[case("https://customers.example.com/")]
    #[case("https://evil.example/.customers.example.com/")]
    #[case("https://evil.example?.customers.example.com/")]
    #[case("ionic://localhost")]
    #[case("javascript:alert(1)")]
    #[case("data:text/html,x")]
    #[case(" https://app.example.com/")]
    #[case("https://app.example.com/\r\nSet-Cookie: a=b")]
    #[case("https://\u{430}pp.example.com/")]
    fn any_other_address_is_ignored(#[case] text: &str) {
        assert_eq!(parse(text), None, "{text}");
    }

    #[test]
    fn a_long_address_is_ignored() {
        assert_eq!(parse(&format!("https://app.example.com/{}", "a".repeat(MAX_BYTES))), None);
    }
}
