//! The heads of other chains in a writer's first event, as JSON.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::store::Witnessed;
use crate::store::events::Event;

/// The key of the list in an event's `data`.
const HEADS: &str = "heads";

/// One head.
pub(super) fn to_json(head: &Witnessed) -> Value {
    json!({ "writer": head.writer, "seq": head.seq, "hash": to_hex(&head.hash) })
}

/// The heads in an event.
pub(super) fn of(event: &Event) -> Vec<Witnessed> {
    let data: Value =
        event.data.as_deref().and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default();
    let heads = data.get(HEADS).and_then(Value::as_array);
    heads.into_iter().flatten().filter_map(from_json).collect()
}

fn from_json(head: &Value) -> Option<Witnessed> {
    Some(Witnessed {
        writer: Uuid::try_parse(head.get("writer")?.as_str()?).ok()?,
        seq: head.get("seq")?.as_i64()?,
        hash: from_hex(head.get("hash")?.as_str()?)?,
    })
}

/// Two hexadecimal digits for each byte.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
