//! Signs logged-in users on to an embedded Pandium marketplace.
//!
//! **One way out, many ways in.** A user who has logged in somewhere arrives at
//! an *entrance*; the service makes sure who it is, and sends the browser to
//! the marketplace with a freshly signed token.
//!
//! ```text
//! request ─▶ http ─▶ identity ─▶ access ─▶ pandium ─▶ record ─▶ http ─▶ answer
//!            parse    who is it?   may they?  sign, link  one line   307 · JSON · page
//! ```
//!
//! The road runs one way. To follow one request, begin at [`http::answer`],
//! go on to [`sign_on::Entrance::sign_on`], and come back.
//!
//! # Rooms
//!
//! A room uses only what stands above it; `tests/it/architecture.rs` keeps that.
//!
//! | room | holds |
//! |---|---|
//! | [`user`], [`clock`], [`secret`], [`host`], [`refusal`], [`log_writer`], [`expression`] | parsed words: each value parsed once; the only reader of the time; secrets that print as hidden; the names the service answers to; why somebody is refused; whole lines to one place; one expression |
//! | [`jwt`] | signing, verifying with every option named, and the keys that issuers publish |
//! | [`request`] | what a request offers, free of actix, and the three answers to it: absent, known, refused |
//! | [`settings`] | the generic part of configuration: layers, sections, secrets, problems |
//! | [`authn`] | who is asking: a closed enum, one room for each way in |
//! | [`pandium`] | the way out: environment, claims, links, hand-off; pure |
//! | [`access`], [`embed`] | may this user go; may the answer be shown there |
//! | [`metrics`], [`audit`] | what is counted; one line for each hand-off and each refusal |
//! | [`sign_on`] | the one use case, without HTTP: identify, allow, hand off |
//! | [`page`] | what a person sees: typed contexts for `templates/`, in four languages |
//! | [`config`] | the file as written, and what it means; all problems at once |
//! | [`http`] | the only rooms that know actix-web: routes, errors to statuses, headers, CORS, spans |
//! | [`telemetry`], [`server`], [`playground`], [`doctor`], [`cli`] | log events; bind, run, stop; the stand-ins; a look from outside; one file a command |
//!
//! # Invariants
//!
//! 1. A room uses only what stands above it. Ways in do not know each other,
//!    nor actix, nor the configuration.
//! 2. Deciding is pure: the time and the token's id are arguments. Where newer
//!    keys could change an answer, they are fetched first, and it is decided again.
//! 3. Exactly one identity for an entrance. Absent, known and refused are three
//!    answers; a bad credential never falls through.
//! 4. Nothing is signed without a parsed user.
//! 5. The destination's origin comes from the configuration alone.
//! 6. Secrets and signed addresses are types that cannot be printed.
//! 7. No `unsafe`, no panics outside tests, no mutable globals.
//! 8. A front's preset holds only its differences, with the link to its
//!    documentation.
//!
//! # As a library
//!
//! The program is thin: read a [`config::Config`], then
//! `Server::bind(config).await?.run().await`. An actix application can mount
//! the addresses itself with [`http::scope`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used))]

pub mod access;
pub mod audit;
pub mod authn;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod embed;
pub mod expression;
pub mod host;
pub mod http;
pub mod jwt;
pub mod log_writer;
pub mod metrics;
pub mod page;
pub mod pandium;
#[cfg(feature = "playground")]
pub mod playground;
pub mod refusal;
pub mod request;
pub mod secret;
pub mod server;
pub mod settings;
pub mod sign_on;
pub mod telemetry;
pub mod user;
