//! The section `[identity]` with `kind = "commercetools"`.

use jsonwebtoken::Algorithm;

use super::{AudiencePolicy, CLOUDS, Choice, Cloud, Commercetools, Gateway, Version};
use crate::authn::token::key_settings::Fetching;
use crate::authn::token::mapping::UserMapping;
use crate::authn::token::{IssuerKeys, TokenAuthenticator, TokenLocation, Vendor, settings as token};
use crate::jwt::jwks::InitialFetch;
use crate::jwt::key_set::MissingKid;
use crate::jwt::token_type::DEFAULT_TYPES;
use crate::jwt::verify::{Audience, IssuedAt, Validation};
use crate::settings::{Reported, Section, web_origin};

/// Reads the section; `public_url` is the default of `public_origin`.
pub(crate) fn read(
    section: &Section<'_>,
    public_url: Option<&str>,
    https: bool,
) -> Result<TokenAuthenticator, Reported> {
    let issuer = section.nonempty_text("issuer", ISSUER_HELP);
    let may_choose = section.or_default("infer_issuer", false, |section| section.flag("infer_issuer"));
    let fetching = Fetching::read(section);
    let public_origin = public_origin(section, public_url, https);
    let policies = [
        ("forward-url-full-path", AudiencePolicy::ForwardUrlFullPath),
        ("forward-url-origin", AudiencePolicy::ForwardUrlOrigin),
    ];
    let audience_policy =
        section.or_default("audience_policy", AudiencePolicy::ForwardUrlFullPath, |section| {
            section.choice("audience_policy", &policies)
        });
    let project_keys =
        section.or_default("project_keys", Vec::new(), |section| section.texts("project_keys"));
    if project_keys.as_ref().is_ok_and(Vec::is_empty) {
        let what = "it is empty, so users of every commercetools project can sign on";
        section.warn("project_keys", what, "name yours");
    }
    let leeway_s = token::leeway_s(section, 0);
    let (issuer, fetching, may_choose) = (issuer?, fetching?, may_choose?);
    let all = gateways(section, &issuer, may_choose)?;
    let keys = all.iter().map(|(gateway, initial_fetch)| {
        let url = format!("{}/.well-known/jwks.json", gateway.issuer.trim_end_matches('/'));
        let source = fetching.keys_at("issuer", &url, *initial_fetch)?;
        Ok(IssuerKeys { issuer: gateway.issuer.clone(), source })
    });
    Ok(TokenAuthenticator {
        kind: "commercetools",
        location: TokenLocation::header("authorization", Some("Bearer")),
        keys: keys.collect::<Result<_, _>>()?,
        validation: Validation {
            algorithms: vec![Algorithm::RS256],
            types: DEFAULT_TYPES.to_vec(),
            missing_kid: MissingKid::OnlyKey,
            // both are set for each request
            issuer: Some(issuer),
            audience: Audience::OneOf(Vec::new()),
            issued_at: IssuedAt::Required,
            leeway_s: leeway_s?,
            required_claims: vec![("type".to_owned(), "exchange".into())],
            person_claim: None,
            subject: Some("sub"),
        },
        mapping: UserMapping::default(),
        subject_example: "attributes.project_key ~ ':' ~ id",
        vendor: Vendor::Commercetools(Commercetools {
            gateways: all.into_iter().map(|(gateway, _)| gateway).collect(),
            choice: if may_choose { Choice::ByRequest } else { Choice::Configured },
            public_origin: public_origin?,
            audience_policy: audience_policy?,
            project_keys: project_keys?,
        }),
    })
}

const ISSUER_HELP: &str = "write a cloud's identifier, such as \"gcp-eu\", or the gateway's URL";

/// The gateways whose tokens are accepted, and when the keys of each are fetched.
fn gateways(
    section: &Section<'_>,
    issuer: &str,
    may_choose: bool,
) -> Result<Vec<(Gateway, InitialFetch)>, Reported> {
    let named = CLOUDS.iter().find(|cloud| cloud.has_name(issuer.as_bytes()));
    let mut gateways = match named {
        Some(cloud) => gateways_of(cloud, InitialFetch::AtStart),
        None if !issuer.contains("://") => {
            let known: Vec<&str> = CLOUDS.iter().flat_map(|cloud| cloud.names).copied().collect();
            let what = format!("{issuer:?} is none of the known clouds: {}", known.join(", "));
            return Err(section.report("issuer", what, ISSUER_HELP));
        }
        None => {
            let custom = Gateway { cloud: None, version: None, issuer: issuer.to_owned() };
            vec![(custom, InitialFetch::AtStart)]
        }
    };
    for cloud in CLOUDS.iter().filter(|cloud| may_choose && Some(*cloud) != named) {
        gateways.extend(gateways_of(cloud, InitialFetch::OnDemand));
    }
    Ok(gateways)
}

/// A cloud's gateway, for each of its URLs.
fn gateways_of(cloud: &'static Cloud, initial_fetch: InitialFetch) -> Vec<(Gateway, InitialFetch)> {
    let gateway = |version, issuer: &str| Gateway { cloud: Some(cloud), version, issuer: issuer.to_owned() };
    match cloud.issuer_v1 {
        None => vec![(gateway(None, cloud.issuer), initial_fetch)],
        Some(older) => vec![
            (gateway(Some(Version::V2), cloud.issuer), initial_fetch),
            // the older URL is rarely used, so its keys are fetched only when needed
            (gateway(Some(Version::V1), older), InitialFetch::OnDemand),
        ],
    }
}

fn public_origin(section: &Section<'_>, public_url: Option<&str>, https: bool) -> Result<String, Reported> {
    let help =
        "write how the gateway reaches this service: scheme, host, port, such as \"https://sso.example.com\"";
    let read = |text: &str| match web_origin(text, https)? {
        (origin, true) => Ok(origin),
        (_, false) => Err("it must have only a scheme, a host and a port".to_owned()),
    };
    match public_url.map(read) {
        Some(Ok(origin)) => {
            section.or_default("public_origin", origin, |section| section.parsed("public_origin", help, read))
        }
        _ => {
            section.require("public_origin", help)?;
            section.parsed("public_origin", help, read)
        }
    }
}
