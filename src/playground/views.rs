//! What each of the playground's pages needs, as a type. The templates are in
//! `templates/playground`; how they are filled is in [`super::pages`].

use serde::Serialize;

use super::integrations::Standing;
use super::pages::Page;
use super::people::Person;
use super::tier::Tier;
use super::token_rules::Explained;

/// The login form of the sample app.
#[derive(Serialize)]
pub struct LoginPage<'a> {
    pub nonce: &'a str,
    pub product: &'static str,
    pub people: Vec<PersonCard>,
    pub password: &'static str,
    pub error: Option<&'static str>,
}

/// The sample app, for somebody who is logged in.
#[derive(Serialize)]
pub struct AppPage<'a> {
    pub nonce: &'a str,
    pub product: &'static str,
    pub person: PersonCard,
    pub marketplace_origin: &'a str,
    pub headers: Vec<HeaderLine>,
}

/// A person, as a card shows them.
#[derive(Serialize)]
pub struct PersonCard {
    pub id: &'static str,
    pub name: &'static str,
    pub initials: &'static str,
    pub organization: &'static str,
    pub plan: Tier,
    pub plan_label: &'static str,
}

/// A header and its value.
#[derive(Serialize)]
pub struct HeaderLine {
    pub name: &'static str,
    pub value: String,
}

/// What every page of the marketplace needs.
#[derive(Serialize)]
pub struct Frame<'a> {
    pub nonce: &'a str,
    /// Whom to post messages to.
    pub app_origin: &'a str,
}

/// The panel with the token's claims.
#[derive(Serialize)]
pub struct TokenPanel {
    pub age_s: u64,
    pub json: String,
    pub claims: Vec<Explained>,
}

/// All integrations that a user sees.
#[derive(Serialize)]
pub struct ListPage<'a> {
    pub frame: Frame<'a>,
    pub token: TokenPanel,
    pub who: Who<'a>,
    pub installs: Installs,
    pub hidden_count: usize,
    pub tiles: Vec<Tile>,
}

/// The user, as the token tells.
#[derive(Serialize)]
pub struct Who<'a> {
    pub name: &'a str,
    pub organization: &'a str,
    pub tier: Tier,
    pub tier_label: &'static str,
}

/// How many of how many are installed.
#[derive(Serialize)]
pub struct Installs {
    pub used: u64,
    pub allowed: Option<u64>,
}

/// An integration; `href` leads to its settings or its install page.
#[derive(Serialize)]
pub struct Tile {
    pub id: u32,
    pub name: &'static str,
    pub category: &'static str,
    pub summary: &'static str,
    pub icon: &'static str,
    /// One of six colours.
    pub hue: u32,
    pub tier: Tier,
    pub tier_label: &'static str,
    pub state: Standing,
    pub href: String,
}

/// An install of an integration.
#[derive(Serialize)]
pub struct Tenant {
    pub id: u32,
    pub name: String,
}

/// The settings of an installed integration.
#[derive(Serialize)]
pub struct SettingsPage<'a> {
    pub frame: Frame<'a>,
    pub token: TokenPanel,
    pub home: String,
    pub tile: Tile,
    pub tenant: Tenant,
    /// Whether it has just been installed.
    pub saved: bool,
}

/// The user's installs of one integration.
#[derive(Serialize)]
pub struct TenantsPage<'a> {
    pub frame: Frame<'a>,
    pub token: TokenPanel,
    pub home: String,
    pub tile: Tile,
    pub tenant: Option<Tenant>,
}

/// The question whether to install.
#[derive(Serialize)]
pub struct InstallPage<'a> {
    pub frame: Frame<'a>,
    pub token: TokenPanel,
    pub home: String,
    pub tile: Tile,
    pub tenant: Tenant,
}

/// No, and why.
#[derive(Serialize)]
pub struct RefusedPage<'a> {
    pub frame: Frame<'a>,
    pub token: Option<TokenPanel>,
    pub home: Option<String>,
    pub title: String,
    pub because: String,
    pub advice: &'static str,
    /// Whether the token was good and only this was too much.
    pub mild: bool,
}

impl From<&'static Person> for PersonCard {
    fn from(person: &'static Person) -> Self {
        Self {
            id: person.id,
            name: person.name,
            initials: person.initials,
            organization: person.organization_name,
            plan: person.plan,
            plan_label: person.plan.label(),
        }
    }
}

impl Page for LoginPage<'_> {
    const TEMPLATE: &'static str = "sample_login.html";
}

impl Page for AppPage<'_> {
    const TEMPLATE: &'static str = "sample_app.html";
}

impl Page for ListPage<'_> {
    const TEMPLATE: &'static str = "market_list.html";
}

impl Page for SettingsPage<'_> {
    const TEMPLATE: &'static str = "market_settings.html";
}

impl Page for TenantsPage<'_> {
    const TEMPLATE: &'static str = "market_tenants.html";
}

impl Page for InstallPage<'_> {
    const TEMPLATE: &'static str = "market_install.html";
}

impl Page for RefusedPage<'_> {
    const TEMPLATE: &'static str = "market_refused.html";
}
