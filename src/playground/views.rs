//! The typed contexts of the templates in `templates/playground`, which
//! [`super::pages`] renders.

use serde::Serialize;

use super::integrations::InstallState;
use super::pages::Page;
use super::people::Person;
use super::tier::Tier;
use super::token_rules::ClaimDescription;

/// The login form of the sample app.
#[derive(Serialize)]
pub struct LoginPage<'a> {
    pub nonce: &'a str,
    pub product: &'static str,
    pub people: Vec<PersonCard>,
    pub password: &'static str,
    pub error: Option<&'static str>,
}

/// The sample app after login.
#[derive(Serialize)]
pub struct AppPage<'a> {
    pub nonce: &'a str,
    pub product: &'static str,
    pub person: PersonCard,
    pub marketplace_origin: &'a str,
    pub headers: Vec<HeaderField>,
}

/// The card of a sample user.
#[derive(Serialize)]
pub struct PersonCard {
    pub id: &'static str,
    pub name: &'static str,
    pub initials: &'static str,
    pub organization: &'static str,
    pub plan: Tier,
    pub plan_label: &'static str,
}

/// A header field.
#[derive(Serialize)]
pub struct HeaderField {
    pub name: &'static str,
    pub value: String,
}

/// The values that every marketplace page needs.
#[derive(Serialize)]
pub struct PageCommon<'a> {
    pub nonce: &'a str,
    /// The target origin of posted messages.
    pub app_origin: &'a str,
}

/// The panel that shows the token's claims.
#[derive(Serialize)]
pub struct TokenPanel {
    pub age_s: u64,
    pub json: String,
    pub claims: Vec<ClaimDescription>,
}

/// The list of visible integrations.
#[derive(Serialize)]
pub struct ListPage<'a> {
    pub frame: PageCommon<'a>,
    pub token: TokenPanel,
    pub who: UserSummary<'a>,
    pub installs: InstallCount,
    pub hidden_count: usize,
    pub tiles: Vec<Tile>,
}

/// The user, from the token's claims.
#[derive(Serialize)]
pub struct UserSummary<'a> {
    pub name: &'a str,
    pub organization: &'a str,
    pub tier: Tier,
    pub tier_label: &'static str,
}

/// The number of installs and their limit.
#[derive(Serialize)]
pub struct InstallCount {
    pub used: u64,
    pub allowed: Option<u64>,
}

/// An integration; `href` is the URL of its settings or its install page.
#[derive(Serialize)]
pub struct Tile {
    pub id: u32,
    pub name: &'static str,
    pub category: &'static str,
    pub summary: &'static str,
    pub icon: &'static str,
    /// The colour, 0 to 5.
    pub hue: u32,
    pub tier: Tier,
    pub tier_label: &'static str,
    pub state: InstallState,
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
    pub frame: PageCommon<'a>,
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
    pub frame: PageCommon<'a>,
    pub token: TokenPanel,
    pub home: String,
    pub tile: Tile,
    pub tenant: Option<Tenant>,
}

/// The confirmation of an install.
#[derive(Serialize)]
pub struct InstallPage<'a> {
    pub frame: PageCommon<'a>,
    pub token: TokenPanel,
    pub home: String,
    pub tile: Tile,
    pub tenant: Tenant,
}

/// A refusal and its reason.
#[derive(Serialize)]
pub struct RefusedPage<'a> {
    pub frame: PageCommon<'a>,
    pub token: Option<TokenPanel>,
    pub home: Option<String>,
    pub title: String,
    pub because: String,
    pub advice: &'static str,
    /// Whether the token is valid and only this request is refused.
    pub is_token_valid: bool,
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
