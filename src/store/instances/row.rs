//! A row of the table `mittwald_instances`, and how a change is merged into it.
//!
//! State, secret, installation and removal each have the time of the webhook that wrote them, and
//! the newest wins. So the result depends neither on the order in which webhooks are received nor
//! on how often. After a removal, only a newer installation installs the instance again. State and
//! secret of other webhooks that are newer than the removal are kept for that installation.
//!
//! If two webhooks have the same time, a removal wins; of two states or secrets, the one that was
//! received later wins. A repeated webhook changes nothing.

use sqlx::{ColumnIndex, Decode, FromRow, Type};
use uuid::Uuid;

use super::types::{Applied, InstanceChange, SealedSecret, StoredInstance, StoredState};
use crate::store::StoreError;

/// The columns of the table.
pub(super) const COLUMNS: &str = "id, extension_id, contributor_id, context_id, context_kind, scopes, \
     enabled, variant, secret, secret_key_id, state_order_us, secret_order_us, added_order_us, \
     removed_order_us, revision, created_at_us, updated_at_us";

/// A row as the engines return it: it has more columns than a tuple can have.
pub(super) struct Columns {
    row: Row,
    scopes: String,
    secret: Option<Vec<u8>>,
    key_id: Option<Vec<u8>>,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub instance: StoredInstance,
    pub state_order_us: i64,
    pub secret_order_us: i64,
    pub added_order_us: i64,
    pub removed_order_us: i64,
}

impl Row {
    pub fn of_columns(columns: Columns) -> Result<Self, StoreError> {
        let Columns { mut row, scopes, secret, key_id } = columns;
        let damaged = || StoreError::Database("the table mittwald_instances has an invalid row".to_owned());
        row.instance.secret = match (secret, key_id) {
            (Some(ciphertext), Some(key_id)) => Some(SealedSecret { ciphertext, key_id }),
            (None, _) => None,
            (Some(_), None) => return Err(damaged()),
        };
        row.instance.state.scopes = serde_json::from_str(&scopes).map_err(|_| damaged())?;
        Ok(row)
    }

    /// Whether the instance is installed.
    pub const fn is_installed(&self) -> bool {
        // the webhook of the first installation may be received later, or never
        self.removed_order_us == 0 || self.added_order_us > self.removed_order_us
    }

    /// Merges a change.
    pub fn merge(&mut self, change: &InstanceChange) -> Applied {
        if change.extension_id != self.instance.extension_id {
            return Applied::OtherExtension;
        }
        let before = self.clone();
        let at_us = change.created_at_us;
        if change.is_removed {
            self.removed_order_us = self.removed_order_us.max(at_us);
        }
        // only an installation has both
        if change.state.is_some() && change.secret.is_some() {
            self.added_order_us = self.added_order_us.max(at_us);
        }
        if let Some(state) = change.state.as_ref().filter(|_| at_us >= self.state_order_us) {
            self.state_order_us = at_us;
            self.instance.state = state.clone();
        }
        if let Some(secret) = change.secret.as_ref().filter(|_| at_us >= self.secret_order_us) {
            self.secret_order_us = at_us;
            self.instance.secret = Some(secret.clone());
        }
        // a removal deletes states and secrets of the same time or older
        if self.state_order_us <= self.removed_order_us {
            self.instance.state = StoredState::default();
        }
        if self.secret_order_us <= self.removed_order_us {
            self.instance.secret = None;
        }
        if *self == before {
            return Applied::Outdated;
        }
        self.instance.revision = before.instance.revision.saturating_add(1);
        self.instance.updated_at_us = change.received_at_us;
        Applied::Applied
    }
}

impl<'r, R: sqlx::Row> FromRow<'r, R> for Columns
where
    &'static str: ColumnIndex<R>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    Option<Vec<u8>>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let enabled: i64 = row.try_get("enabled")?;
        let state =
            StoredState { scopes: Vec::new(), enabled: enabled != 0, variant: row.try_get("variant")? };
        let instance = StoredInstance {
            id: row.try_get("id")?,
            extension_id: row.try_get("extension_id")?,
            contributor_id: row.try_get("contributor_id")?,
            context_id: row.try_get("context_id")?,
            context_kind: row.try_get("context_kind")?,
            state,
            secret: None,
            revision: row.try_get("revision")?,
            created_at_us: row.try_get("created_at_us")?,
            updated_at_us: row.try_get("updated_at_us")?,
        };
        let orders = Row {
            instance,
            state_order_us: row.try_get("state_order_us")?,
            secret_order_us: row.try_get("secret_order_us")?,
            added_order_us: row.try_get("added_order_us")?,
            removed_order_us: row.try_get("removed_order_us")?,
        };
        Ok(Self {
            row: orders,
            scopes: row.try_get("scopes")?,
            secret: row.try_get("secret")?,
            key_id: row.try_get("secret_key_id")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    const ID: Uuid = Uuid::from_u128(1);

    /// Before the first change.
    fn empty(change: &InstanceChange) -> Row {
        let instance = StoredInstance {
            id: change.id,
            extension_id: change.extension_id,
            contributor_id: change.contributor_id,
            context_id: change.context_id,
            context_kind: change.context_kind.clone(),
            state: StoredState::default(),
            secret: None,
            revision: 0,
            created_at_us: change.received_at_us,
            updated_at_us: change.received_at_us,
        };
        Row { instance, state_order_us: 0, secret_order_us: 0, added_order_us: 0, removed_order_us: 0 }
    }

    fn change(at: i64) -> InstanceChange {
        InstanceChange {
            request_id: Uuid::nil(),
            created_at_us: at,
            received_at_us: 1_000,
            id: ID,
            extension_id: ID,
            contributor_id: ID,
            context_id: ID,
            context_kind: "project".to_owned(),
            state: None,
            secret: None,
            is_removed: false,
        }
    }

    fn state(at: i64) -> Option<StoredState> {
        Some(StoredState { scopes: vec![at.to_string()], enabled: at % 2 == 0, variant: None })
    }

    fn secret(at: i64) -> Option<SealedSecret> {
        Some(SealedSecret { ciphertext: at.to_be_bytes().to_vec(), key_id: vec![1] })
    }

    fn added(at: i64) -> InstanceChange {
        InstanceChange { state: state(at), secret: secret(at), ..change(at) }
    }

    fn updated(at: i64) -> InstanceChange {
        InstanceChange { state: state(at), ..change(at) }
    }

    fn rotated(at: i64) -> InstanceChange {
        InstanceChange { secret: secret(at), ..change(at) }
    }

    fn removed(at: i64) -> InstanceChange {
        InstanceChange { is_removed: true, ..change(at) }
    }

    fn merged(changes: &[InstanceChange]) -> Row {
        let mut row = empty(&changes[0]);
        for change in changes {
            row.merge(change);
        }
        row.instance.revision = 0;
        row
    }

    proptest! {
        #[test]
        fn any_order_and_number_of_deliveries_ends_in_the_same_state(
            kinds in prop::collection::vec(0..4_u8, 1..12),
            again in prop::collection::vec(any::<Index>(), 0..12),
            shuffle in prop::collection::vec(any::<Index>(), 24),
        ) {
            let make = [added, updated, rotated, removed];
            let in_order: Vec<_> =
                kinds.iter().zip(1..).map(|(kind, at)| make[usize::from(*kind)](at)).collect();
            let mut delivered = in_order.clone();
            delivered.extend(again.iter().map(|index| index.get(&in_order).clone()));
            for (place, index) in shuffle.iter().enumerate().take(delivered.len()) {
                let other = index.index(delivered.len());
                delivered.swap(place, other);
            }
            prop_assert_eq!(merged(&delivered), merged(&in_order));
            let is_installed = kinds.iter().fold(true, |is_installed, kind| match kind {
                0 => true,
                3 => false,
                _ => is_installed,
            });
            prop_assert_eq!(merged(&delivered).is_installed(), is_installed);
        }
    }

    #[test]
    fn an_older_installation_does_not_restore_a_removed_instance() {
        let row = merged(&[removed(5), added(4)]);
        assert!(!row.is_installed() && row.instance.secret.is_none());
        assert!(merged(&[removed(5), added(4), added(6)]).is_installed());
    }

    #[test]
    fn only_an_installation_restores_a_removed_instance() {
        assert!(!merged(&[added(1), removed(5), updated(6), rotated(7)]).is_installed());
        let row = merged(&[added(1), removed(5), updated(7), added(6)]);
        assert!(row.is_installed());
        assert_eq!((Some(row.instance.state), row.instance.secret), (state(7), secret(6)));
    }

    #[test]
    fn at_the_same_time_a_removal_wins_then_the_later_received() {
        assert!(!merged(&[removed(5), added(5)]).is_installed());
        assert!(!merged(&[added(5), removed(5)]).is_installed());
        let other = InstanceChange { state: state(9), ..updated(5) };
        let mut row = merged(&[updated(5), other.clone()]);
        assert_eq!(Some(row.instance.state.clone()), state(9));
        assert_eq!(row.merge(&other), Applied::Outdated);
    }

    #[test]
    fn an_older_update_changes_nothing_and_is_reported() {
        let mut row = merged(&[added(1), updated(5)]);
        let before = row.clone();
        assert_eq!(row.merge(&updated(4)), Applied::Outdated);
        assert_eq!(row, before);
    }

    #[test]
    fn an_instance_stays_with_its_extension() {
        let mut row = merged(&[added(1)]);
        let other = InstanceChange { extension_id: Uuid::from_u128(2), ..rotated(9) };
        assert_eq!(row.merge(&other), Applied::OtherExtension);
        assert_eq!(row.instance.secret, secret(1));
    }
}
