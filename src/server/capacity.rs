//! How many connections each listener may have, within the process's limit of open file descriptors
//! (`RLIMIT_NOFILE`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::serving::{Capacity, SPARE_CONNECTIONS};
use crate::config::ServerSettings;

/// The capacities of both listeners.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacities {
    pub public: Capacity,
    pub admin: Capacity,
}

/// The limit of open files leaves too few for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the process may have {limit} open files, which leaves too few connections; \
     raise the limit (ulimit -n, LimitNOFILE=) to {needed} or more"
)]
pub struct TooFewDescriptors {
    limit: usize,
    needed: usize,
}

/// Connections of the admin listener: probes and a metrics scraper.
const ADMIN_CONNECTIONS: usize = 64;

/// Descriptors for the log, configuration files and key fetches.
const OTHER_DESCRIPTORS: usize = 64;

/// Descriptors for the event queue of each worker, and of the main thread.
const DESCRIPTORS_PER_WORKER: usize = 4;

/// If fewer connections than this are possible, the service does not start.
const MIN_CONNECTIONS: usize = 16;

impl Capacities {
    /// Raises the soft limit of open files to the hard limit and divides it
    /// between the listeners.
    pub fn from_process_limit(settings: &ServerSettings) -> Result<Self, TooFewDescriptors> {
        Self::within(raise_limit(), worker_count(settings), settings.max_connections)
    }

    fn within(limit: usize, workers: usize, max_connections: usize) -> Result<Self, TooFewDescriptors> {
        let reserved = OTHER_DESCRIPTORS
            + DESCRIPTORS_PER_WORKER * (workers + 1)
            + ADMIN_CONNECTIONS
            + SPARE_CONNECTIONS
            // for rounding up, see `connections_per_worker`
            + SPARE_CONNECTIONS
            + workers;
        let connections = limit.saturating_sub(reserved).min(max_connections);
        if connections < MIN_CONNECTIONS.min(max_connections) {
            return Err(TooFewDescriptors { limit, needed: reserved.saturating_add(max_connections) });
        }
        if connections < max_connections {
            tracing::warn!(
                open_files = limit,
                max_connections = connections,
                "the limit of open files allows fewer connections than server.max_connections; raise it (ulimit -n, LimitNOFILE=)"
            );
        }
        Ok(Self {
            public: Capacity { workers, connections },
            admin: Capacity { workers: 1, connections: ADMIN_CONNECTIONS },
        })
    }
}

/// `server.workers`; 0 means one for each core. actix refuses more than 512.
fn worker_count(settings: &ServerSettings) -> usize {
    match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(512)),
        count => count,
    }
}

/// Sets the soft limit of open files to the hard limit. Returns the effective limit.
fn raise_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let effective = if raised.is_ok() { maximum } else { current };
    // `None` is RLIM_INFINITY
    effective.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_the_limit_of_open_files() {
        let connections = |limit| Capacities::within(limit, 2, 512).map(|all| all.public.connections);
        assert_eq!(connections(usize::MAX), Ok(512));
        assert_eq!(connections(1024), Ok(512));
        assert_eq!(connections(256), Ok(256 - 206));
        assert_eq!(connections(200), Err(TooFewDescriptors { limit: 200, needed: 718 }));
    }

    #[test]
    fn a_low_max_connections_is_not_an_error() {
        assert!(Capacities::within(1024, 2, 1).is_ok_and(|all| all.public.connections == 1));
    }
}
