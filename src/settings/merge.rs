//! Merges tables of the configuration.

use config::{Map, Value, ValueKind};

/// The suffix of a key whose value is the path of a file with the secret.
pub(crate) const FILE: &str = "_file";

/// The suffix of the key with a secret's encoding.
pub(crate) const ENCODING: &str = "_encoding";

/// The origin of a value, or of a value nested in it.
pub(crate) fn origin(value: &Value) -> Option<String> {
    match (value.origin(), &value.kind) {
        (Some(origin), _) => Some(origin.to_owned()),
        (None, ValueKind::Table(table)) => table.values().find_map(origin),
        (None, _) => None,
    }
}

/// `base`, without secrets that `over` has in the other form (`X` or `X_file`), and without the
/// encoding of secrets that `over` replaces.
pub(crate) fn without_other_forms(mut base: Value, over: &Value) -> Value {
    if let (ValueKind::Table(base), ValueKind::Table(over)) = (&mut base.kind, &over.kind) {
        base.retain(|name, _| {
            let other = name.strip_suffix(FILE).map_or_else(|| format!("{name}{FILE}"), str::to_owned);
            let encoded = name.strip_suffix(ENCODING);
            let is_replaced =
                |secret: &str| over.contains_key(secret) || over.contains_key(&format!("{secret}{FILE}"));
            !over.contains_key(&other) && !encoded.is_some_and(is_replaced)
        });
    }
    base
}

/// Merges `over` into `base`. Tables are merged, other values replaced.
pub(crate) fn merge(base: Value, over: Value) -> Value {
    let origin = over.origin().map(str::to_owned);
    match (base.kind, over.kind) {
        (ValueKind::Table(mut base), ValueKind::Table(over)) => {
            let mut merged: Map<String, Value> = Map::new();
            for (name, value) in over {
                let value = match base.remove(&name) {
                    Some(below) => merge(below, value),
                    None => value,
                };
                merged.insert(name, value);
            }
            merged.extend(base);
            Value::new(origin.as_ref(), ValueKind::Table(merged))
        }
        (_, kind) => Value::new(origin.as_ref(), kind),
    }
}
