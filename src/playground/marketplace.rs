//! The stand-in marketplace: verifies the token and shows its claims. It is not
//! Pandium: its integrations are fictional, and where Pandium documents nothing
//! (such as a token's maximum age) it defines its own rule.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::integrations::{Catalog, InstallState, Integration};
use super::origin_guard::{cross_site_response, is_from_origin};
use super::pages::{ContentSecurityPolicy, Pages, nonce};
use super::tenants::Tenants;
use super::token_rules::{ClaimError, MAX_AGE_S, ParsedClaims, describe_claims};
use super::trace::{Trace, Visit};
use super::views::{
    InstallCount, IntegrationPage, ListPage, PageCommon, RefusedPage, Tenant, Tile, TokenPanel, UserSummary,
};
use crate::clock::Timestamp;
use crate::jwt::verify::{Verified, VerifyError, verify_hs256};
use crate::secret::SharedSecret;

/// The state of the stand-in marketplace.
pub struct Marketplace {
    pub pages: Pages,
    /// The only account that exists.
    pub account: &'static str,
    /// The secrets that verify tokens, the newest first.
    pub secrets: Mutex<Vec<SharedSecret>>,
    /// Tokens that it treats as older than they are.
    pub expired: Mutex<HashSet<String>>,
    /// Where its requests are recorded.
    pub trace: Option<Arc<Trace>>,
    /// The only origin that may frame it and receives its messages.
    pub app_origin: String,
    /// Its own origin.
    pub origin: String,
    /// Installs by `sub`.
    pub tenants: Tenants,
}

/// Registers the routes; they need a `web::Data<Marketplace>`.
pub fn routes(app: &mut web::ServiceConfig) {
    app.default_service(web::route().to(not_found)).route("/{account}", web::get().to(listing)).service(
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

/// Which secret verifies a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedBy {
    Newest,
    Earlier,
}

/// A request with a valid token.
struct TenantRequest<'a> {
    state: &'a Marketplace,
    request: &'a HttpRequest,
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
    request: HttpRequest,
    account: web::Path<String>,
    link: web::Query<Link>,
) -> HttpResponse {
    let tenant_request = match TenantRequest::authenticate(&state, &request, &account, &link) {
        Ok(tenant_request) => tenant_request,
        Err(reason) => return state.reject(&request, &link, &reason),
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
    let name = integration.name;
    if settings && install_state == InstallState::Installed {
        let shown = format!("{name} settings");
        let saved = link.saved.is_some();
        tenant_request.integration("market_settings.html", shown, integration, install_state, saved)
    } else {
        let shown = format!("{name} connections");
        tenant_request.integration("market_tenants.html", shown, integration, install_state, false)
    }
}

async fn install(
    state: web::Data<Marketplace>,
    request: HttpRequest,
    path: web::Path<(String, u32)>,
    link: web::Query<Link>,
) -> HttpResponse {
    let (account, id) = path.into_inner();
    let tenant_request = match TenantRequest::authenticate(&state, &request, &account, &link) {
        Ok(tenant_request) => tenant_request,
        Err(reason) => return state.reject(&request, &link, &reason),
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
            let shown = format!("install {}", integration.name);
            tenant_request.integration("market_install.html", shown, integration, install_state, false)
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
    fn authenticate(
        state: &'a Marketplace,
        request: &'a HttpRequest,
        account: &str,
        link: &'a Link,
    ) -> Result<Self, Rejection> {
        if account != state.account {
            return Err(Rejection::Account);
        }
        let token = link.tenant.as_deref().filter(|token| !token.is_empty()).ok_or(Rejection::NoToken)?;
        let (verified, _) = state.verify(token)?;
        let claims = ParsedClaims::read(&verified.header, &verified.claims, state.now_s(token))?;
        let catalog = Catalog::new(&claims, &state.tenants.of(&claims.sub));
        Ok(Self { state, request, token, raw_claims: verified.claims, claims, catalog, nonce: nonce() })
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
                is_tier_named: self.claims.is_tier_named,
            },
            installs: InstallCount { used: self.catalog.used, allowed: self.catalog.allowed },
            hidden_count: self.catalog.hidden,
            tiles: tiles.collect(),
        };
        self.respond("market_list.html", "the list of integrations".to_owned(), &page)
    }

    fn integration(
        &self,
        template: &'static str,
        shown: String,
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
        self.respond(template, shown, &page)
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
        let upgrade = (install_state == InstallState::Locked).then(|| integration.tier.label());
        self.refuse_integration(StatusCode::FORBIDDEN, title, because, upgrade)
    }

    fn integration_not_found(&self) -> HttpResponse {
        let because = "No integration with that id is shown to this user. It may be hidden by the token.";
        self.refuse_integration(
            StatusCode::NOT_FOUND,
            "This integration is not offered".to_owned(),
            because.to_owned(),
            None,
        )
    }

    fn refuse_integration(
        &self,
        status: StatusCode,
        title: String,
        because: String,
        upgrade: Option<&'static str>,
    ) -> HttpResponse {
        self.record(status, title.clone());
        let page = RefusedPage {
            frame: self.frame(),
            token: Some(self.panel()),
            home: Some(self.home()),
            title,
            because,
            advice: "Another sample user, or a user on another plan, sees other integrations.",
            upgrade,
            is_token_valid: true,
        };
        self.state.pages.respond(status, &self.state.policy(&self.nonce), "market_refused.html", &page)
    }

    fn respond(&self, template: &'static str, shown: String, page: &impl Serialize) -> HttpResponse {
        self.record(StatusCode::OK, shown);
        self.state.pages.respond(StatusCode::OK, &self.state.policy(&self.nonce), template, page)
    }

    fn frame(&self) -> PageCommon<'_> {
        PageCommon { nonce: &self.nonce, app_origin: &self.state.app_origin }
    }

    fn panel(&self) -> TokenPanel {
        TokenPanel { age_s: self.claims.age_s, claims: describe_claims(&self.raw_claims) }
    }

    /// Records what this request shows.
    fn record(&self, status: StatusCode, shown: String) {
        let ParsedClaims { sub, age_s, tier, .. } = &self.claims;
        let Catalog { used, allowed, hidden, .. } = &self.catalog;
        let allowed = allowed.map_or_else(|| "no limit".to_owned(), |allowed| allowed.to_string());
        let facts = vec![
            ("Signature", "HS256, valid by the shared secret".to_owned()),
            ("Age (iat)", format!("{age_s} s of at most {MAX_AGE_S} s")),
            ("User (sub)", sub.clone()),
            ("Plan (ti.xti.user_tier)", tier.label().to_owned()),
            ("Installs (ti.ili, ti.xti.allowed_installs)", format!("{used}, allowed: {allowed}")),
            ("Hidden (ti.xti.hidden_integrations)", hidden.to_string()),
        ];
        self.state.record(self.request, Some(self.token), status, shown, Some(facts));
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
    /// Accepts a new secret from now on, and the last one before it.
    pub fn add_secret(&self, secret: SharedSecret) {
        let mut secrets = lock(&self.secrets);
        secrets.insert(0, secret);
        secrets.truncate(2);
    }

    /// Which secret verifies a token; `None` if neither does.
    pub fn signer_of(&self, token: &str) -> Option<SignedBy> {
        self.verify(token).ok().map(|(_, signed_by)| signed_by)
    }

    /// Treats a token as older than it is from now on.
    pub fn expire(&self, token: String) {
        lock(&self.expired).insert(token);
    }

    fn verify(&self, token: &str) -> Result<(Verified, SignedBy), VerifyError> {
        let secrets = lock(&self.secrets);
        let by = |secret: Option<&SharedSecret>, signed_by| {
            let verified = verify_hs256(token, secret.ok_or(VerifyError::WrongSignature)?)?;
            Ok((verified, signed_by))
        };
        by(secrets.first(), SignedBy::Newest)
            .or_else(|error| by(secrets.get(1), SignedBy::Earlier).map_err(|_: VerifyError| error))
    }

    /// The time with which a token's age is computed, in Unix seconds.
    fn now_s(&self, token: &str) -> u64 {
        let ahead = if lock(&self.expired).contains(token) { 2 * MAX_AGE_S } else { 0 };
        Timestamp::now().unix_seconds().saturating_add(ahead)
    }

    fn record(
        &self,
        request: &HttpRequest,
        token: Option<&str>,
        status: StatusCode,
        text: String,
        facts: Option<Vec<(&'static str, String)>>,
    ) {
        let Some(trace) = &self.trace else { return };
        let destination = request.headers().get("sec-fetch-dest").and_then(|value| value.to_str().ok());
        let visit = Visit {
            target: request.uri().to_string(),
            destination: destination.map(str::to_owned),
            status: status.as_u16(),
            text,
            is_token_valid: facts.is_some(),
            facts: facts.unwrap_or_default(),
        };
        trace.add_visit(token, visit);
    }

    fn reject(&self, request: &HttpRequest, link: &Link, reason: &Rejection) -> HttpResponse {
        let (status, title) = match reason {
            Rejection::Account => (StatusCode::NOT_FOUND, "This account was not found"),
            Rejection::NoToken | Rejection::Signature(_) | Rejection::Rule(_) => {
                (StatusCode::UNAUTHORIZED, "This token was refused")
            }
        };
        let because = format!("Because {reason}.");
        self.record(request, link.tenant.as_deref(), status, because.clone(), None);
        let nonce = nonce();
        let page = RefusedPage {
            frame: PageCommon { nonce: &nonce, app_origin: &self.app_origin },
            token: None,
            home: None,
            title: title.to_owned(),
            because,
            upgrade: None,
            advice: "Choose Integrations again: the service signs a fresh token for each request.",
            is_token_valid: false,
        };
        self.pages.respond(status, &self.policy(&nonce), "market_refused.html", &page)
    }

    fn policy<'a>(&'a self, nonce: &'a str) -> ContentSecurityPolicy<'a> {
        ContentSecurityPolicy { frame_ancestors: &self.app_origin, ..ContentSecurityPolicy::alone(nonce) }
    }
}

async fn not_found(state: web::Data<Marketplace>) -> HttpResponse {
    let nonce = nonce();
    let page = RefusedPage {
        frame: PageCommon { nonce: &nonce, app_origin: &state.app_origin },
        token: None,
        home: None,
        title: "There is no such page".to_owned(),
        because: "This marketplace has the list of integrations, and a page for each of them.".to_owned(),
        advice: "The app opens it, with a token in the address.",
        upgrade: None,
        is_token_valid: false,
    };
    state.pages.respond(StatusCode::NOT_FOUND, &state.policy(&nonce), "market_refused.html", &page)
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn see_other(location: String) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}
