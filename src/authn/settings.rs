//! The section `[identity]`: the table of kinds.

use super::bearer::presets::{self as issuer_presets, IssuerPreset};
use super::mittwald::{MittwaldIdentity, MittwaldSettings};
use super::{Authenticator, appdirect, aws_alb, bearer, caf, commercetools, proxy_headers};
use crate::settings::{Reported, Section};

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
}

/// Every kind but the presets of issuers.
const KINDS: [(&str, Kind); 7] = [
    ("proxy_headers", Kind::ProxyHeaders),
    ("bearer", Kind::Bearer(&issuer_presets::BEARER)),
    ("aws_alb", Kind::AwsAlb),
    ("appdirect", Kind::AppDirect),
    ("commercetools", Kind::Commercetools),
    ("caf", Kind::Caf),
    ("mittwald", Kind::Mittwald),
];

/// Reads the section.
pub(crate) fn read(section: &Section<'_>, deployment: &Deployment<'_>) -> Result<Identity, Reported> {
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
    };
    section.finish();
    Ok(Identity { authenticator: Authenticator::Token(Box::new(token?)), cors_origin })
}
