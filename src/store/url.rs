//! The location of the store: a SQLite file, or a PostgreSQL database. Its password is never
//! printed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use url::Url;

/// The parsed address of a store.
#[derive(Clone)]
pub enum StoreUrl {
    /// A file, for one machine.
    Sqlite(PathBuf),
    /// A server, for several replicas.
    Postgres(Box<PostgresUrl>),
}

/// The address of a PostgreSQL database. Missing parts are taken from the environment variables of
/// libpq (`PGSSLMODE`, …), if they are set.
#[derive(Clone)]
pub struct PostgresUrl {
    options: Box<PgConnectOptions>,
    shown: String,
    verifies_server: bool,
}

/// Why an address is rejected. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStoreUrl {
    /// Neither `sqlite:` nor `postgres://`.
    #[error("it is neither sqlite:PATH nor postgres://USER@HOST/DATABASE")]
    Scheme,
    /// `sqlite:` without a path, or with parameters.
    #[error("the part after sqlite: is not the path of a file")]
    Path,
    /// It is not a URL, or a value in it cannot be used.
    #[error("it is not a usable URL of PostgreSQL")]
    Postgres,
    /// No database is named.
    #[error("it names no database")]
    NoDatabase,
    /// A parameter that is not supported.
    #[error("it has a parameter other than {}", PARAMETERS.join(", "))]
    Parameter,
}

/// Parameters of a PostgreSQL URL. The driver would log unknown parameters with their values.
const PARAMETERS: [&str; 6] = ["host", "sslmode", "sslrootcert", "sslcert", "sslkey", "application_name"];

/// The name under which the server lists connections of this program.
const APPLICATION_NAME: &str = "marketplace-sso";

impl StoreUrl {
    /// Parses `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub fn parse(text: &str) -> Result<Self, BadStoreUrl> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let is_file = !path.is_empty() && !path.ends_with('/') && !path.contains(['?', ':']);
            return if is_file { Ok(Self::Sqlite(PathBuf::from(path))) } else { Err(BadStoreUrl::Path) };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return PostgresUrl::parse(text).map(|url| Self::Postgres(Box::new(url)));
        }
        Err(BadStoreUrl::Scheme)
    }

    /// Whether no third party can read the connection or impersonate the server: the store is a
    /// file, is on this machine, or its certificate is verified.
    pub const fn is_private(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(url) => url.verifies_server,
        }
    }
}

impl PostgresUrl {
    fn parse(text: &str) -> Result<Self, BadStoreUrl> {
        let url = Url::parse(text).map_err(|_| BadStoreUrl::Postgres)?;
        if url.query_pairs().any(|(name, _)| !PARAMETERS.contains(&&*name)) {
            return Err(BadStoreUrl::Parameter);
        }
        if url.path().trim_start_matches('/').is_empty() {
            return Err(BadStoreUrl::NoDatabase);
        }
        let options = PgConnectOptions::from_str(text).map_err(|_| BadStoreUrl::Postgres)?;
        let parameter = |wanted: &str| {
            url.query_pairs().filter(|(name, _)| name == wanted).last().map(|(_, value)| value.into_owned())
        };
        let host = parameter("host").or_else(|| url.host_str().map(str::to_owned)).unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let is_local = host.is_empty()
            || host.starts_with(['/', '%'])
            || matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]" | "::1");
        let verifies = parameter("sslmode").is_some_and(|mode| mode == "verify-full");
        let named = options.clone().application_name(APPLICATION_NAME);
        Ok(Self {
            shown: format!("postgres://{host}{port}{}", url.path()),
            options: Box::new(if parameter("application_name").is_some() { options } else { named }),
            verifies_server: is_local || verifies,
        })
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", Path::display(path)),
            Self::Postgres(url) => f.write_str(&url.shown),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for StoreUrl {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sqlite(own), Self::Sqlite(other)) => own == other,
            (Self::Postgres(own), Self::Postgres(other)) => {
                use sqlx::ConnectOptions as _;
                own.options.to_url_lossy() == other.options.to_url_lossy()
            }
            (Self::Sqlite(_), Self::Postgres(_)) | (Self::Postgres(_), Self::Sqlite(_)) => false,
        }
    }
}

impl Eq for StoreUrl {}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("sqlite:data/sso.db", "sqlite:data/sso.db")]
    #[case("sqlite:///var/lib/sso.db", "sqlite:/var/lib/sso.db")]
    #[case("postgres://sso:hush@db.example.com:5433/sso", "postgres://db.example.com:5433/sso")]
    #[case("postgresql:///sso?host=/run/postgresql", "postgres:///run/postgresql/sso")]
    fn a_store_is_shown_without_its_user_and_password(#[case] text: &str, #[case] shown: &str) {
        let url = StoreUrl::parse(text).unwrap();
        assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
    }

    #[rstest]
    #[case("mysql://h/d", BadStoreUrl::Scheme)]
    #[case("sqlite:", BadStoreUrl::Path)]
    #[case("sqlite::memory:", BadStoreUrl::Path)]
    #[case("sqlite:data/", BadStoreUrl::Path)]
    #[case("sqlite:a.db?mode=ro", BadStoreUrl::Path)]
    #[case("postgres://h:x/d", BadStoreUrl::Postgres)]
    #[case("postgres://h", BadStoreUrl::NoDatabase)]
    #[case("postgres://h/d?sslmode=maybe", BadStoreUrl::Postgres)]
    #[case("postgres://h/d?password=hush", BadStoreUrl::Parameter)]
    fn a_wrong_address_is_rejected(#[case] text: &str, #[case] why: BadStoreUrl) {
        assert_eq!(StoreUrl::parse(text).unwrap_err(), why);
    }

    #[rstest]
    #[case("sqlite:a.db", true)]
    #[case("postgres://localhost/d", true)]
    #[case("postgres:///d?host=/run/postgresql", true)]
    #[case("postgres://db.example.com/d?sslmode=verify-full", true)]
    #[case("postgres://db.example.com/d?sslmode=require", false)]
    #[case("postgres://db.example.com/d", false)]
    fn a_private_connection_is_recognized(#[case] text: &str, #[case] is_private: bool) {
        assert_eq!(StoreUrl::parse(text).unwrap().is_private(), is_private);
    }
}
