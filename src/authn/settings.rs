//! The section `[identity]`: the table of kinds.

use std::sync::Arc;

use super::bearer::presets::{self as issuer_presets, IssuerPreset};
use super::mittwald::{MittwaldIdentity, MittwaldSettings};
use super::{Authenticator, SignIn, appdirect, aws_alb, bearer, caf, commercetools, oidc, proxy_headers};
use crate::host::is_loopback;
use crate::session::{LoginCookies, Provider, SameSite, SessionCookies, SessionSettings};
use crate::settings::{Reported, Section, web_origin};

/// Settings of other sections on which this one depends.
pub(crate) struct Deployment<'a> {
    /// The origin by which browsers reach the service.
    pub public_url: Option<&'a str>,
    /// Whether the rules for production apply.
    pub is_production: bool,
    /// Whether peers connect from network addresses.
    pub listens_on_tcp: bool,
    /// The section `[mittwald]`; `None` without an extension.
    pub mittwald: Result<Option<&'a MittwaldSettings>, Reported>,
    /// The section `[session]`; `None` if it has no key.
    pub session: Result<Option<&'a Arc<SessionSettings>>, Reported>,
}

/// What the section configures.
pub(crate) struct Identity {
    /// The authenticator.
    pub authenticator: Authenticator,
    /// An origin that CORS allows besides `embed.cors_origins`.
    pub cors_origin: Option<String>,
}

#[derive(Clone, Copy)]
enum Kind {
    ProxyHeaders,
    Bearer(&'static IssuerPreset),
    AwsAlb,
    AppDirect,
    Commercetools,
    Caf,
    Mittwald,
    Oidc,
}

/// Every kind except the presets of issuers.
const KINDS: [(&str, Kind); 8] = [
    ("proxy_headers", Kind::ProxyHeaders),
    ("bearer", Kind::Bearer(&issuer_presets::BEARER)),
    ("aws_alb", Kind::AwsAlb),
    ("appdirect", Kind::AppDirect),
    ("commercetools", Kind::Commercetools),
    ("caf", Kind::Caf),
    ("mittwald", Kind::Mittwald),
    ("oidc", Kind::Oidc),
];

/// Reads the section of the entrance of this name.
pub(crate) fn read(
    section: &Section<'_>,
    entrance: &str,
    deployment: &Deployment<'_>,
) -> Result<Identity, Reported> {
    let Deployment { public_url, is_production: https, .. } = *deployment;
    section.require("kind", "write kind = \"proxy_headers\", or a kind of token")?;
    let presets = issuer_presets::ALL.iter().map(|preset| (preset.name, Kind::Bearer(preset)));
    let kinds: Vec<(&str, Kind)> = KINDS.into_iter().chain(presets).collect();
    let mut cors_origin = None;
    let token = match section.choice("kind", &kinds)? {
        Kind::ProxyHeaders => {
            let headers = proxy_headers::settings::read(section, deployment.listens_on_tcp, https);
            section.finish();
            return Ok(Identity { authenticator: Authenticator::ProxyHeaders(headers?), cors_origin });
        }
        Kind::Bearer(preset) => bearer::settings::read(section, preset),
        Kind::AwsAlb => aws_alb::settings::read(section),
        Kind::AppDirect => appdirect::read(section, https).map(|(token, marketplace)| {
            cors_origin = Some(marketplace);
            token
        }),
        Kind::Commercetools => commercetools::settings::read(section, public_url, https),
        Kind::Caf => caf::settings::read(section),
        Kind::Mittwald => {
            section.finish();
            let Some(mittwald) = deployment.mittwald? else {
                return Err(section.report(
                    "kind",
                    "there is no extension of mittwald",
                    "set mittwald.extension_ids, and what it needs",
                ));
            };
            let authenticator = Authenticator::Mittwald(MittwaldIdentity::new(mittwald));
            return Ok(Identity { authenticator, cors_origin });
        }
        Kind::Oidc => {
            let sign_in = read_sign_in(section, entrance, deployment);
            section.finish();
            return Ok(Identity { authenticator: Authenticator::Oidc(Box::new(sign_in?)), cors_origin });
        }
    };
    section.finish();
    Ok(Identity { authenticator: Authenticator::Token(Box::new(token?)), cors_origin })
}

/// A provider, and the cookies of its users.
fn read_sign_in(
    section: &Section<'_>,
    entrance: &str,
    deployment: &Deployment<'_>,
) -> Result<SignIn, Reported> {
    // an invalid origin is reported by the reader of server.public_url
    let origin = deployment.public_url.and_then(|url| web_origin(url, false).ok()).map(|(origin, _)| origin);
    let redirect_uri = origin.as_ref().map(|origin| format!("{origin}/auth/{entrance}/callback"));
    let client = oidc::settings::read(section, redirect_uri.as_deref());
    let settings = match deployment.session {
        Ok(Some(settings)) => Ok(settings),
        Ok(None) => Err(section.report(
            "kind",
            "session.key_file is not set; it contains the key that encrypts the sessions of signed-in users",
            "set session.key_file to a file with a random key: openssl rand -hex 32",
        )),
        Err(reported) => Err(reported),
    };
    let origin = origin.unwrap_or_default();
    if let Some(host) = origin.strip_prefix("http://")
        && !is_loopback(host)
    {
        return Err(section.report(
            "kind",
            "server.public_url is not https, so the cookie of a session could be read in transit",
            "set server.public_url to an https origin; http is for loopback names only",
        ));
    }
    let (client, settings) = (client?, settings?);
    if settings.same_site == SameSite::NonePartitioned && !origin.starts_with("https://") {
        return Err(section.report(
            "kind",
            "session.same_site is none_partitioned, which browsers accept by https only",
            "set server.public_url to an https origin, or session.same_site to \"lax\"",
        ));
    }
    let provider = Provider { issuer: client.issuer(), client_id: &client.registration.client_id };
    let sessions = SessionCookies::new(Arc::clone(settings), entrance, &origin, provider);
    let logins = LoginCookies::new(Arc::clone(settings), entrance, &origin, provider);
    Ok(SignIn::new(client, sessions, logins))
}
