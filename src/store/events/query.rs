//! Selects events by their fields, page by page.

use uuid::Uuid;

use super::{SELECT, StoredEvent};

/// Which events to select. A field that is `None` does not restrict them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// From this time on.
    pub since_us: Option<i64>,
    /// Before this time.
    pub until_us: Option<i64>,
    /// With one of these subjects.
    pub subjects: Option<Vec<String>>,
    /// At this entrance.
    pub entrance: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// With this reason.
    pub reason: Option<String>,
    /// Of this token.
    pub jti: Option<Uuid>,
    /// Of this request.
    pub request_id: Option<Uuid>,
}

/// The order of selected events: by time, then by writer and `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrder {
    /// The oldest first.
    OldestFirst,
    /// The newest first.
    NewestFirst,
}

/// The position of an event in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPosition {
    /// Its time.
    pub at_us: i64,
    /// Its writer.
    pub writer: Uuid,
    /// Its `seq`.
    pub seq: i64,
}

/// One page of events.
#[derive(Clone, Debug)]
pub struct EventQuery {
    /// Which events.
    pub filter: EventFilter,
    /// In which order.
    pub order: EventOrder,
    /// The position after which the page begins; `None` for the first page.
    pub after: Option<EventPosition>,
    /// The maximum number of events.
    pub limit: i64,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(i64),
    Text(String),
    Id(Uuid),
}

impl StoredEvent {
    /// Its position among selected events.
    pub const fn position(&self) -> EventPosition {
        EventPosition { at_us: self.event.at_us, writer: self.writer, seq: self.seq }
    }
}

impl EventQuery {
    /// The statement, and the values of its parameters.
    pub(super) fn to_sql(&self) -> (String, Vec<Value>) {
        let mut conditions = Conditions::default();
        let EventFilter { since_us, until_us, subjects, entrance, outcome, reason, jti, request_id } =
            self.filter.clone();
        conditions.add("at_us >= ", since_us.map(Value::Number));
        conditions.add("at_us < ", until_us.map(Value::Number));
        conditions.add("entrance = ", entrance.map(Value::Text));
        conditions.add("outcome = ", outcome.map(Value::Text));
        conditions.add("reason = ", reason.map(Value::Text));
        conditions.add("jti = ", jti.map(Value::Id));
        conditions.add("request_id = ", request_id.map(Value::Id));
        if let Some(subjects) = subjects {
            let parameters: Vec<String> =
                subjects.into_iter().map(|subject| conditions.parameter(Value::Text(subject))).collect();
            conditions.all.push(format!("subject IN ({})", parameters.join(", ")));
        }
        let (direction, comparison) = match self.order {
            EventOrder::OldestFirst => ("", ">"),
            EventOrder::NewestFirst => (" DESC", "<"),
        };
        if let Some(EventPosition { at_us, writer, seq }) = self.after {
            let after = [Value::Number(at_us), Value::Id(writer), Value::Number(seq)];
            let after = after.map(|value| conditions.parameter(value)).join(", ");
            conditions.all.push(format!("(at_us, writer, seq) {comparison} ({after})"));
        }
        let limit = conditions.parameter(Value::Number(self.limit));
        let conditions_sql = match conditions.all.as_slice() {
            [] => String::new(),
            all => format!(" WHERE {}", all.join(" AND ")),
        };
        let order = ["at_us", "writer", "seq"].map(|column| format!("{column}{direction}")).join(", ");
        (format!("{SELECT}{conditions_sql} ORDER BY {order} LIMIT {limit}"), conditions.values)
    }
}

#[derive(Default)]
struct Conditions {
    all: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition, if there is a value.
    fn add(&mut self, comparison: &str, value: Option<Value>) {
        if let Some(value) = value {
            let parameter = self.parameter(value);
            self.all.push(format!("{comparison}{parameter}"));
        }
    }

    /// Adds a value, and returns its parameter.
    fn parameter(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parameters() {
        let filter = EventFilter {
            since_us: Some(1),
            subjects: Some(vec!["a' OR 1=1".into(), "b".into()]),
            reason: Some("bad_link".into()),
            ..EventFilter::default()
        };
        let after = Some(EventPosition { at_us: 5, writer: Uuid::nil(), seq: 7 });
        let (sql, values) = EventQuery { filter, order: EventOrder::NewestFirst, after, limit: 10 }.to_sql();
        insta::assert_snapshot!(sql, @"SELECT * FROM audit_events WHERE at_us >= $1 AND reason = $2 AND subject IN ($3, $4) AND (at_us, writer, seq) < ($5, $6, $7) ORDER BY at_us DESC, writer DESC, seq DESC LIMIT $8");
        assert_eq!(values.len(), 8);
    }
}
