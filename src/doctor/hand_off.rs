//! Checks the hand-off of a user who has logged in, and its size.

use super::probe::{FRAME_NAVIGATION, JSON, PAGE, Probe};
use super::snippets::Remedy;
use super::{Finding, Setup, Topic};

/// nginx's default buffer for the header of a response.
const PROXY_BUFFER_BYTES: usize = 4096;

/// The hand-off of a user who has logged in, with the cookie of `--cookie-file`, and its size.
pub(super) async fn run(probe: &Probe, setup: &Setup) -> Vec<Finding> {
    const TOPIC: Topic = Topic::proxy("signed in");
    const SIZE: Topic = Topic::sizes("headers");
    let Some(cookie) = &setup.cookie else {
        let message = "not checked: give the cookie of a signed-in user with --cookie-file";
        return vec![Finding::skipped(TOPIC, message), Finding::skipped(SIZE, message)];
    };
    let get = async |accept| {
        let headers = [&[accept, ("Cookie", cookie.as_str())], FRAME_NAVIGATION.as_slice()].concat();
        probe.get(&setup.entrance, &headers).await
    };
    let response = match get(PAGE).await {
        Ok(response) => response,
        Err(error) => return vec![Finding::broken(TOPIC, format!("no response: {error}"))],
    };
    if matches!(response.status, 500 | 502) && response.reason().is_none() {
        let message = format!(
            "the proxy responds with {}: usually the Location is longer than its buffer; raise proxy_buffer_size",
            response.status
        );
        return vec![Finding::broken(SIZE, message).with(Remedy::Buffers)];
    }
    if !response.is_hand_off() {
        let reason = get(JSON).await.ok().and_then(|response| response.reason());
        let why = reason.unwrap_or_else(|| "the proxy's own response; has the cookie expired?".to_owned());
        let message = format!("the user is not signed on: {} ({why})", response.status);
        return vec![Finding::broken(TOPIC, message)];
    }
    let signed_on = if response.header("cache-control").contains("no-store") {
        Finding::ok(TOPIC, "the user is signed on")
    } else {
        let message = "the response may be cached: do not change the service's Cache-Control";
        Finding::broken(TOPIC, message)
    };
    let (location, all) = (response.header("location").len(), response.header_bytes());
    let sizes = format!("the Location has {location} bytes, all headers {all}");
    let size = if all > PROXY_BUFFER_BYTES {
        let message = format!("{sizes}: more than a proxy buffers by default; enlarge its buffers");
        Finding::warning(SIZE, message).with(Remedy::Buffers)
    } else {
        Finding::ok(SIZE, sizes)
    };
    vec![signed_on, size]
}
