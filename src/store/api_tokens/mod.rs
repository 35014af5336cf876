//! The table `api_tokens`. A token's text is not in it, only its hash.

mod cache;

use super::macros::{reading, writing};
use super::{Engine, Store, StoreError};
use crate::api_token::{ApiTokenHash, ApiTokenId, ApiTokenName, Scope};

pub use cache::{ApiTokenCache, ApiTokensUnavailable, KnownApiToken};

/// An API token, as it is stored. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub struct StoredApiToken {
    /// Its id.
    pub id: ApiTokenId,
    /// Its name, unique among those that are not revoked.
    pub name: ApiTokenName,
    /// Its hash.
    pub hash: ApiTokenHash,
    /// What it permits.
    pub scopes: Vec<Scope>,
    /// When it was created.
    pub created_at_us: i64,
    /// When it expires; `None` if it does not.
    pub expires_at_us: Option<i64>,
    /// When it was revoked.
    pub revoked_at_us: Option<i64>,
    /// When it was used last, to the minute.
    pub last_used_at_us: Option<i64>,
}

/// Whether a token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiTokenState {
    /// It is valid.
    Valid,
    /// It has expired.
    Expired,
    /// It was revoked.
    Revoked,
}

/// Identifies a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiTokenKey {
    /// By its name.
    Name(ApiTokenName),
    /// By its id.
    Id(ApiTokenId),
}

/// The result of adding a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddApiToken {
    /// It is added.
    Added,
    /// Another token has this name.
    NameTaken,
    /// There are [`MAX_API_TOKENS`] already.
    TooMany,
}

/// The maximum number of tokens that are not revoked: every process keeps them in memory.
pub const MAX_API_TOKENS: i64 = 1_000;

/// The time between two updates of a token's last use.
const LAST_USE_STEP_US: i64 = 60_000_000;

/// The columns, in the order of [`Row`].
const COLUMNS: &str = "id, name, hash, scopes, created_at_us, expires_at_us, revoked_at_us, last_used_at_us";

type Row = (String, String, Vec<u8>, String, i64, Option<i64>, Option<i64>, Option<i64>);

impl StoredApiToken {
    /// Whether it is valid at this time.
    pub fn state(&self, now_us: i64) -> ApiTokenState {
        match (self.revoked_at_us, self.expires_at_us) {
            (Some(_), _) => ApiTokenState::Revoked,
            (None, Some(expires_at_us)) if expires_at_us <= now_us => ApiTokenState::Expired,
            (None, _) => ApiTokenState::Valid,
        }
    }

    fn of_row(row: Row) -> Result<Self, StoreError> {
        let (id, name, hash, scopes, created_at_us, expires_at_us, revoked_at_us, last_used_at_us) = row;
        let damaged = |_| StoreError::Database("the table api_tokens has an invalid row".to_owned());
        Ok(Self {
            id: ApiTokenId::parse(&id).map_err(|why| damaged(why.to_string()))?,
            name: ApiTokenName::parse(&name).map_err(|why| damaged(why.to_string()))?,
            hash: ApiTokenHash::from_bytes(hash),
            // a scope of a newer version is ignored by this one
            scopes: scopes.split(' ').filter_map(|scope| Scope::parse(scope).ok()).collect(),
            created_at_us,
            expires_at_us,
            revoked_at_us,
            last_used_at_us,
        })
    }
}

impl Store {
    /// Adds a token.
    pub async fn add_api_token(&self, token: StoredApiToken) -> Result<AddApiToken, StoreError> {
        let scopes = token.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ");
        writing!(self, |transaction| {
            let sql = "SELECT count(*) FROM api_tokens WHERE revoked_at_us IS NULL";
            let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut *transaction).await?;
            if count >= MAX_API_TOKENS {
                AddApiToken::TooMany
            } else {
                let sql = format!(
                    "INSERT INTO api_tokens ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                    ON CONFLICT DO NOTHING"
                );
                let added = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(token.id.as_str())
                    .bind(token.name.as_str())
                    .bind(token.hash.as_bytes())
                    .bind(scopes)
                    .bind(token.created_at_us)
                    .bind(token.expires_at_us)
                    .bind(token.revoked_at_us)
                    .bind(token.last_used_at_us)
                    .execute(&mut *transaction)
                    .await?;
                if added.rows_affected() == 1 { AddApiToken::Added } else { AddApiToken::NameTaken }
            }
        })
    }

    /// Removes a token that was added and never shown.
    pub async fn remove_api_token(&self, id: ApiTokenId) -> Result<(), StoreError> {
        writing!(self, |transaction| {
            let sql = "DELETE FROM api_tokens WHERE id = $1";
            sqlx::query(sql).bind(id.as_str()).execute(&mut *transaction).await?;
        })
    }

    /// All tokens, the oldest first, including expired and revoked ones.
    pub async fn api_tokens(&self) -> Result<Vec<StoredApiToken>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_tokens ORDER BY created_at_us, id");
        reading!(self, |connection| {
            let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *connection).await?;
            rows.into_iter().map(StoredApiToken::of_row).collect::<Result<Vec<_>, _>>()?
        })
    }

    /// The tokens that are not revoked, or were revoked after this time.
    pub async fn recent_api_tokens(&self, revoked_after_us: i64) -> Result<Vec<StoredApiToken>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM api_tokens WHERE revoked_at_us IS NULL OR revoked_at_us > $1
            ORDER BY revoked_at_us IS NOT NULL LIMIT $2"
        );
        reading!(self, |connection| {
            let select = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(revoked_after_us);
            let rows: Vec<Row> = select.bind(2 * MAX_API_TOKENS).fetch_all(&mut *connection).await?;
            rows.into_iter().map(StoredApiToken::of_row).collect::<Result<Vec<_>, _>>()?
        })
    }

    /// Revokes a token, and returns it as it was before; `None` if no token with this name or id
    /// exists that is not revoked.
    pub async fn revoke_api_token(
        &self,
        key: ApiTokenKey,
        now_us: i64,
    ) -> Result<Option<StoredApiToken>, StoreError> {
        let (column, value) = match key {
            ApiTokenKey::Name(name) => ("name", name.as_str().to_owned()),
            ApiTokenKey::Id(id) => ("id", id.as_str().to_owned()),
        };
        let select =
            format!("SELECT {COLUMNS} FROM api_tokens WHERE {column} = $1 AND revoked_at_us IS NULL");
        writing!(self, |transaction| {
            let found: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(select))
                .bind(value)
                .fetch_optional(&mut *transaction)
                .await?;
            let found = found.map(StoredApiToken::of_row).transpose()?;
            if let Some(token) = &found {
                let sql = "UPDATE api_tokens SET revoked_at_us = $1 WHERE id = $2";
                sqlx::query(sql).bind(now_us).bind(token.id.as_str()).execute(&mut *transaction).await?;
            }
            found
        })
    }

    /// Records the last use of a token, unless one was recorded within the last minute.
    pub async fn note_use_of_api_token(&self, id: ApiTokenId, now_us: i64) -> Result<(), StoreError> {
        writing!(self, |transaction| {
            let sql = "UPDATE api_tokens SET last_used_at_us = $1
                WHERE id = $2 AND (last_used_at_us IS NULL OR last_used_at_us <= $3)";
            sqlx::query(sql)
                .bind(now_us)
                .bind(id.as_str())
                .bind(now_us - LAST_USE_STEP_US)
                .execute(&mut *transaction)
                .await?;
        })
    }
}
