//! The typed contexts of the templates in `templates/playground`, which
//! [`super::pages`] renders.

use serde::Serialize;

use super::integrations::InstallState;
use super::people::Person;
use super::sessions::SignedIn;
use super::tier::Tier;
use super::token_rules::ClaimDescription;

/// The login form of the sample app.
#[derive(Serialize)]
pub struct LoginPage<'a> {
    pub nonce: &'a str,
    pub product: &'static str,
    pub people: Vec<PersonCard>,
    pub password: &'static str,
    /// Where the login continues, if not in the app.
    pub then: Option<&'static str>,
    pub error: Option<&'static str>,
}

/// The sample app after login.
#[derive(Serialize)]
pub struct AppPage<'a> {
    pub nonce: &'a str,
    pub product: &'static str,
    pub person: PersonCard,
    pub plans: [Plan; 3],
    pub marketplace_origin: &'a str,
    /// The origin of a site that may not embed the marketplace.
    pub other_origin: &'a str,
}

/// A plan that the user's company can have.
#[derive(Serialize)]
pub struct Plan {
    pub tier: Tier,
    pub label: &'static str,
}

/// The login page of the stand-in provider.
#[derive(Serialize)]
pub struct ProviderLoginPage<'a> {
    pub nonce: &'a str,
    pub people: Vec<PersonCard>,
    /// The query of the authorization request.
    pub request: &'a str,
}

/// The end of a login in a pop-up.
#[derive(Serialize)]
pub struct SignedInPage<'a> {
    pub nonce: &'a str,
    pub product: &'static str,
}

/// The page for an unknown address.
#[derive(Serialize)]
pub struct NotFoundPage<'a> {
    pub nonce: &'a str,
}

/// The card of a sample user.
#[derive(Serialize)]
pub struct PersonCard {
    pub id: &'static str,
    pub name: &'static str,
    pub initials: &'static str,
    /// The avatar's colour, 0 to 3.
    pub hue: u8,
    pub groups: &'static [&'static str],
    pub organization: &'static str,
    pub plan: Tier,
    pub plan_label: &'static str,
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
    pub claims: Vec<ClaimDescription>,
}

/// The list of visible integrations.
#[derive(Serialize)]
pub struct ListPage<'a> {
    #[serde(flatten)]
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
    /// Whether the token names the plan.
    pub is_tier_named: bool,
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

/// The settings, the installs or the install form of an integration.
#[derive(Serialize)]
pub struct IntegrationPage<'a> {
    #[serde(flatten)]
    pub frame: PageCommon<'a>,
    pub token: TokenPanel,
    pub home: String,
    pub tile: Tile,
    /// The user's install, or the one that the form would create.
    pub tenant: Tenant,
    /// Whether it has just been installed.
    pub saved: bool,
}

/// A refusal and its reason.
#[derive(Serialize)]
pub struct RefusedPage<'a> {
    #[serde(flatten)]
    pub frame: PageCommon<'a>,
    pub token: Option<TokenPanel>,
    pub home: Option<String>,
    pub title: String,
    pub because: String,
    pub advice: &'static str,
    /// The plan that includes the integration.
    pub upgrade: Option<&'static str>,
    /// Whether the token is valid and only this request is refused.
    pub is_token_valid: bool,
}

impl From<&'static Person> for PersonCard {
    fn from(person: &'static Person) -> Self {
        Self {
            id: person.id,
            name: person.name,
            initials: person.initials,
            hue: person.hue,
            groups: person.groups,
            organization: person.organization_name,
            plan: person.plan,
            plan_label: person.plan.label(),
        }
    }
}

impl From<SignedIn> for PersonCard {
    fn from(SignedIn { person, plan }: SignedIn) -> Self {
        Self { plan, plan_label: plan.label(), ..Self::from(person) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playground::pages::Pages;

    #[test]
    fn values_are_escaped_in_markup() {
        let page = RefusedPage {
            frame: PageCommon { nonce: "n", app_origin: "http://127.0.0.1:1" },
            token: None,
            home: None,
            title: "<b>".into(),
            because: "\"><script>alert(1)</script>".into(),
            advice: "",
            upgrade: None,
            is_token_valid: false,
        };
        let body = Pages::compile().unwrap().render("market_refused.html", &page).unwrap();
        assert!(!body.contains("<b>") && !body.contains("<script>alert"));
        assert!(body.contains("<svg"), "icons are not escaped");
    }
}
