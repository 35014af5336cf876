//! The template context of the platform's page.

use serde::Serialize;

use super::kind::PlatformTexts;
use crate::playground::pages::Page;
use crate::playground::views::PersonCard;

/// The platform's page.
#[derive(Serialize)]
pub struct PlatformPage<'a> {
    pub nonce: &'a str,
    pub kind: &'static str,
    pub texts: &'static PlatformTexts,
    pub people: Vec<PersonCard>,
    /// In the order of `people`.
    pub project_keys: Vec<&'static str>,
    /// The header field in which the page sends the token; `None` if the gateway does.
    pub header: Option<&'static str>,
    /// Seconds for which the page reuses a token; 0 for never.
    pub reuse_s: u64,
    /// The path of the gateway.
    pub gateway: &'static str,
    /// Whether the platform's identity check can fail.
    pub may_be_unauthorized: bool,
    /// Whether the platform publishes keys.
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
