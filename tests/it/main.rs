//! The whole program from outside: the real binary, real sockets, real files.
//! Shared helpers are in [`harness`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic fails the test"
)]

mod harness;

mod api_documents;
mod api_tokens;
mod architecture;
mod audit_api;
mod audit_chain;
mod audit_commands;
mod audit_journal;
mod audit_service;
mod bearer;
mod check;
mod clock;
mod commands;
mod component;
mod configured_keys;
mod corpora;
mod cors;
mod dashboard;
mod doctor;
mod doctor_sign_in;
mod documents;
mod ended_sessions;
mod file_graph;
mod framed_sign_in;
mod hand_off;
mod init;
mod inspect;
mod keys;
mod keys_by_https;
mod limits;
mod links;
mod login_requests;
mod migrating;
mod mittwald_identity;
mod mittwald_load;
mod mittwald_store;
mod mittwald_tokens;
mod mittwald_webhooks;
mod nginx;
mod observability;
mod oidc_conformance;
mod oidc_lies;
mod oidc_settings;
mod openapi;
mod pages;
mod plain_oauth;
mod platforms;
mod playground;
mod playground_as;
mod playground_mittwald;
mod playground_oidc;
mod playground_trace;
mod promises;
mod reload;
mod replicas;
mod sessions;
mod settings_page;
mod sign_in;
mod sign_in_races;
mod signed_presets;
mod sockets;
mod statistics;
mod store;
mod strictness;
mod threat_index;
mod threats_availability;
mod threats_connections;
mod threats_destination;
mod threats_headers;
mod threats_hosts;
mod threats_keys;
mod threats_leaks;
mod threats_links;
mod threats_tokens;
mod token_commands;
mod verify;
