//! The whole program, from outside: the real binary, real sockets, real files.
//! Each file is about one promise; what they share is in [`harness`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod harness;

mod bearer;
mod check;
mod commands;
mod component;
mod corpora;
mod cors;
mod doctor;
mod fronts;
mod given_keys;
mod hand_off;
mod house;
mod inspect;
mod keys;
mod keys_by_https;
mod let_in;
mod nginx;
mod pages;
mod platforms;
mod playground;
mod playground_as;
mod promises;
mod records;
mod reload;
mod sockets;
mod threat_index;
mod threats_addresses;
mod threats_connections;
mod threats_headers;
mod threats_hosts;
mod threats_keys;
mod threats_leaks;
mod threats_standing;
mod threats_tokens;
mod verify;
