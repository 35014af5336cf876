//! The stand-in marketplace: verifies the token and shows its claims. It is not
//! Pandium: its integrations are fictional, and where Pandium documents nothing
//! (such as a token's maximum age) it defines its own rule.

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::integrations::{Catalog, InstallState, Integration};
use super::origin_guard::{cross_site_response, is_from_origin};
use super::pages::{ContentSecurityPolicy, Pages, nonce};
use super::tenants::Tenants;
use super::token_rules::{ClaimError, ParsedClaims, describe_claims};
use super::views::{
    InstallCount, IntegrationPage, ListPage, PageCommon, RefusedPage, Tenant, Tile, TokenPanel, UserSummary,
};
use crate::clock::Timestamp;
use crate::jwt::verify::{VerifyError, verify_hs256};
use crate::secret::SharedSecret;

/// The state of the stand-in marketplace.
pub struct Marketplace {
    pub pages: Pages,
    /// The only account it has.
    pub account: &'static str,
    /// The secret that verifies tokens.
    pub secret: SharedSecret,
    /// The only origin that may frame it and receives its messages.
    pub app_origin: String,
    /// Its own origin.
    pub origin: String,
    /// Installs by `sub`.
    pub tenants: Tenants,
}

/// Registers the routes; they need a `web::Data<Marketplace>`.
pub fn routes(app: &mut web::ServiceConfig) {
    app.route("/{account}", web::get().to(listing)).service(
        web::resource("/{account}/tenants/create/{id}")
            .route(web::get().to(install))
            .route(web::post().to(install)),
    );
}

/// The query parameters.
#[derive(Default, Deserialize)]
struct Link {
    /// The token.
    tenant: Option<String>,
    integration_id: Option<u32>,
    display: Option<String>,
    integration_settings: Option<String>,
    /// Set after an install; not one of Pandium's parameters.
    saved: Option<String>,
}

/// A request with a valid token.
struct TenantRequest<'a> {
    state: &'a Marketplace,
    token: &'a str,
    raw_claims: Map<String, Value>,
    claims: ParsedClaims,
    catalog: Catalog,
    nonce: String,
}

/// Why a request is rejected; each text completes a sentence that begins with "because".
#[derive(Debug, thiserror::Error)]
enum Rejection {
    #[error("there is no such account here")]
    Account,
    #[error("there is none in the address")]
    NoToken,
    #[error(transparent)]
    Signature(#[from] VerifyError),
    #[error(transparent)]
    Rule(#[from] ClaimError),
}

async fn listing(
    state: web::Data<Marketplace>,
    account: web::Path<String>,
    link: web::Query<Link>,
) -> HttpResponse {
    let tenant_request = match TenantRequest::authenticate(&state, &account, &link) {
        Ok(tenant_request) => tenant_request,
        Err(reason) => return state.reject(&reason),
    };
    let by_name = link.integration_settings.as_deref();
    let selected = match (link.integration_id, by_name) {
        (Some(id), _) => tenant_request.catalog.find(id),
        (None, Some(name)) => tenant_request.catalog.find_by_name(name),
        (None, None) => return tenant_request.list(),
    };
    let Some((integration, install_state)) = selected else {
        return tenant_request.integration_not_found();
    };
    let settings = link.display.as_deref() == Some("settings") || by_name.is_some();
    if settings && install_state == InstallState::Installed {
        tenant_request.integration("market_settings.html", integration, install_state, link.saved.is_some())
    } else {
        tenant_request.integration("market_tenants.html", integration, install_state, false)
    }
}

async fn install(
    state: web::Data<Marketplace>,
    request: HttpRequest,
    path: web::Path<(String, u32)>,
    link: web::Query<Link>,
) -> HttpResponse {
    let (account, id) = path.into_inner();
    let tenant_request = match TenantRequest::authenticate(&state, &account, &link) {
        Ok(tenant_request) => tenant_request,
        Err(reason) => return state.reject(&reason),
    };
    let Some((integration, install_state)) = tenant_request.catalog.find(id) else {
        return tenant_request.integration_not_found();
    };
    match install_state {
        InstallState::Installed => see_other(tenant_request.settings_href(integration)),
        InstallState::Locked | InstallState::Full => {
            tenant_request.install_not_allowed(integration, install_state)
        }
        InstallState::Available if request.method() != Method::POST => {
            tenant_request.integration("market_install.html", integration, install_state, false)
        }
        InstallState::Available if is_from_origin(&state.origin, request.headers()) => {
            state.tenants.add(&tenant_request.claims.sub, integration.id);
            see_other(format!("{}&saved=1", tenant_request.settings_href(integration)))
        }
        InstallState::Available => cross_site_response(),
    }
}

impl<'a> TenantRequest<'a> {
    /// Checks the account, then the token.
    fn authenticate(state: &'a Marketplace, account: &str, link: &'a Link) -> Result<Self, Rejection> {
        if account != state.account {
            return Err(Rejection::Account);
        }
        let token = link.tenant.as_deref().filter(|token| !token.is_empty()).ok_or(Rejection::NoToken)?;
        let verified = verify_hs256(token, &state.secret)?;
        let claims = ParsedClaims::read(&verified.header, &verified.claims, Timestamp::now().unix_seconds())?;
        let catalog = Catalog::new(&claims, &state.tenants.of(&claims.sub));
        Ok(Self { state, token, raw_claims: verified.claims, claims, catalog, nonce: nonce() })
    }

    fn list(&self) -> HttpResponse {
        let tiles = self
            .catalog
            .shown
            .iter()
            .map(|(integration, install_state)| self.tile(integration, *install_state));
        let page = ListPage {
            frame: self.frame(),
            token: self.panel(),
            who: UserSummary {
                name: &self.claims.name,
                organization: &self.claims.organization,
                tier: self.claims.tier,
                tier_label: self.claims.tier.label(),
            },
            installs: InstallCount { used: self.catalog.used, allowed: self.catalog.allowed },
            hidden_count: self.catalog.hidden,
            tiles: tiles.collect(),
        };
        self.respond("market_list.html", &page)
    }

    fn integration(
        &self,
        template: &'static str,
        integration: &Integration,
        install_state: InstallState,
        saved: bool,
    ) -> HttpResponse {
        let page = IntegrationPage {
            frame: self.frame(),
            token: self.panel(),
            home: self.home(),
            tile: self.tile(integration, install_state),
            tenant: Tenant {
                id: 40_000 + integration.id,
                name: format!("{} for {}", integration.name, self.claims.name),
            },
            saved,
        };
        self.respond(template, &page)
    }

    fn install_not_allowed(&self, integration: &Integration, install_state: InstallState) -> HttpResponse {
        let (name, tier) = (integration.name, self.claims.tier.label());
        let (title, because) = match install_state {
            InstallState::Locked => (
                format!("{name} is part of the {} plan", integration.tier.label()),
                format!("The token says that this user's company is on the {tier} plan (ti.xti.user_tier)."),
            ),
            InstallState::Full | InstallState::Available | InstallState::Installed => (
                "All installs are used".to_owned(),
                format!(
                    "The token allows {} (ti.xti.allowed_installs).",
                    self.catalog.allowed.unwrap_or_default()
                ),
            ),
        };
        self.refuse_integration(StatusCode::FORBIDDEN, title, because)
    }

    fn integration_not_found(&self) -> HttpResponse {
        let because = "No integration with that id is shown to this user. It may be hidden by the token.";
        self.refuse_integration(
            StatusCode::NOT_FOUND,
            "This integration is not offered".to_owned(),
            because.to_owned(),
        )
    }

    fn refuse_integration(&self, status: StatusCode, title: String, because: String) -> HttpResponse {
        let page = RefusedPage {
            frame: self.frame(),
            token: Some(self.panel()),
            home: Some(self.home()),
            title,
            because,
            advice: "Sign in as another sample user to see the difference.",
            is_token_valid: true,
        };
        self.state.pages.respond(status, &self.state.policy(&self.nonce), "market_refused.html", &page)
    }

    fn respond(&self, template: &'static str, page: &impl Serialize) -> HttpResponse {
        self.state.pages.respond(StatusCode::OK, &self.state.policy(&self.nonce), template, page)
    }

    fn frame(&self) -> PageCommon<'_> {
        PageCommon { nonce: &self.nonce, app_origin: &self.state.app_origin }
    }

    fn panel(&self) -> TokenPanel {
        TokenPanel {
            age_s: self.claims.age_s,
            json: serde_json::to_string_pretty(&self.raw_claims).unwrap_or_default(),
            claims: describe_claims(&self.raw_claims),
        }
    }

    fn tile(&self, integration: &Integration, install_state: InstallState) -> Tile {
        Tile {
            id: integration.id,
            name: integration.name,
            category: integration.category,
            summary: integration.summary,
            icon: integration.icon,
            hue: integration.id % 6,
            tier: integration.tier,
            tier_label: integration.tier.label(),
            state: install_state,
            href: match install_state {
                InstallState::Installed => self.settings_href(integration),
                InstallState::Available | InstallState::Full | InstallState::Locked => {
                    self.install_href(integration)
                }
            },
        }
    }

    // A verified token consists of letters, digits, `-`, `_` and two dots: it needs no escaping in a query.
    fn home(&self) -> String {
        format!("/{}?tenant={}", self.state.account, self.token)
    }

    fn settings_href(&self, integration: &Integration) -> String {
        format!("{}&integration_id={}&display=settings", self.home(), integration.id)
    }

    fn install_href(&self, integration: &Integration) -> String {
        format!("/{}/tenants/create/{}?tenant={}", self.state.account, integration.id, self.token)
    }
}

impl Marketplace {
    fn reject(&self, reason: &Rejection) -> HttpResponse {
        let (status, title) = match reason {
            Rejection::Account => (StatusCode::NOT_FOUND, "This account was not found"),
            Rejection::NoToken | Rejection::Signature(_) | Rejection::Rule(_) => {
                (StatusCode::UNAUTHORIZED, "This token was refused")
            }
        };
        let nonce = nonce();
        let page = RefusedPage {
            frame: PageCommon { nonce: &nonce, app_origin: &self.app_origin },
            token: None,
            home: None,
            title: title.to_owned(),
            because: format!("Because {reason}."),
            advice: "Choose Integrations again: the service signs a fresh token for each request.",
            is_token_valid: false,
        };
        self.pages.respond(status, &self.policy(&nonce), "market_refused.html", &page)
    }

    fn policy<'a>(&'a self, nonce: &'a str) -> ContentSecurityPolicy<'a> {
        ContentSecurityPolicy { nonce, connect_src: None, frame_src: None, frame_ancestors: &self.app_origin }
    }
}

fn see_other(location: String) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}
