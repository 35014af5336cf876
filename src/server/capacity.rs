//! How many connections each listener may have, given the process's limit of
//! open file descriptors (`RLIMIT_NOFILE`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::serving::{Capacity, SPARE_CONNECTIONS};
use crate::config::ServerSettings;

/// What the listeners may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacities {
    pub public: Capacity,
    pub admin: Capacity,
}

/// The limit of open files leaves too few connections.
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

/// Descriptors for all else: log, configuration files, key fetches, and each
/// thread's event queue.
const OTHER_DESCRIPTORS: usize = 64;
const DESCRIPTORS_FOR_EACH_WORKER: usize = 4;

/// Below this many connections a start is refused.
const LEAST_CONNECTIONS: usize = 16;

impl Capacities {
    /// Raises the limit of open files as far as the process may, and divides it.
    pub fn of_process(settings: &ServerSettings) -> Result<Self, TooFewDescriptors> {
        Self::within(raise_limit(), worker_count(settings), settings.max_connections)
    }

    fn within(limit: usize, workers: usize, wanted: usize) -> Result<Self, TooFewDescriptors> {
        let others = OTHER_DESCRIPTORS
            + DESCRIPTORS_FOR_EACH_WORKER * (workers + 1)
            + ADMIN_CONNECTIONS
            + SPARE_CONNECTIONS
            // rounding up for each worker
            + SPARE_CONNECTIONS
            + workers;
        let connections = limit.saturating_sub(others).min(wanted);
        if connections < LEAST_CONNECTIONS.min(wanted) {
            return Err(TooFewDescriptors { limit, needed: others.saturating_add(wanted) });
        }
        if connections < wanted {
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

/// One for each core, where nothing else is said. More than 512 are refused by
/// actix, which the configuration's bounds respect.
fn worker_count(settings: &ServerSettings) -> usize {
    match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(512)),
        count => count,
    }
}

/// Sets the soft limit of open files to the hard one; the limit that is then in force.
fn raise_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let in_force = if raised.is_ok() { maximum } else { current };
    // no limit at all is more than can be counted
    in_force.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
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
    fn a_low_setting_is_no_lack_of_descriptors() {
        assert!(Capacities::within(1024, 2, 1).is_ok_and(|all| all.public.connections == 1));
    }
}
