//! Receives the body of a request, with a maximum length and a time limit.

use std::time::Duration;

use actix_web::web::{Bytes, Payload};

use crate::refusal::{Reason, Refusal};

/// Why a body was not received. The message never quotes it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum BadBody {
    /// It is longer than this number of bytes.
    #[error("the body has more than {} KiB", .0 / 1024)]
    TooLong(usize),
    /// It is not complete after this time.
    #[error("the body is not complete within {} s", .0.as_secs())]
    TooSlow(Duration),
    /// The connection was closed, or the body is not valid HTTP.
    #[error("the body cannot be received")]
    Broken,
}

/// Receives a body of at most `max_bytes`, which is complete within `time`.
pub(super) async fn receive(payload: Payload, max_bytes: usize, time: Duration) -> Result<Bytes, BadBody> {
    match tokio::time::timeout(time, payload.to_bytes_limited(max_bytes)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_))) => Err(BadBody::Broken),
        Ok(Err(_)) => Err(BadBody::TooLong(max_bytes)),
        Err(_) => Err(BadBody::TooSlow(time)),
    }
}

impl From<BadBody> for Refusal {
    fn from(why: BadBody) -> Self {
        Reason::BadRequest.because(why.to_string())
    }
}
