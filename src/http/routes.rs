//! Which address is whose: by the request target's own path, byte for byte. No
//! header has a say in it, and nothing is decoded, folded or trimmed.

use super::component::Component;
use super::{EntranceRuntime, Listener, Snapshot};

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Route<'a> {
    /// An entrance, perhaps to the install page of an integration.
    Entrance { runtime: &'a EntranceRuntime, install: Option<&'a str> },
    /// The question who somebody is, on behalf of an API; and the API's path,
    /// where the asking proxy adds it.
    Verify { runtime: &'a EntranceRuntime, path: Option<&'a str> },
    /// The component for the app's page.
    Component(Component),
    /// A question for the service's health.
    Health(Health),
    /// The metrics.
    Metrics,
    /// Nothing of ours. Below an entrance, what people see of that may be framed
    /// as the entrance may.
    Nothing { below: Option<&'a EntranceRuntime> },
}

/// Before the name of an entrance: who somebody is, as that entrance sees it.
const VERIFY: &str = "/v1/verify/";

/// What about the service's health is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Does the process run?
    Snapshot,
    /// Should it be sent requests?
    Ready,
}

impl<'a> Route<'a> {
    /// Finds what a path leads to.
    pub fn find(snapshot: &'a Snapshot, listener: Listener, path: &'a str) -> Self {
        match path {
            "/livez" => return Self::Health(Health::Snapshot),
            "/readyz" | "/healthz" => return Self::Health(Health::Ready),
            "/metrics" if listener.is_admin => return Self::Metrics,
            _ if listener.is_admin => return Self::Nothing { below: None },
            _ => {}
        }
        if let Some(rest) = path.strip_prefix(VERIFY) {
            let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let path = Some(path).filter(|path| !path.is_empty());
            let mut named = snapshot.entrances.iter().filter(|runtime| runtime.entrance.name == name);
            // headers that nobody signed would be the client's own: a proxy hands them on when it asks
            let by_token = named.find(|runtime| runtime.entrance.identity.token_location().is_some());
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
