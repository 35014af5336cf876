//! The stand-in marketplace: checks the token, and shows what Pandium would be
//! told. It is not Pandium: its integrations are invented, and where Pandium
//! documents nothing (how old a token may be) the choice is its own.

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::integrations::{Integration, Shelf, Standing};
use super::origin_guard::{comes_from, cross_site_response};
use super::pages::{Page, Pages, Policy, nonce};
use super::tenants::Tenants;
use super::token_rules::{BrokenRule, Told, explain};
use super::views::{
    Frame, InstallPage, Installs, ListPage, RefusedPage, SettingsPage, Tenant, TenantsPage, Tile, TokenPanel,
    Who,
};
use crate::clock::Timestamp;
use crate::jwt::verify::{VerifyError, verify_hs256};
use crate::secret::SharedSecret;

/// All that the stand-in needs.
pub struct Marketplace {
    /// Its pages.
    pub pages: Pages,
    /// The account it answers for.
    pub account: &'static str,
    /// What the service signs with.
    pub secret: SharedSecret,
    /// The one origin that may frame it and is told what happens.
    pub app_origin: String,
    /// Its own origin.
    pub origin: String,
    /// What was installed here, by `sub`.
    pub tenants: Tenants,
}

/// Adds the marketplace's addresses; the state is a `web::Data<Marketplace>` beside them.
pub fn routes(app: &mut web::ServiceConfig) {
    app.route("/{account}", web::get().to(listing)).service(
        web::resource("/{account}/tenants/create/{id}")
            .route(web::get().to(install))
            .route(web::post().to(install)),
    );
}

/// What a link may say beside the token.
#[derive(Default, Deserialize)]
struct Link {
    tenant: Option<String>,
    integration_id: Option<u32>,
    display: Option<String>,
    integration_settings: Option<String>,
    /// Our own: the integration has just been installed.
    saved: Option<String>,
}

/// A visit with a good token.
struct RequestContext<'a> {
    state: &'a Marketplace,
    token: &'a str,
    claims: Map<String, Value>,
    told: Told,
    shelf: Shelf,
    nonce: String,
}

/// Why there is no visit; the token's reasons read on from "because".
#[derive(Debug, thiserror::Error)]
enum NoVisit {
    #[error("there is no such account here")]
    Account,
    #[error("there is none in the address")]
    NoToken,
    #[error(transparent)]
    Signature(#[from] VerifyError),
    #[error(transparent)]
    Rule(#[from] BrokenRule),
}

async fn listing(
    state: web::Data<Marketplace>,
    account: web::Path<String>,
    link: web::Query<Link>,
) -> HttpResponse {
    let visit = match RequestContext::begin(&state, &account, &link) {
        Ok(visit) => visit,
        Err(reason) => return state.refuse(&reason),
    };
    let by_name = link.integration_settings.as_deref();
    let wanted = match (link.integration_id, by_name) {
        (Some(id), _) => visit.shelf.find(id),
        (None, Some(name)) => visit.shelf.find_by_name(name),
        (None, None) => return visit.list(),
    };
    let Some((integration, standing)) = wanted else {
        return visit.not_offered();
    };
    let settings = link.display.as_deref() == Some("settings") || by_name.is_some();
    if settings && standing == Standing::Installed {
        visit.settings(integration, link.saved.is_some())
    } else {
        visit.tenants(integration, standing)
    }
}

async fn install(
    state: web::Data<Marketplace>,
    request: HttpRequest,
    path: web::Path<(String, u32)>,
    link: web::Query<Link>,
) -> HttpResponse {
    let (account, id) = path.into_inner();
    let visit = match RequestContext::begin(&state, &account, &link) {
        Ok(visit) => visit,
        Err(reason) => return state.refuse(&reason),
    };
    let Some((integration, standing)) = visit.shelf.find(id) else {
        return visit.not_offered();
    };
    match standing {
        Standing::Installed => see_other(visit.settings_href(integration)),
        Standing::Locked | Standing::Full => visit.not_allowed(integration, standing),
        Standing::Available if request.method() != Method::POST => visit.install(integration),
        Standing::Available if comes_from(&state.origin, request.headers()) => {
            state.tenants.add(&visit.told.sub, integration.id);
            see_other(format!("{}&saved=1", visit.settings_href(integration)))
        }
        Standing::Available => cross_site_response(),
    }
}

impl<'a> RequestContext<'a> {
    /// Checks the account and the token, in that order.
    fn begin(state: &'a Marketplace, account: &str, link: &'a Link) -> Result<Self, NoVisit> {
        if account != state.account {
            return Err(NoVisit::Account);
        }
        let token = link.tenant.as_deref().filter(|token| !token.is_empty()).ok_or(NoVisit::NoToken)?;
        let verified = verify_hs256(token, &state.secret)?;
        let told = Told::read(&verified.header, &verified.claims, Timestamp::now().unix_seconds())?;
        let shelf = Shelf::new(&told, &state.tenants.of(&told.sub));
        Ok(Self { state, token, claims: verified.claims, told, shelf, nonce: nonce() })
    }

    fn list(&self) -> HttpResponse {
        let tiles = self.shelf.shown.iter().map(|(integration, standing)| self.tile(integration, *standing));
        self.answer(&ListPage {
            frame: self.frame(),
            token: self.panel(),
            who: Who {
                name: &self.told.name,
                organization: &self.told.organization,
                tier: self.told.tier,
                tier_label: self.told.tier.label(),
            },
            installs: Installs { used: self.shelf.used, allowed: self.shelf.allowed },
            hidden_count: self.shelf.hidden,
            tiles: tiles.collect(),
        })
    }

    fn settings(&self, integration: &Integration, saved: bool) -> HttpResponse {
        self.answer(&SettingsPage {
            frame: self.frame(),
            token: self.panel(),
            home: self.home(),
            tile: self.tile(integration, Standing::Installed),
            tenant: self.tenant(integration),
            saved,
        })
    }

    fn tenants(&self, integration: &Integration, standing: Standing) -> HttpResponse {
        self.answer(&TenantsPage {
            frame: self.frame(),
            token: self.panel(),
            home: self.home(),
            tile: self.tile(integration, standing),
            tenant: (standing == Standing::Installed).then(|| self.tenant(integration)),
        })
    }

    fn install(&self, integration: &Integration) -> HttpResponse {
        self.answer(&InstallPage {
            frame: self.frame(),
            token: self.panel(),
            home: self.home(),
            tile: self.tile(integration, Standing::Available),
            tenant: self.tenant(integration),
        })
    }

    fn not_allowed(&self, integration: &Integration, standing: Standing) -> HttpResponse {
        let (name, tier) = (integration.name, self.told.tier.label());
        let (title, because) = match standing {
            Standing::Locked => (
                format!("{name} is part of the {} plan", integration.tier.label()),
                format!("The token says that this user's company is on the {tier} plan (ti.xti.user_tier)."),
            ),
            Standing::Full | Standing::Available | Standing::Installed => (
                "All installs are used".to_owned(),
                format!(
                    "The token allows {} (ti.xti.allowed_installs).",
                    self.shelf.allowed.unwrap_or_default()
                ),
            ),
        };
        self.mild(StatusCode::FORBIDDEN, title, because)
    }

    fn not_offered(&self) -> HttpResponse {
        let because = "No integration with that id is shown to this user. It may be hidden by the token.";
        self.mild(StatusCode::NOT_FOUND, "This integration is not offered".to_owned(), because.to_owned())
    }

    fn mild(&self, status: StatusCode, title: String, because: String) -> HttpResponse {
        let page = RefusedPage {
            frame: self.frame(),
            token: Some(self.panel()),
            home: Some(self.home()),
            title,
            because,
            advice: "Sign in as another sample user to see the difference.",
            mild: true,
        };
        self.state.pages.answer(status, &self.state.policy(&self.nonce), &page)
    }

    fn answer<P: Page>(&self, page: &P) -> HttpResponse {
        self.state.pages.answer(StatusCode::OK, &self.state.policy(&self.nonce), page)
    }

    fn frame(&self) -> Frame<'_> {
        Frame { nonce: &self.nonce, app_origin: &self.state.app_origin }
    }

    fn panel(&self) -> TokenPanel {
        TokenPanel {
            age_s: self.told.age_s,
            json: serde_json::to_string_pretty(&self.claims).unwrap_or_default(),
            claims: explain(&self.claims),
        }
    }

    fn tile(&self, integration: &Integration, standing: Standing) -> Tile {
        Tile {
            id: integration.id,
            name: integration.name,
            category: integration.category,
            summary: integration.summary,
            icon: integration.icon,
            hue: integration.id % 6,
            tier: integration.tier,
            tier_label: integration.tier.label(),
            state: standing,
            href: match standing {
                Standing::Installed => self.settings_href(integration),
                Standing::Available | Standing::Full | Standing::Locked => self.install_href(integration),
            },
        }
    }

    fn tenant(&self, integration: &Integration) -> Tenant {
        Tenant { id: 40_000 + integration.id, name: format!("{} for {}", integration.name, self.told.name) }
    }

    // A token that was verified is letters, digits, `-`, `_` and two dots: it needs no escaping in a query.
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
    fn refuse(&self, reason: &NoVisit) -> HttpResponse {
        let (status, title) = match reason {
            NoVisit::Account => (StatusCode::NOT_FOUND, "This account was not found"),
            NoVisit::NoToken | NoVisit::Signature(_) | NoVisit::Rule(_) => {
                (StatusCode::UNAUTHORIZED, "This token was refused")
            }
        };
        let nonce = nonce();
        let page = RefusedPage {
            frame: Frame { nonce: &nonce, app_origin: &self.app_origin },
            token: None,
            home: None,
            title: title.to_owned(),
            because: format!("Because {reason}."),
            advice: "Choose Integrations again: the service signs a fresh token for each request.",
            mild: false,
        };
        self.pages.answer(status, &self.policy(&nonce), &page)
    }

    fn policy<'a>(&'a self, nonce: &'a str) -> Policy<'a> {
        Policy { nonce, asks: None, frames: None, framed_by: &self.app_origin }
    }
}

fn see_other(location: String) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}
