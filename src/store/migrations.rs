//! The tables, as migrations that are compiled in and applied at the start.
//!
//! To add a table: write `NNNN_name.sql` with the next number into both
//! `src/store/migrations/sqlite` and `…/postgres`, and add a line to [`ALL`]. A migration
//! that was released never changes. While a new version is rolled out, older replicas
//! still run; so a migration may add tables, columns with a default and indexes, but not
//! rename or remove what the previous version uses.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// One migration, in the dialect of each engine.
struct Source {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// The number, the name, and the file in each engine's folder.
macro_rules! migration {
    ($number:literal, $name:literal, $file:literal) => {
        Source {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("migrations/sqlite/", $file)),
            postgres: include_str!(concat!("migrations/postgres/", $file)),
        }
    };
}

/// All migrations, in order.
const ALL: [Source; 7] = [
    migration!(1, "audit", "0001_audit.sql"),
    migration!(2, "api_tokens", "0002_api_tokens.sql"),
    migration!(3, "tickets", "0003_tickets.sql"),
    migration!(4, "counts", "0004_counts.sql"),
    migration!(5, "ended_sessions", "0005_ended_sessions.sql"),
    migration!(6, "instances", "0006_instances.sql"),
    migration!(7, "session_refreshes", "0007_session_refreshes.sql"),
];

/// The migrations of SQLite.
pub(super) fn sqlite() -> Migrator {
    migrator(|source| source.sqlite)
}

/// The migrations of PostgreSQL.
pub(super) fn postgres() -> Migrator {
    migrator(|source| source.postgres)
}

fn migrator(dialect: impl Fn(&Source) -> &'static str) -> Migrator {
    let migration = |source: &Source| {
        Migration::new(
            source.number,
            Cow::Borrowed(source.name),
            MigrationType::Simple,
            dialect(source).into_sql_str(),
            false,
        )
    };
    let mut migrator = Migrator::with_migrations(ALL.iter().map(migration).collect());
    // this version has to start even if a newer one has migrated the database
    migrator.set_ignore_missing(true);
    migrator
}
