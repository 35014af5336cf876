//! Which address is whose: by the request target's own path, byte for byte. No
//! header has a say in it, and nothing is decoded, folded or trimmed.

use super::{Doorway, Listener, Live};

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Route<'a> {
    /// An entrance, perhaps to the install page of an integration.
    Entrance { doorway: &'a Doorway, install: Option<&'a str> },
    /// A question for the service's health.
    Health(Health),
    /// The metrics.
    Metrics,
    /// Nothing of ours.
    Nothing,
}

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
            _ if listener.is_admin => return Self::Nothing,
            _ => {}
        }
        for doorway in &live.doorways {
            match path.strip_prefix(doorway.entrance.path.as_str()) {
                Some("") => return Self::Entrance { doorway, install: None },
                Some(rest) => {
                    if let Some(id) =
                        rest.strip_prefix("/install/").filter(|id| !id.is_empty() && !id.contains('/'))
                    {
                        return Self::Entrance { doorway, install: Some(id) };
                    }
                }
                None => {}
            }
        }
        Self::Nothing
    }
}
