//! The sections `[identity]` of platforms: `appdirect`, `commercetools`, `caf` and
//! `aws_alb`.

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use url::Url;

use super::keys::{self, Fetching};
use super::token::{self, STANDARD_CLAIMS};
use crate::authn::aws_alb::{self, AwsAlb, KeysById, LoadBalancer};
use crate::authn::commercetools::{AudiencePolicy, CLOUDS, Choice, Cloud, Gateway, Version};
use crate::authn::token::TokenLocation;
use crate::authn::{AppDirect, Caf, Commercetools, appdirect, caf};
use crate::embed::Parent;
use crate::jwt::jwks::InitialFetch;
use crate::jwt::jwks::fetch::KeyUrl;
use crate::settings::Section;

/// Reads `kind = "appdirect"`, and the marketplace's origin, which CORS allows.
pub(super) fn appdirect(section: &Section<'_>, https: bool) -> Option<(Box<AppDirect>, Parent)> {
    let help = "write the marketplace's URL, such as \"https://marketplace.example.com\"";
    let marketplace = section.require("marketplace_url", help).then(|| {
        section.parsed("marketplace_url", help, |text| {
            let (origin, _) = web_origin(text, https)?;
            Parent::parse(&origin).map_err(|why| why.to_string())
        })
    });
    let tenant =
        token::nonempty_text(section, "tenant", "write the tenant that the marketplace's tokens name");
    let algorithms = token::algorithms(section, &["RS256"]);
    if !keys::are_given(section) {
        section.require("jwks_url", "write the marketplace's JWKS URL; ask AppDirect for it");
    }
    let location = token::location(section, appdirect::HEADER, Some("Bearer"));
    let leeway_s = token::leeway_s(section, 0);
    let mapping = token::mapping(section, &appdirect::USER);
    let keys = keys::read(section, None, None, algorithms.as_deref());
    let identity = Box::new(AppDirect {
        location: location?,
        algorithms: algorithms?,
        leeway_s: leeway_s?,
        tenant: (appdirect::TENANT.to_owned(), tenant?.into()),
        keys: keys?,
        mapping,
    });
    Some((identity, marketplace??))
}

/// Reads `kind = "commercetools"`; `public_url` is the default of
/// `public_origin`.
pub(super) fn commercetools(
    section: &Section<'_>,
    public_url: Option<&str>,
    https: bool,
) -> Option<Box<Commercetools>> {
    let help = "write a cloud's identifier, such as \"gcp-eu\", or the gateway's URL";
    let issuer = token::nonempty_text(section, "issuer", help);
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
    let leeway_s = token::leeway_s(section, 0);
    let (issuer, fetching, may_choose) = (issuer?, fetching?, may_choose?);

    let named = CLOUDS.iter().find(|cloud| cloud.has_name(issuer.as_bytes()));
    let mut gateways = match named {
        Some(cloud) => gateways_of(&fetching, cloud, InitialFetch::AtStart)?,
        None if !issuer.contains("://") => {
            let known: Vec<&str> = CLOUDS.iter().flat_map(|cloud| cloud.names).copied().collect();
            let what = format!("{issuer:?} is none of the known clouds: {}", known.join(", "));
            section.report("issuer", what, help);
            return None;
        }
        None => vec![gateway(&fetching, None, None, &issuer, InitialFetch::AtStart)?],
    };
    for cloud in CLOUDS.iter().filter(|cloud| may_choose && Some(*cloud) != named) {
        gateways.extend(gateways_of(&fetching, cloud, InitialFetch::OnDemand)?);
    }
    Some(Box::new(Commercetools {
        location: TokenLocation::header("authorization", Some("Bearer")),
        gateways,
        choice: if may_choose { Choice::ByRequest } else { Choice::Configured },
        public_origin: public_origin?,
        audience_policy: audience_policy?,
        project_keys: project_keys?,
        leeway_s: leeway_s?,
        kind: ("type".to_owned(), "exchange".into()),
    }))
}

fn public_origin(section: &Section<'_>, public_url: Option<&str>, https: bool) -> Option<String> {
    let help =
        "write how the gateway reaches this service: scheme, host, port, such as \"https://sso.example.com\"";
    let read = |text: &str| match web_origin(text, https)? {
        (origin, true) => Ok(origin),
        (_, false) => Err("it must be scheme, host and port alone".to_owned()),
    };
    match public_url.map(read) {
        Some(Ok(origin)) => {
            section.or_default("public_origin", origin, |section| section.parsed("public_origin", help, read))
        }
        _ if section.require("public_origin", help) => section.parsed("public_origin", help, read),
        _ => None,
    }
}

/// The origin of a URL, and whether the URL has nothing else.
fn web_origin(text: &str, https: bool) -> Result<(String, bool), String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.scheme() != "https" && (https || url.scheme() != "http") {
        return Err("it is not https".to_owned());
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.host_str().is_none_or(|host| host.contains('*'))
    {
        return Err("it has a user name, or not a single host".to_owned());
    }
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    Ok((url.origin().ascii_serialization(), is_bare))
}

/// A cloud's gateway, for each of its URLs.
fn gateways_of(
    fetching: &Fetching<'_, '_>,
    cloud: &'static Cloud,
    initial_fetch: InitialFetch,
) -> Option<Vec<Gateway>> {
    let Some(older) = cloud.issuer_v1 else {
        return Some(vec![gateway(fetching, Some(cloud), None, cloud.issuer, initial_fetch)?]);
    };
    Some(vec![
        gateway(fetching, Some(cloud), Some(Version::V2), cloud.issuer, initial_fetch)?,
        // rarely used, so its keys are fetched only when needed
        gateway(fetching, Some(cloud), Some(Version::V1), older, InitialFetch::OnDemand)?,
    ])
}

fn gateway(
    fetching: &Fetching<'_, '_>,
    cloud: Option<&'static Cloud>,
    version: Option<Version>,
    issuer: &str,
    initial_fetch: InitialFetch,
) -> Option<Gateway> {
    let keys = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
    let keys = fetching.keys_at("issuer", &keys, initial_fetch)?;
    Some(Gateway { cloud, version, issuer: issuer.to_owned(), keys })
}

/// Reads `kind = "caf"`.
pub(super) fn caf(section: &Section<'_>) -> Option<Box<Caf>> {
    let policy =
        token::nonempty_text(section, "policy_id", "write the id of the policy that attests your users");
    let secret = keys::shared_secret(section, "client_secret", &[Algorithm::HS256]);
    let location = token::location(section, "authorization", Some("Bearer"));
    let leeway_s = token::leeway_s(section, 0);
    let user = section.section("user");
    if user.has("id") {
        user.report("id", "it is always the person's id in CAF", "remove it");
    }
    let mapping = token::mapping(section, &caf::USER);
    Some(Box::new(Caf {
        location: location?,
        leeway_s: leeway_s?,
        policy: (caf::POLICY.to_owned(), policy?.into()),
        secret: secret?.1,
        mapping,
    }))
}

/// Reads `kind = "aws_alb"`.
pub(super) fn aws_alb(section: &Section<'_>) -> Option<Box<AwsAlb>> {
    let help = "write the balancers' ARNs, such as \
                [\"arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/NAME/ID\"]";
    section.require("load_balancers", help);
    let load_balancers = section.all_parsed("load_balancers", help, |text| {
        LoadBalancer::parse(text).ok_or("it is not the ARN of an application load balancer")
    });
    let client =
        token::nonempty_text(section, "client", "write the balancer's client id at the identity provider");
    let issuer = token::nonempty_text(
        section,
        "issuer",
        "write the identity provider, as the balancer's rule names it",
    );
    let location = token::location(section, aws_alb::HEADER, None);
    let leeway_s = token::leeway_s(section, 0);
    let mapping = token::mapping(section, &STANDARD_CLAIMS);
    let fetching = Fetching::read(section)?;
    let keys_url = section.or_default("keys_url", None, |section| {
        fetching.address("keys_url", &section.text("keys_url")?).map(Some)
    })?;
    let load_balancers = load_balancers?;
    if load_balancers.is_empty() {
        section.report("load_balancers", "it is empty", help);
        return None;
    }
    if keys_url.is_none() && load_balancers.iter().any(|balancer| balancer.keys_url().is_none()) {
        section.required_text("keys_url", "write the URL of this partition's keys, without the key id");
        return None;
    }
    let mut regions: Vec<(KeyUrl, Arc<KeysById>)> = Vec::new();
    let mut keys_of = |balancer: &LoadBalancer| {
        let base = match &keys_url {
            Some(url) => url.clone(),
            None => fetching.address("load_balancers", balancer.keys_url()?)?,
        };
        if let Some((_, keys)) = regions.iter().find(|(known, _)| *known == base) {
            return Some(Arc::clone(keys));
        }
        let keys = KeysById::new(base.clone(), fetching.fetcher.clone(), fetching.cooldown_s);
        regions.push((base, Arc::clone(&keys)));
        Some(keys)
    };
    let load_balancers: Option<Vec<_>> =
        load_balancers.into_iter().map(|balancer| Some((balancer.clone(), keys_of(&balancer)?))).collect();
    Some(Box::new(AwsAlb {
        location: location?,
        load_balancers: load_balancers?,
        client: client?,
        issuer: issuer?,
        leeway_s: leeway_s?,
        mapping,
    }))
}
