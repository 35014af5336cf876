//! Settings as JSON values.

use config::{Value, ValueKind};

/// A setting of any kind as JSON, without its origin.
pub(crate) fn to_json(value: Value) -> serde_json::Value {
    match value.kind {
        ValueKind::Nil => serde_json::Value::Null,
        ValueKind::Boolean(value) => value.into(),
        ValueKind::I64(number) => number.into(),
        ValueKind::I128(number) => i64::try_from(number).unwrap_or_default().into(),
        ValueKind::U64(number) => number.into(),
        ValueKind::U128(number) => u64::try_from(number).unwrap_or_default().into(),
        ValueKind::Float(number) => number.into(),
        ValueKind::String(text) => text.into(),
        ValueKind::Table(table) => {
            serde_json::Value::Object(table.into_iter().map(|(name, value)| (name, to_json(value))).collect())
        }
        ValueKind::Array(items) => items.into_iter().map(to_json).collect(),
    }
}
