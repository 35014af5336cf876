//! Signs logged-in users on to an embedded Pandium marketplace.
//!
//! **One destination, many ways to authenticate.** A user who has logged in
//! somewhere sends a request to an *entrance*. The service authenticates and
//! authorizes the user, signs a token, writes an audit event, and redirects the
//! browser to the marketplace.
//!
//! ```text
//! request ─▶ http ─▶ authn ─▶ access ─▶ pandium ─▶ audit ─▶ http ─▶ response
//!            parse   who?     may they?  sign,link  event    307 · JSON · page
//! ```
//!
//! To follow one request, begin at [`http::public`], and continue with
//! [`sign_on::Entrance::sign_on`]. `docs/architecture.md` has the vocabulary, the life of a
//! request, and recipes for changes.
//!
//! # Modules
//!
//! A module uses only those above it; `tests/it/architecture.rs` checks that.
//!
//! | module | holds |
//! |---|---|
//! | [`user`], [`clock`], [`secret`], [`api_token`], [`seal`], [`ticket`], [`host`], [`refusal`], [`log_writer`], [`expression`] | values that are parsed once; the only reader of the clock; secrets that cannot be printed; the forms of API tokens and of single-use addresses; sealed data; the service's host names; why a request is refused; buffered log lines; a compiled expression |
//! | [`jwt`] | signing, verifying with every option named, and the keys that issuers publish |
//! | [`request`], [`limits`] | header fields and peer of a request, without actix; how often something may happen |
//! | [`session`] | the sealed cookies of users whom this service signed in, and which sessions have ended |
//! | [`settings`] | the generic part of configuration: layers, sections, secrets, problems |
//! | [`store`] | what outlasts the process, in SQLite or PostgreSQL |
//! | [`authn`] | authenticators: proxy headers or a token; a folder for each vendor, with its settings |
//! | [`pandium`] | the destination: environment, claims, links, hand-off; pure |
//! | [`access`], [`embed`] | authorization; which pages may embed the response |
//! | [`metrics`], [`audit`] | Prometheus metrics; one event for each hand-off and each refusal |
//! | [`sign_on`] | the use case, without HTTP: authenticate, authorize, hand off |
//! | [`page`] | HTML pages: typed contexts for `templates/`, in four languages |
//! | [`config`] | from written settings to a usable `Config`; every problem at once |
//! | [`http`] | routes, responses, header fields, CORS, spans; knows actix-web |
//! | [`telemetry`], [`server`], [`playground`], [`doctor`], [`cli`] | log events; bind, run, drain, reload; stand-ins; checks from outside; one file for each command |
//!
//! # Invariants
//!
//! 1. A module uses only those above it, and no two files use each other. Vendors
//!    know neither each other nor actix.
//! 2. Deciding is pure: time and the token's id are arguments. If a decision
//!    lacks data that can be fetched, its result is a type that names this data;
//!    the data is fetched, and the decision is made again.
//! 3. Exactly one authenticator for an entrance. No credentials, a user and
//!    rejected are three results; bad credentials never count as absent.
//! 4. Nothing is signed without a parsed user.
//! 5. The destination's origin comes from the configuration alone.
//! 6. Secrets and signed URLs are types that cannot be printed.
//! 7. No `unsafe`, no panics outside tests, no mutable globals.
//! 8. A vendor's folder holds only its differences, with links to its documentation.
//!
//! # As a library
//!
//! The program is thin: read a [`config::Config`], then
//! `Server::bind(config).await?.run().await`. An actix application can mount
//! the routes itself with [`http::scope`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used))]

pub mod access;
pub mod api_token;
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
pub mod limits;
pub mod log_writer;
pub mod metrics;
pub mod page;
pub mod pandium;
#[cfg(feature = "playground")]
pub mod playground;
pub mod refusal;
pub mod request;
pub mod seal;
pub mod secret;
pub mod server;
pub mod session;
pub mod settings;
pub mod sign_on;
pub mod store;
pub mod telemetry;
pub mod ticket;
pub mod user;
