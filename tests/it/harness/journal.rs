//! An audit that stores events, used like in the HTTP layer.

use std::net::{IpAddr, Ipv4Addr};

use marketplace_sso::audit::{
    Audit, AuditEvent, AuditLog, AuditSettings, AuditUnavailable, ChainKey, LogFormat, Outcome,
    RecordDetails, Summary, verify,
};
use marketplace_sso::clock::Timestamp;
use marketplace_sso::config::Config;
use marketplace_sso::embed::FetchDestination;
use marketplace_sso::log_writer::LogWriter;
use marketplace_sso::metrics::AuditMetrics;
use marketplace_sso::pandium::Environment;
use marketplace_sso::refusal::Reason;
use marketplace_sso::request::Peer;
use marketplace_sso::secret::SharedSecret;
use marketplace_sso::store::{Store, StoreError};
use uuid::Uuid;

use super::{SECRET, STANDARD};

/// An audit, and its metrics.
#[derive(Clone)]
pub struct TestAudit {
    pub audit: Audit,
    pub metrics: AuditMetrics,
}

/// The event of a request.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    pub subject: Option<&'a str>,
    pub refused: Option<Reason>,
    pub at: Option<Timestamp>,
    pub user_agent: &'a str,
}

impl TestAudit {
    /// Starts an audit with settings of `[audit]`.
    pub async fn start(store: &Store, toml: &str) -> Self {
        Self::try_start(store, toml).await.unwrap()
    }

    /// Like [`Self::start`], but returns an error.
    pub async fn try_start(store: &Store, toml: &str) -> Result<Self, StoreError> {
        let log = AuditLog::new(LogWriter::to(std::io::sink()).unwrap(), LogFormat::Json);
        let metrics = AuditMetrics::default();
        let audit = Audit::start(log, &settings(toml), store, metrics.clone(), "serve").await?;
        Ok(Self { audit, metrics })
    }

    /// Records a request, and returns the ids of its token and of itself.
    pub async fn record(&self, request: Request<'_>) -> Result<(Uuid, Uuid), AuditUnavailable> {
        let (jti, request_id) = (Uuid::new_v4(), Uuid::now_v7());
        let refusal = request.refused.map(|reason| reason.because("it is refused"));
        let event = AuditEvent {
            at: request.at.unwrap_or_else(Timestamp::now),
            request_id,
            entrance: Some("pandium-sso"),
            environment: Some(Environment::Sandbox),
            outcome: refusal.as_ref().map_or(Outcome::HandedOff { jti }, Outcome::Refused),
            subject: None,
            peer: Peer::from_ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            fetch_dest: FetchDestination::Frame,
            api_token: None,
            instance_id: None,
            embed_violation: None,
            took_us: 42,
        };
        let details = RecordDetails {
            subject: request.subject,
            account: Some("acme"),
            identity_kind: Some("proxy_headers"),
            user_agent: Some(request.user_agent.as_bytes()),
            link: Some("integration_id=1121"),
            ..RecordDetails::default()
        };
        self.audit.record(&event, &details).await.map(|()| (jti, request_id))
    }

    /// Records hand-offs of Alice.
    pub async fn record_some(&self, count: usize) {
        for _ in 0..count {
            self.record(Request { subject: Some("alice@example.com"), ..Request::default() }).await.unwrap();
        }
    }
}

/// Settings of `[audit]`.
pub fn settings(toml: &str) -> AuditSettings {
    let toml = format!("{STANDARD}\n[store]\nurl = \"sqlite:unused.db\"\n[audit]\n{toml}");
    Config::from_toml(&toml).unwrap().audit
}

/// The key of the standard configuration.
pub fn key() -> ChainKey {
    ChainKey::derive(&SharedSecret::parse(SECRET).unwrap())
}

/// Verifies all chains with that key.
pub async fn verified(store: &Store) -> Summary {
    verify(store, &[key()], |_| {}).await.unwrap()
}

/// A text for each finding about the chains.
pub async fn findings(store: &Store) -> Vec<String> {
    verified(store).await.findings.into_iter().map(|finding| finding.what.to_string()).collect()
}
