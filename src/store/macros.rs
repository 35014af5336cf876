//! `reading!` and `writing!`: one body of statements, compiled for each engine, and run on the
//! store's thread within the time limit.

/// Runs statements that only read. `connection` is a `&mut` of either engine's type:
///
/// ```text
/// let count: i64 = reading!(self, |connection| {
///     sqlx::query_scalar("SELECT count(*) FROM audit_events").fetch_one(&mut *connection).await?
/// })?;
/// ```
macro_rules! reading {
    ($store:expr, |$connection:ident| $body:block) => {{
        let inner = std::sync::Arc::clone(&$store.inner);
        let work = async move {
            inner.prepare().await?;
            let limit = inner.limit;
            match &inner.engine {
                Engine::Sqlite(connections, _) => reading!(@on connections, limit, |$connection| $body),
                Engine::Postgres(connections) => reading!(@on connections, limit, |$connection| $body),
            }
        };
        $store.inner.runtime.run(work).await
    }};
    (@on $connections:ident, $limit:ident, |$connection:ident| $body:block) => {{
        let mut pooled = match $connections.readers.acquire().await {
            Ok(pooled) => pooled,
            Err(sqlx::Error::PoolTimedOut) => return Err(StoreError::TimedOut($limit)),
            Err(error) => return Err(StoreError::connecting(error)),
        };
        let work = async {
            let $connection = &mut *pooled;
            let value = $body;
            Ok::<_, StoreError>(value)
        };
        match tokio::time::timeout($limit, work).await {
            Ok(result) => result,
            Err(_) => {
                // closed without the pool, which would wait for the response
                drop(pooled.detach());
                Err(StoreError::TimedOut($limit))
            }
        }
    }};
}

/// Runs statements in one transaction. Like `reading!`, but with the connection for writing;
/// an error rolls back.
macro_rules! writing {
    ($store:expr, |$transaction:ident| $body:block) => {{
        let inner = std::sync::Arc::clone(&$store.inner);
        let work = async move {
            inner.prepare().await?;
            let limit = inner.limit;
            match &inner.engine {
                Engine::Sqlite(connections, _) => {
                    writing!(@begin "BEGIN IMMEDIATE", connections, limit, |$transaction| $body)
                }
                Engine::Postgres(connections) => {
                    writing!(@begin "BEGIN", connections, limit, |$transaction| $body)
                }
            }
        };
        $store.inner.runtime.run(work).await
    }};
    (@begin $begin:literal, $connections:ident, $limit:ident, |$transaction:ident| $body:block) => {{
        use sqlx::Connection as _;
        writing!(@on $connections, $limit, |connection| {
            let mut begun = connection.begin_with($begin).await?;
            let $transaction = &mut *begun;
            let value = $body;
            begun.commit().await?;
            value
        })
    }};
    (@on $connections:ident, $limit:ident, |$connection:ident| $body:block) => {{
        let acquire = async {
            let mut writer = $connections.writer.lock().await;
            if writer.is_none() {
                *writer = Some($connections.connect().await?);
            }
            Ok::<_, StoreError>(writer)
        };
        let mut writer = match tokio::time::timeout($limit, acquire).await {
            Ok(acquired) => acquired?,
            Err(_) => return Err(StoreError::TimedOut($limit)),
        };
        let Some($connection) = writer.as_mut() else { return Err(StoreError::Stopped) };
        let work = async {
            let value = $body;
            Ok::<_, StoreError>(value)
        };
        match tokio::time::timeout($limit, work).await {
            Ok(result) => {
                // after an error of the database, its transaction may be in any state
                if !matches!(&result, Ok(_) | Err(StoreError::Conflict(_))) {
                    *writer = None;
                }
                result
            }
            Err(_) => {
                if $connections.closes_after_timeout {
                    *writer = None;
                }
                Err(StoreError::TimedOut($limit))
            }
        }
    }};
}

pub(super) use {reading, writing};
