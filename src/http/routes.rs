//! Which address is whose: by the request target's own path, byte for byte. No
//! header has a say in it, and nothing is decoded, folded or trimmed.

use super::component::Component;
use super::{Doorway, Listener, Live};

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Route<'a> {
    /// An entrance, perhaps to the install page of an integration.
    Entrance { doorway: &'a Doorway, install: Option<&'a str> },
    /// The question who somebody is, on behalf of an API.
    Verify(&'a Doorway),
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
            // a proxy may add the path that it was asked for
            let name = rest.split('/').next().unwrap_or(rest);
            let named = live.doorways.iter().find(|doorway| doorway.entrance.name == name);
            return named.map_or(Self::Nothing { below: None }, Self::Verify);
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
