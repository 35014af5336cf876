//! The loop that fetches the data that a decision lacks, and decides again.

use crate::clock::Timestamp;

/// A decision, and the data that may change it once it is fetched.
pub type Decision<T, N> = (T, Option<N>);

/// The maximum number of fetches for one request. A fetch that is already in progress
/// may have begun before the request was received; then a second one follows.
const MAX_FETCHES: usize = 2;

/// Decides, at first for the time when the request was received, and decides again after the missing
/// data was fetched. If nothing was fetched (`None`), deciding again makes no difference.
pub async fn with_needs<T, N, F, Fetching: Future<Output = Option<F>>>(
    received: Timestamp,
    clock: fn() -> Timestamp,
    decide: impl Fn(Timestamp, Option<&F>) -> Decision<T, N>,
    fetch: impl Fn(N, fn() -> Timestamp) -> Fetching,
) -> T {
    let (mut decision, mut needs) = decide(received, None);
    for _ in 0..MAX_FETCHES {
        let Some(lacking) = needs else { break };
        // boxed, so that requests that need no data do not allocate and move this larger future
        let Some(fetched) = Box::pin(fetch(lacking, clock)).await else { break };
        (decision, needs) = decide(clock(), Some(&fetched));
    }
    decision
}
