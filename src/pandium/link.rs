//! Where in the marketplace a user wants to go: read from the request's query
//! and path, and written again from what was read. Nothing of the request's
//! text reaches the address unread.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use crate::refusal::{Reason, Refusal};

/// Which parameters of a link travel on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRules {
    allowed: Vec<String>,
    unknown: UnknownParameters,
}

/// What becomes of a parameter that is not on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownParameters {
    /// The request is refused.
    Refuse,
    /// The parameter is left out.
    Drop,
}

/// A place in the marketplace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    install: Option<IntegrationId>,
    parameters: Vec<(String, Value)>,
}

/// The number of an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IntegrationId(u64);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    IntegrationId(IntegrationId),
    Display(Display),
    Text(String),
}

/// What is shown of one integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Display {
    List,
    Settings,
}

/// The most bytes of a parameter's value, decoded.
const MAX_VALUE_BYTES: usize = 512;

/// The most parameters a link may have.
const MAX_PARAMETERS: usize = 20;

/// What stays as it is in a query's value: the unreserved characters (RFC 3986, 2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl LinkRules {
    /// The parameter that carries the token: nobody but us sets it.
    pub const TOKEN_PARAMETER: &'static str = "tenant";

    /// Lets the named parameters travel on; `None` where the token's own is among them.
    pub fn new(allowed: Vec<String>, unknown: UnknownParameters) -> Option<Self> {
        let touches_token = allowed.iter().any(|name| name.eq_ignore_ascii_case(Self::TOKEN_PARAMETER));
        (!touches_token).then_some(Self { allowed, unknown })
    }

    /// Reads a request's query, and the integration that its path asks to
    /// install.
    pub fn read(&self, query: &str, install: Option<&str>) -> Result<Link, Refusal> {
        let mut link = Link::default();
        if let Some(id) = install {
            let id = IntegrationId::parse(id)
                .ok_or_else(|| bad("the integration to install is not given by its number"))?;
            link.install = Some(id);
        }
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name.eq_ignore_ascii_case(Self::TOKEN_PARAMETER) {
                return Err(bad("the request brings a tenant parameter; only this service sets it"));
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
    fn add(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        if self.parameters.iter().any(|(taken, _)| taken == name) {
            return Err(bad("a parameter is given twice"));
        }
        if self.parameters.len() == MAX_PARAMETERS {
            return Err(bad("there are more than 20 parameters"));
        }
        self.parameters.push((name.to_owned(), Value::parse(name, value)?));
        Ok(())
    }

    /// What follows the account in the path.
    pub fn write_path(&self, address: &mut String) {
        if let Some(IntegrationId(id)) = self.install {
            // writing to a String cannot fail
            let _ = write!(address, "/tenants/create/{id}");
        }
    }

    /// What follows the token in the query.
    pub fn write_query(&self, address: &mut String) {
        for (name, value) in &self.parameters {
            address.push('&');
            address.extend(utf8_percent_encode(name, QUERY));
            address.push('=');
            match value {
                Value::IntegrationId(IntegrationId(id)) => {
                    let _ = write!(address, "{id}");
                }
                Value::Display(Display::List) => address.push_str("list"),
                Value::Display(Display::Settings) => address.push_str("settings"),
                Value::Text(text) => address.extend(utf8_percent_encode(text, QUERY)),
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
            _ if value.len() > MAX_VALUE_BYTES => Err(bad("a parameter's value is longer than 512 bytes")),
            _ if value.chars().any(char::is_control) => {
                Err(bad("a parameter's value holds a control character"))
            }
            _ => Ok(Self::Text(value.to_owned())),
        }
    }
}

impl IntegrationId {
    /// Digits only; no sign, no blanks.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Self)).flatten()
    }
}

fn bad(cause: &'static str) -> Refusal {
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

    fn written(query: &str, install: Option<&str>) -> Result<String, Reason> {
        let link = rules(UnknownParameters::Refuse).read(query, install).map_err(|refusal| refusal.reason)?;
        let mut address = String::from("/acme");
        link.write_path(&mut address);
        address.push_str("?tenant=T");
        link.write_query(&mut address);
        Ok(address)
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
    fn a_link_is_carried_on(#[case] query: &str, #[case] install: Option<&str>, #[case] address: &str) {
        assert_eq!(written(query, install).as_deref(), Ok(address));
    }

    #[rstest]
    #[case::token("tenant=x", None)]
    #[case::token_in_disguise("%74enant=x", None)]
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
    fn a_link_is_refused(#[case] query: &str, #[case] install: Option<&str>) {
        assert_eq!(written(query, install), Err(Reason::BadLink));
    }

    #[test]
    fn an_unknown_parameter_is_dropped_where_the_operator_says_so() {
        let link = rules(UnknownParameters::Drop).read("utm_source=mail&display=list", None).unwrap();
        assert_eq!(link.parameters.len(), 1);
        assert!(rules(UnknownParameters::Drop).read("tenant=x", None).is_err());
    }

    #[test]
    fn the_tokens_own_parameter_cannot_be_allowed() {
        assert_eq!(LinkRules::new(vec!["tenant".into()], UnknownParameters::Refuse), None);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_the_address_has_one_tenant_and_no_break(query in any::<String>(), value in any::<String>()) {
            let value = form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
            for query in [query, format!("external={value}&integration_settings={value}")] {
                if let Ok(address) = written(&query, None) {
                    prop_assert_eq!(address.matches("tenant=").count() - address.matches("%tenant=").count(), 1);
                    prop_assert!(address.bytes().all(|byte| byte.is_ascii_graphic()));
                    prop_assert!(!address.contains('#'));
                }
            }
        }
    }
}
