//! Finds the setting that creates a claim or reads a header field, in the service's own
//! configuration.

use anyhow::Context;
use toml::{Table, Value};

/// The service's configuration, for explanations on the page.
pub struct Settings {
    /// The configuration, secrets hidden.
    pub text: String,
    /// The app's origin.
    pub app_origin: String,
    /// The marketplace's origin.
    pub marketplace_origin: String,
    table: Table,
}

impl Settings {
    /// Reads a configuration whose secrets are hidden.
    pub fn new(text: String, app_origin: String, marketplace_origin: String) -> anyhow::Result<Self> {
        let table = text.parse().context("the playground's configuration is not TOML")?;
        Ok(Self { text, app_origin, marketplace_origin, table })
    }

    /// The setting of the claim at a path such as `ti.xti.user_tier`, with its expression.
    pub fn of_claim(&self, path: &str) -> String {
        match path {
            "iat" | "jti" => return "set by the service".to_owned(),
            "exp" => return "pandium.token_lifetime_s".to_owned(),
            _ => {}
        }
        let keys = std::iter::once("claims").chain(path.split('.'));
        match self.find(keys) {
            Some(Value::Table(_)) => format!("[claims.{path}]"),
            Some(value) => format!("claims.{path} = {value}"),
            None => "–".to_owned(),
        }
    }

    /// The setting that names a header field.
    pub fn of_field(&self, name: &str) -> String {
        let headers = self.find(["identity", "headers"].into_iter()).and_then(Value::as_table);
        let key = headers.and_then(|headers| key_of(headers, name));
        key.map_or_else(|| "–".to_owned(), |key| format!("identity.headers.{key}"))
    }

    fn find<'a>(&self, mut keys: impl Iterator<Item = &'a str>) -> Option<&Value> {
        let first = self.table.get(keys.next()?)?;
        keys.try_fold(first, |value, key| value.get(key))
    }
}

/// The path of the setting whose value is this header field's name.
fn key_of(table: &Table, name: &str) -> Option<String> {
    table.iter().find_map(|(key, value)| match value {
        Value::String(field) => (field == name).then(|| key.clone()),
        Value::Table(inner) => key_of(inner, name).map(|rest| format!("{key}.{rest}")),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) => {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playground::service_config::login_proxy_sections;

    #[test]
    fn claims_and_fields_are_traced_to_their_settings() {
        let origin = || "http://127.0.0.1:1".to_owned();
        let settings = Settings::new(login_proxy_sections("http://127.0.0.1:1"), origin(), origin()).unwrap();
        assert_eq!(settings.of_claim("ti.xti.user_tier"), "claims.ti.xti.user_tier = \"attributes.plan\"");
        assert_eq!(settings.of_claim("sub"), "claims.sub = \"email\"");
        assert_eq!(settings.of_claim("meta"), "[claims.meta]");
        assert_eq!(settings.of_claim("jti"), "set by the service");
        assert_eq!(settings.of_field("X-Auth-Request-Plan"), "identity.headers.attributes.plan");
        assert_eq!(settings.of_field("X-Other"), "–");
    }
}
