//! Links into the marketplace: parsed from the request's path and query, and
//! serialized from the parsed values. No request text is copied into the URL
//! unparsed.

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use crate::refusal::{Reason, Refusal};

/// Which link parameters are passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRules {
    allowed: Vec<String>,
    unknown: UnknownParameters,
}

/// How a parameter that is not listed is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownParameters {
    /// The request is rejected.
    Refuse,
    /// The parameter is dropped.
    Drop,
}

/// A location in the marketplace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    install: Option<IntegrationId>,
    parameters: Vec<(String, Value)>,
}

/// An integration's numeric id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IntegrationId(u64);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    IntegrationId(IntegrationId),
    Display(Display),
    Text(String),
}

/// The view of one integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Display {
    List,
    Settings,
}

/// The maximum length of a decoded value, in bytes.
const MAX_VALUE_BYTES: usize = 512;

/// The maximum number of parameters.
const MAX_PARAMETERS: usize = 20;

/// Percent-encodes all but the unreserved characters (RFC 3986, 2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl LinkRules {
    /// The parameter that carries the token; requests must not set it.
    pub const TOKEN_PARAMETER: &'static str = "tenant";

    /// Rules that pass on the `allowed` parameters; `None` if the token's parameter is one of them.
    pub fn new(allowed: Vec<String>, unknown: UnknownParameters) -> Option<Self> {
        let touches_token = allowed.iter().any(|name| name.eq_ignore_ascii_case(Self::TOKEN_PARAMETER));
        (!touches_token).then_some(Self { allowed, unknown })
    }

    /// Parses a request's query and the integration id of its path.
    pub fn parse(&self, query: &str, install: Option<&str>) -> Result<Link, Refusal> {
        let mut link = Link::default();
        if let Some(id) = install {
            let id = IntegrationId::parse(id)
                .ok_or_else(|| bad("the integration id in the path is not a number"))?;
            link.install = Some(id);
        }
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name.eq_ignore_ascii_case(Self::TOKEN_PARAMETER) {
                return Err(bad("the request has a tenant parameter, which only this service sets"));
            }
            if self.allowed.iter().any(|allowed| *allowed == name) {
                link.add(&name, &value)?;
            } else if self.unknown == UnknownParameters::Refuse {
                return Err(bad("a parameter is not among pandium.link_parameters"));
            }
        }
        Ok(link)
    }
}

impl Link {
    /// Adds a parameter that is passed on.
    fn add(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        if self.parameters.iter().any(|(present, _)| present == name) {
            return Err(bad(format!("{name} is given twice")));
        }
        if self.parameters.len() == MAX_PARAMETERS {
            return Err(bad("there are more than 20 parameters"));
        }
        self.parameters.push((name.to_owned(), Value::parse(name, value)?));
        Ok(())
    }

    /// The path below the account and the query, for audit events; empty for the
    /// marketplace's first page.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write_path(&mut text);
        let mut query = String::new();
        self.write_query(&mut query);
        if let Some(query) = query.strip_prefix('&') {
            text.push('?');
            text.push_str(query);
        }
        text
    }

    /// The link without values that may be any text: in a refused request, an attacker may have
    /// chosen them.
    #[must_use]
    pub fn without_texts(self) -> Self {
        let has_rules = |(_, value): &(String, Value)| match value {
            Value::IntegrationId(_) | Value::Display(_) => true,
            Value::Text(_) => false,
        };
        Self { parameters: self.parameters.into_iter().filter(has_rules).collect(), ..self }
    }

    /// Appends the path below the account.
    pub fn write_path(&self, url: &mut String) {
        if let Some(IntegrationId(id)) = self.install {
            // writing to a String cannot fail
            let _ = write!(url, "/tenants/create/{id}");
        }
    }

    /// Appends the query after the token.
    pub fn write_query(&self, url: &mut String) {
        for (name, value) in &self.parameters {
            url.push('&');
            url.extend(utf8_percent_encode(name, QUERY));
            url.push('=');
            match value {
                Value::IntegrationId(IntegrationId(id)) => {
                    let _ = write!(url, "{id}");
                }
                Value::Display(Display::List) => url.push_str("list"),
                Value::Display(Display::Settings) => url.push_str("settings"),
                Value::Text(text) => url.extend(utf8_percent_encode(text, QUERY)),
            }
        }
    }
}

impl Value {
    fn parse(name: &str, value: &str) -> Result<Self, Refusal> {
        match name {
            "integration_id" => IntegrationId::parse(value)
                .map(Self::IntegrationId)
                .ok_or_else(|| bad("integration_id is not a number")),
            "display" => match value {
                "list" => Ok(Self::Display(Display::List)),
                "settings" => Ok(Self::Display(Display::Settings)),
                _ => Err(bad("display is neither list nor settings")),
            },
            _ if value.len() > MAX_VALUE_BYTES => Err(bad(format!("{name} is longer than 512 bytes"))),
            _ if value.chars().any(char::is_control) => Err(bad(format!("{name} holds a control character"))),
            _ => Ok(Self::Text(value.to_owned())),
        }
    }
}

impl IntegrationId {
    /// Digits only: no sign, no white space.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Self)).flatten()
    }
}

fn bad(cause: impl Into<Cow<'static, str>>) -> Refusal {
    Reason::BadLink.because(cause)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn rules(unknown: UnknownParameters) -> LinkRules {
        let allowed = ["integration_id", "display", "integration_settings", "external"];
        LinkRules::new(allowed.map(str::to_owned).to_vec(), unknown).unwrap()
    }

    fn serialized(query: &str, install: Option<&str>) -> Result<String, Reason> {
        let link =
            rules(UnknownParameters::Refuse).parse(query, install).map_err(|refusal| refusal.reason)?;
        let mut url = String::from("/acme");
        link.write_path(&mut url);
        url.push_str("?tenant=T");
        link.write_query(&mut url);
        Ok(url)
    }

    #[rstest]
    #[case("", None, "/acme?tenant=T")]
    #[case(
        "integration_id=1121&display=settings",
        None,
        "/acme?tenant=T&integration_id=1121&display=settings"
    )]
    #[case(
        "integration_settings=a%26b%20c+%C3%A9",
        None,
        "/acme?tenant=T&integration_settings=a%26b%20c%20%C3%A9"
    )]
    #[case("external=https://x/?a%3D1", None, "/acme?tenant=T&external=https%3A%2F%2Fx%2F%3Fa%3D1")]
    #[case("", Some("1121"), "/acme/tenants/create/1121?tenant=T")]
    fn a_link_is_passed_on(#[case] query: &str, #[case] install: Option<&str>, #[case] url: &str) {
        assert_eq!(serialized(query, install).as_deref(), Ok(url));
    }

    #[rstest]
    #[case::token("tenant=x", None)]
    #[case::token_percent_encoded("%74enant=x", None)]
    #[case::token_in_capitals("Tenant=x", None)]
    #[case::unknown("foo=bar", None)]
    #[case::not_a_number("integration_id=a", None)]
    #[case::no_number("integration_id=", None)]
    #[case::sign("integration_id=-1", None)]
    #[case::too_large("integration_id=99999999999999999999999", None)]
    #[case::display("display=both", None)]
    #[case::twice("display=list&display=list", None)]
    #[case::control("external=%0d%0aSet-Cookie", None)]
    #[case::install("", Some("x"))]
    #[case::install_nothing("", Some(""))]
    fn a_bad_link_is_rejected(#[case] query: &str, #[case] install: Option<&str>) {
        assert_eq!(serialized(query, install), Err(Reason::BadLink));
    }

    #[rstest]
    #[case("canary=value", "a parameter is not among pandium.link_parameters")]
    #[case("display=list&display=value", "display is given twice")]
    #[case("external=value%00", "external holds a control character")]
    fn a_refusal_names_known_parameters_alone(#[case] query: &str, #[case] cause: &str) {
        let refusal = rules(UnknownParameters::Refuse).parse(query, None).unwrap_err();
        assert_eq!(refusal.cause, cause);
    }

    #[test]
    fn values_that_may_be_any_text_can_be_left_out() {
        let query = "external=anything&display=list&integration_id=7";
        let link = rules(UnknownParameters::Refuse).parse(query, Some("9")).unwrap();
        assert_eq!(link.to_text(), "/tenants/create/9?external=anything&display=list&integration_id=7");
        assert_eq!(link.without_texts().to_text(), "/tenants/create/9?display=list&integration_id=7");
    }

    #[test]
    fn an_unknown_parameter_is_dropped_if_configured() {
        let link = rules(UnknownParameters::Drop).parse("utm_source=mail&display=list", None).unwrap();
        assert_eq!(link.parameters.len(), 1);
        assert!(rules(UnknownParameters::Drop).parse("tenant=x", None).is_err());
    }

    #[test]
    fn the_token_parameter_cannot_be_allowed() {
        assert_eq!(LinkRules::new(vec!["tenant".into()], UnknownParameters::Refuse), None);
    }

    proptest! {
        #[test]
        fn any_query_yields_one_tenant_and_graphic_ascii(query in any::<String>(), value in any::<String>()) {
            let value = form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
            for query in [query, format!("external={value}&integration_settings={value}")] {
                if let Ok(url) = serialized(&query, None) {
                    prop_assert_eq!(url.matches("tenant=").count() - url.matches("%tenant=").count(), 1);
                    prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()));
                    prop_assert!(!url.contains('#'));
                }
            }
        }
    }
}
