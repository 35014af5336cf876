//! The tables `mittwald_instances` and `mittwald_requests`: extension instances, which webhooks
//! change, and the ids of received webhooks.

mod queue;
mod row;
mod types;

use uuid::Uuid;

use super::macros::{reading, writing};
use super::{Engine, Store, StoreError};
use row::{COLUMNS, Columns, Row};

pub use queue::{ChangeQueue, NotStored};
pub use types::{Applied, InstanceChange, SealedSecret, StoredInstance, StoredState};

/// Another ciphertext of the same secret.
#[derive(Clone, Debug)]
pub struct Resealed {
    /// The instance.
    pub id: Uuid,
    /// The secret to replace. If it has changed in the meantime, nothing is replaced.
    pub before: SealedSecret,
    /// The secret that replaces it.
    pub after: SealedSecret,
}

impl Store {
    /// Applies changes in one transaction: all or none are stored. The results are in the order of
    /// the changes.
    pub async fn apply_instance_changes(
        &self,
        changes: Vec<InstanceChange>,
    ) -> Result<Vec<Applied>, StoreError> {
        let mut order: Vec<usize> = (0..changes.len()).collect();
        // all processes lock rows in the same order, which prevents deadlocks
        order.sort_by_key(|index| changes.get(*index).map(|change| change.request_id));
        let mut by_instance = order.clone();
        by_instance.sort_by_key(|index| changes.get(*index).map(|change| (change.id, *index)));
        writing!(self, |transaction| {
            let mut results = vec![Applied::Replayed; changes.len()];
            for index in order {
                let (Some(change), Some(result)) = (changes.get(index), results.get_mut(index)) else {
                    continue;
                };
                let sql = "INSERT INTO mittwald_requests (id, received_at_us) VALUES ($1, $2)
                    ON CONFLICT DO NOTHING";
                let insert = sqlx::query(sql).bind(change.request_id).bind(change.received_at_us);
                if insert.execute(&mut *transaction).await?.rows_affected() == 1 {
                    *result = Applied::Outdated;
                }
            }
            for index in by_instance {
                let (Some(change), Some(result)) = (changes.get(index), results.get_mut(index)) else {
                    continue;
                };
                if *result == Applied::Replayed {
                    continue;
                }
                // locks the row, whether it is new or exists
                let sql = format!(
                    "INSERT INTO mittwald_instances ({COLUMNS})
                    VALUES ($1, $2, $3, $4, $5, '[]', 0, NULL, NULL, NULL, 0, 0, 0, 0, 0, $6, $6)
                    ON CONFLICT (id) DO UPDATE SET revision = mittwald_instances.revision RETURNING {COLUMNS}"
                );
                let columns: Columns = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                    .bind(change.id)
                    .bind(change.extension_id)
                    .bind(change.contributor_id)
                    .bind(change.context_id)
                    .bind(change.context_kind.as_str())
                    .bind(change.received_at_us)
                    .fetch_one(&mut *transaction)
                    .await?;
                let mut row = Row::of_columns(columns)?;
                *result = row.merge(change);
                if *result != Applied::Applied {
                    continue;
                }
                let sql =
                    "UPDATE mittwald_instances SET scopes = $1, enabled = $2, variant = $3, secret = $4,
                    secret_key_id = $5, state_order_us = $6, secret_order_us = $7, added_order_us = $8,
                    removed_order_us = $9, revision = $10, updated_at_us = $11 WHERE id = $12";
                let StoredState { scopes, enabled, variant } = row.instance.state;
                let secret = row.instance.secret;
                sqlx::query(sql)
                    .bind(serde_json::to_string(&scopes).unwrap_or_default())
                    .bind(i64::from(enabled))
                    .bind(variant)
                    .bind(secret.as_ref().map(|secret| secret.ciphertext.as_slice()))
                    .bind(secret.as_ref().map(|secret| secret.key_id.as_slice()))
                    .bind(row.state_order_us)
                    .bind(row.secret_order_us)
                    .bind(row.added_order_us)
                    .bind(row.removed_order_us)
                    .bind(row.instance.revision)
                    .bind(row.instance.updated_at_us)
                    .bind(change.id)
                    .execute(&mut *transaction)
                    .await?;
            }
            results
        })
    }

    /// Records the id of a webhook that changes nothing. Returns whether the id is new.
    pub async fn note_webhook(&self, request_id: Uuid, received_at_us: i64) -> Result<bool, StoreError> {
        writing!(self, |transaction| {
            let sql = "INSERT INTO mittwald_requests (id, received_at_us) VALUES ($1, $2)
                ON CONFLICT DO NOTHING";
            let insert = sqlx::query(sql).bind(request_id).bind(received_at_us);
            insert.execute(&mut *transaction).await?.rows_affected() == 1
        })
    }

    /// An installed instance.
    pub async fn instance(&self, id: Uuid) -> Result<Option<StoredInstance>, StoreError> {
        reading!(self, |connection| {
            let sql = format!("SELECT {COLUMNS} FROM mittwald_instances WHERE id = $1");
            let select = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id);
            let found: Option<Columns> = select.fetch_optional(&mut *connection).await?;
            let row = found.map(Row::of_columns).transpose()?;
            row.filter(Row::is_installed).map(|row| row.instance)
        })
    }

    /// Installed instances with ids after `after`, in the order of their ids.
    pub async fn instances(
        &self,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<StoredInstance>, StoreError> {
        reading!(self, |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM mittwald_instances WHERE id > $1
                AND (removed_order_us = 0 OR added_order_us > removed_order_us)
                ORDER BY id LIMIT $2"
            );
            let select = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(after.unwrap_or_default()).bind(limit);
            let found: Vec<Columns> = select.fetch_all(&mut *connection).await?;
            let rows = found.into_iter().map(Row::of_columns).collect::<Result<Vec<_>, _>>()?;
            rows.into_iter().map(|row| row.instance).collect()
        })
    }

    /// Replaces ciphertexts, each if it is still the same. Returns how many were replaced.
    pub async fn replace_instance_secrets(&self, resealed: Vec<Resealed>) -> Result<u64, StoreError> {
        writing!(self, |transaction| {
            let mut replaced = 0;
            for Resealed { id, before, after } in resealed {
                let sql = "UPDATE mittwald_instances SET secret = $1, secret_key_id = $2
                    WHERE id = $3 AND secret = $4";
                let update = sqlx::query(sql)
                    .bind(after.ciphertext)
                    .bind(after.key_id)
                    .bind(id)
                    .bind(before.ciphertext);
                replaced += update.execute(&mut *transaction).await?.rows_affected();
            }
            replaced
        })
    }

    /// Deletes the ids of webhooks that were received before this time, and removed instances that
    /// were last changed before it.
    pub async fn purge_instances(&self, before_us: i64) -> Result<(), StoreError> {
        writing!(self, |transaction| {
            let sql = "DELETE FROM mittwald_requests WHERE received_at_us < $1";
            sqlx::query(sql).bind(before_us).execute(&mut *transaction).await?;
            let sql = "DELETE FROM mittwald_instances WHERE updated_at_us < $1
                AND removed_order_us > 0 AND added_order_us <= removed_order_us";
            sqlx::query(sql).bind(before_us).execute(&mut *transaction).await?;
        })
    }
}
