//! What the platform's page needs, as a type.

use serde::Serialize;

use super::kind::Words;
use crate::playground::pages::Page;
use crate::playground::views::PersonCard;

/// The platform's page.
#[derive(Serialize)]
pub struct PlatformPage<'a> {
    pub nonce: &'a str,
    pub kind: &'static str,
    pub words: &'static Words,
    pub people: Vec<PersonCard>,
    /// Of the people, in their order.
    pub project_keys: Vec<&'static str>,
    /// The header in which the page brings the token; none where the gateway does.
    pub header: Option<&'static str>,
    /// For how long the page uses a token again; 0: never.
    pub reuse_s: u64,
    /// Where the page asks the gateway.
    pub gateway: &'static str,
    /// Whether a person may fail the platform's check.
    pub may_be_unauthorized: bool,
    /// Whether there are keys to rotate.
    pub publishes_keys: bool,
    pub keys_origin: String,
    pub entrance: &'a str,
    pub service_origin: &'a str,
    pub marketplace_origin: &'a str,
    pub config: &'a str,
}

impl Page for PlatformPage<'_> {
    const TEMPLATE: &'static str = "platform.html";
}
