//! Merges the layers of a configuration: the value of each key, and its origin. This module does
//! not know what a value means.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use config::{Map, Source, Value, ValueKind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::excerpt::line_of;
use super::problem::{Collector, NO_SUCH_KEY, Reported};

/// The sources of a configuration, apart from the built-in ones.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files; later ones override earlier ones.
    pub files: Vec<PathBuf>,
    /// Environment variables; only those with the prefix `SSO_` are read.
    pub variables: BTreeMap<String, String>,
    /// Settings given as arguments, by key.
    pub arguments: BTreeMap<String, String>,
}

/// One layer: values with their origins.
#[derive(Clone, Debug)]
struct Layer {
    values: Map<String, Value>,
}

/// The layers that are compiled in: the default, and an overlay chosen by the
/// value of one top-level key.
pub(crate) struct BuiltIn {
    pub default: &'static str,
    pub overlay_key: &'static str,
    /// Name and text of the overlay for a value of that key.
    pub overlay: fn(&str) -> Option<(&'static str, &'static str)>,
}

/// The origin of built-in defaults.
pub(crate) const BUILT_IN_DEFAULT: &str = "the built-in default.toml";

/// The prefix of environment variables' origins.
pub(crate) const VARIABLE: &str = "the environment variable";

const PREFIX: &str = "SSO_";
const CONFIG_VARIABLE: &str = "SSO_CONFIG";

impl Sources {
    /// The given files and arguments, and the environment variables of this process. Without files,
    /// the file that `SSO_CONFIG` names.
    pub fn from_process(files: Vec<PathBuf>, arguments: BTreeMap<String, String>) -> Self {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .filter(|(name, _)| name.starts_with(PREFIX) && !is_of_kubernetes(name))
            .collect();
        let named = variables.get(CONFIG_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        let files = if files.is_empty() { named.into_iter().collect() } else { files };
        Self { files, variables, arguments }
    }

    /// Whether there is neither a file nor a variable.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.variables.is_empty()
    }
}

/// Merges all layers. An error if one cannot be read: without it, the others could have problems that
/// are not real.
pub(crate) fn read(sources: &Sources, built_in: &BuiltIn, problems: &Collector) -> Result<Value, Reported> {
    let files: Vec<_> = sources.files.iter().map(|file| file_layer(file, problems)).collect();
    let mut own = files.into_iter().collect::<Result<Vec<_>, _>>()?;
    own.push(variable_layer(&sources.variables));
    own.push(argument_layer(&sources.arguments));
    over_built_in(own, built_in, problems)
}

/// Merges one TOML text over the built-in layers.
pub(crate) fn read_text(text: &str, built_in: &BuiltIn, problems: &Collector) -> Result<Value, Reported> {
    over_built_in(vec![toml_layer("the text", text, problems)?], built_in, problems)
}

fn over_built_in(own: Vec<Layer>, built_in: &BuiltIn, problems: &Collector) -> Result<Value, Reported> {
    let overlay = last_text(&own, built_in.overlay_key).and_then(built_in.overlay);
    let base = [(BUILT_IN_DEFAULT, built_in.default)].into_iter().chain(overlay);
    let base =
        base.map(|(origin, text)| toml_layer(origin, text, problems)).collect::<Result<Vec<_>, _>>()?;
    let layers = base.into_iter().chain(own);
    let builder = layers.fold(config::Config::builder(), |builder, layer| builder.add_source(layer));
    let merged = builder.build().map_err(|error| {
        let help = "see config/default.toml for the form of each key";
        problems.add("configuration", None, error.to_string(), help)
    })?;
    Ok(merged.cache)
}

fn file_layer(file: &Path, problems: &Collector) -> Result<Layer, Reported> {
    let name = file.display().to_string();
    let text = problems.read_file(file).map_err(|error| {
        let what = match std::path::absolute(file) {
            Ok(path) if error.kind() == io::ErrorKind::NotFound => {
                format!("there is no such file at {}", path.display())
            }
            Ok(_) | Err(_) => format!("the file cannot be read: {error}"),
        };
        let help = "name a file that exists with --config or SSO_CONFIG, or write one: marketplace-sso init";
        problems.add(name.as_str(), None, what, help)
    })?;
    toml_layer(&name, &text, problems)
}

/// The string in the last layer that has this key.
fn last_text<'a>(layers: &'a [Layer], key: &str) -> Option<&'a str> {
    let value = layers.iter().rev().find_map(|layer| layer.values.get(key))?;
    match &value.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.values.clone())
    }
}

fn toml_layer(origin: &str, text: &str, problems: &Collector) -> Result<Layer, Reported> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_of(text, span.start));
        problems.add(
            origin,
            Some(format!("{origin}:{line}")),
            format!("it is not TOML: {}", error.message()),
            "correct the line; https://toml.io describes the syntax",
        )
    })?;
    let values = Origins { origin, text }.table(table.into_inner());
    // the config crate would treat a name with a dot as a path
    let is_plain = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let not_plain = values.iter().filter(|(name, _)| !is_plain(name)).map(|(name, value)| {
        let origin = value.origin().map(str::to_owned);
        problems.add(name, origin, NO_SUCH_KEY, "write it without quotes, in its section")
    });
    // every one is reported
    match not_plain.last() {
        Some(reported) => Err(reported),
        None => Ok(Layer { values }),
    }
}

/// Adds file and line to each value of a TOML text.
struct Origins<'a> {
    origin: &'a str,
    text: &'a str,
}

impl Origins<'_> {
    fn table(&self, table: DeTable<'_>) -> Map<String, Value> {
        let entries = table.into_iter().map(|(key, value)| {
            let line = line_of(self.text, key.span().start);
            (key.into_inner().into_owned(), self.value(value, line))
        });
        entries.collect()
    }

    fn value(&self, value: Spanned<DeValue<'_>>, line: usize) -> Value {
        let kind = match value.into_inner() {
            DeValue::String(text) => ValueKind::String(text.into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| ValueKind::String(number.as_str().to_owned()), ValueKind::I64),
            DeValue::Float(number) => number
                .as_str()
                .parse()
                .map_or_else(|_| ValueKind::String(number.as_str().to_owned()), ValueKind::Float),
            DeValue::Boolean(value) => ValueKind::Boolean(value),
            DeValue::Datetime(date) => ValueKind::String(date.to_string()),
            DeValue::Array(items) => {
                ValueKind::Array(items.into_iter().map(|item| self.value(item, line)).collect())
            }
            DeValue::Table(table) => ValueKind::Table(self.table(table)),
        };
        Value::new(Some(&format!("{}:{line}", self.origin)), kind)
    }
}

/// The layer of environment variables: `SSO_PANDIUM__ACCOUNT` sets `pandium.account`. All values
/// are strings.
fn variable_layer(variables: &BTreeMap<String, String>) -> Layer {
    let mut values = Map::new();
    let are_ours = variables.iter().filter(|(name, _)| *name != CONFIG_VARIABLE && !is_of_kubernetes(name));
    for (name, value) in are_ours {
        if let Some(key) = name.strip_prefix(PREFIX) {
            let path: Vec<String> = key.to_lowercase().split("__").map(str::to_owned).collect();
            insert(&mut values, &path, value, &format!("{VARIABLE} {name}"));
        }
    }
    Layer { values }
}

/// Whether Kubernetes sets a variable with this name in the containers of a namespace with a
/// Service named `sso`, as it does for each Service
/// (<https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables>).
fn is_of_kubernetes(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    if matches!(rest, "SERVICE_HOST" | "SERVICE_PORT" | "PORT") {
        return true;
    }
    if let Some(port_name) = rest.strip_prefix("SERVICE_PORT_") {
        // a port's name is a DNS label: letters, digits, and single hyphens between them
        return port_name.split('_').all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        });
    }
    let mut parts = rest.split('_');
    let (head, port, protocol) = (parts.next(), parts.next(), parts.next());
    let (what, more) = (parts.next(), parts.next());
    head == Some("PORT")
        && port.is_some_and(|port| port.parse::<u16>().is_ok())
        && matches!(protocol, Some("TCP" | "UDP" | "SCTP"))
        && matches!(what, None | Some("PROTO" | "PORT" | "ADDR"))
        && more.is_none()
}

fn argument_layer(arguments: &BTreeMap<String, String>) -> Layer {
    let mut values = Map::new();
    for (key, value) in arguments {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        insert(&mut values, &path, value, &format!("the argument --{key}"));
    }
    Layer { values }
}

fn insert(table: &mut Map<String, Value>, path: &[String], text: &str, origin: &str) {
    let origin = origin.to_owned();
    match path {
        [] => {}
        [name] => {
            table.insert(name.clone(), Value::new(Some(&origin), ValueKind::String(text.to_owned())));
        }
        [name, rest @ ..] => {
            let below = table
                .entry(name.clone())
                .or_insert_with(|| Value::new(Some(&origin), ValueKind::Table(Map::new())));
            if !matches!(below.kind, ValueKind::Table(_)) {
                below.kind = ValueKind::Table(Map::new());
            }
            if let ValueKind::Table(below) = &mut below.kind {
                insert(below, rest, text, &origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("SSO_SERVICE_HOST", true)]
    #[case("SSO_SERVICE_PORT", true)]
    #[case("SSO_SERVICE_PORT_HTTP", true)]
    #[case("SSO_SERVICE_PORT_HTTP_ADMIN_2", true)]
    #[case("SSO_PORT", true)]
    #[case("SSO_PORT_8080_TCP", true)]
    #[case("SSO_PORT_8080_TCP_PROTO", true)]
    #[case("SSO_PORT_53_UDP_PORT", true)]
    #[case("SSO_PORT_8080_TCP_ADDR", true)]
    #[case("SSO_PORTS", false)]
    #[case("SSO_PORT_X", false)]
    #[case("SSO_PORT_8080", false)]
    #[case("SSO_PORT_8080_TCP_X", false)]
    #[case("SSO_PORT_8080_TCP_ADDR_X", false)]
    #[case("SSO_PORT_80800_TCP", false)]
    #[case("SSO_SERVICE", false)]
    #[case("SSO_SERVICE_HOSTS", false)]
    #[case("SSO_SERVICE_PORT_", false)]
    #[case("SSO_SERVICE__PORT", false)]
    #[case("SSO_SERVICE_PORT__HTTP", false)]
    #[case("SSO_SERVER__LISTEN", false)]
    #[case("PORT", false)]
    fn kubernetes_service_variables_are_recognized(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(is_of_kubernetes(name), expected);
    }
}
