//! Which address is whose: by the request target's own path, byte for byte. No
//! header has a say in it, and nothing is decoded, folded or trimmed.

use super::component::Component;
use super::{Doorway, Listener, Live};

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Route<'a> {
    /// An entrance, perhaps to the install page of an integration.
    Entrance { doorway: &'a Doorway, install: Option<&'a str> },
    /// The question who somebody is, on behalf of an API; and the API's path,
    /// where the asking proxy adds it.
    Verify { doorway: &'a Doorway, path: Option<&'a str> },
    /// The component for the app's page.
    Component(Component),
    /// A question for the service's health.
    Health(Health),
    /// The metrics.
    Metrics,
    /// Nothing of ours. Below an entrance, what people see of that may be framed
    /// as the entrance may.
    Nothing { below: Option<&'a Doorway> },
}

/// Before the name of an entrance: who somebody is, as that entrance sees it.
const VERIFY: &str = "/v1/verify/";

/// What about the service's health is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Does the process run?
    Live,
    /// Should it be sent requests?
    Ready,
}

impl<'a> Route<'a> {
    /// Finds what a path leads to.
    pub fn find(live: &'a Live, listener: Listener, path: &'a str) -> Self {
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
            let mut named = live.doorways.iter().filter(|doorway| doorway.entrance.name == name);
            // headers that nobody signed would be the client's own: a proxy hands them on when it asks
            let by_token = named.find(|doorway| doorway.entrance.identity.place().is_some());
            return by_token.map_or(Self::Nothing { below: None }, |doorway| Self::Verify { doorway, path });
        }
        if let Some(component) = Component::at(path) {
            return Self::Component(component);
        }
        let mut below = None;
        for doorway in &live.doorways {
            let Some(rest) = path.strip_prefix(doorway.entrance.path.as_str()) else { continue };
            if rest.is_empty() {
                return Self::Entrance { doorway, install: None };
            }
            if let Some(id) = rest.strip_prefix("/install/").filter(|id| !id.is_empty() && !id.contains('/'))
            {
                return Self::Entrance { doorway, install: Some(id) };
            }
            if rest.starts_with('/') {
                below = Some(doorway);
            }
        }
        Self::Nothing { below }
    }
}
