//! Routes: the path of the request target, compared byte for byte. Nothing is
//! decoded, folded or trimmed, and no header field changes it.

use super::component::Component;
use super::{EntranceRuntime, Listener, Snapshot};

/// The handler of a path.
#[derive(Debug)]
pub(super) enum Route<'a> {
    /// An entrance, optionally for the install page of an integration.
    Entrance { runtime: &'a EntranceRuntime, install: Option<&'a str> },
    /// Verification of a token for an API; with the API's path, where the proxy
    /// adds it.
    Verify { runtime: &'a EntranceRuntime, path: Option<&'a str> },
    /// The component for the app's page.
    Component(Component),
    /// Health.
    Health(Health),
    /// The metrics.
    Metrics,
    /// Nothing. Below an entrance, the 404 page may be framed as the entrance may.
    Nothing { below: Option<&'a EntranceRuntime> },
}

/// The prefix of `/v1/verify/NAME`.
const VERIFY: &str = "/v1/verify/";

/// A kind of health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Liveness: the process runs.
    Live,
    /// Readiness: it takes requests.
    Ready,
}

impl<'a> Route<'a> {
    /// Finds the handler of a path.
    pub fn find(snapshot: &'a Snapshot, listener: Listener, path: &'a str) -> Self {
        match path {
            "/livez" => return Self::Health(Health::Live),
            "/readyz" | "/healthz" => return Self::Health(Health::Ready),
            "/metrics" if listener.is_admin => return Self::Metrics,
            _ if listener.is_admin => return Self::Nothing { below: None },
            _ => {}
        }
        if let Some(rest) = path.strip_prefix(VERIFY) {
            let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let path = Some(path).filter(|path| !path.is_empty());
            let mut named = snapshot.entrances.iter().filter(|runtime| runtime.entrance.name == name);
            // only for tokens: a proxy passes the client's own unsigned header fields on
            let by_token = named.find(|runtime| runtime.entrance.authenticator.token_location().is_some());
            return by_token.map_or(Self::Nothing { below: None }, |runtime| Self::Verify { runtime, path });
        }
        if let Some(component) = Component::at(path) {
            return Self::Component(component);
        }
        let mut below = None;
        for runtime in &snapshot.entrances {
            let Some(rest) = path.strip_prefix(runtime.entrance.path.as_str()) else { continue };
            if rest.is_empty() {
                return Self::Entrance { runtime, install: None };
            }
            if let Some(id) = rest.strip_prefix("/install/").filter(|id| !id.is_empty() && !id.contains('/'))
            {
                return Self::Entrance { runtime, install: Some(id) };
            }
            if rest.starts_with('/') {
                below = Some(runtime);
            }
        }
        Self::Nothing { below }
    }
}
