//! The sections `[identity]` of platforms that vouch for their users:
//! `appdirect`, `commercetools`, `caf`, and the load balancer `aws_alb`.

use std::sync::Arc;

use url::Url;

use super::keys::{self, Fetching};
use super::section::Section;
use super::token::{self, STANDARD_CLAIMS};
use crate::embed::Parent;
use crate::identity::aws_alb::{self, AwsAlb, KeysById, LoadBalancer};
use crate::identity::commercetools::{AudiencePolicy, CLOUDS, Cloud, Gateway, Version};
use crate::identity::token::Place;
use crate::identity::{AppDirect, Caf, Commercetools, appdirect, caf};
use crate::jwt::fetch::KeyAddress;
use crate::jwt::published::{First, KeyPlace};

/// Reads `kind = "appdirect"`, and the origin of the marketplace, whose scripts ask.
pub(super) fn appdirect(section: &Section<'_>) -> Option<(Box<AppDirect>, Parent)> {
    let marketplace = token::some_text(
        section,
        "marketplace_url",
        "write the marketplace's address, such as \"https://marketplace.example.com\"",
    )
    .and_then(|_| {
        section.parsed(
            "marketplace_url",
            "write scheme and host, such as \"https://marketplace.example.com\"",
            |text| {
                let url = Url::parse(text).map_err(|error| error.to_string())?;
                Parent::parse(&url.origin().ascii_serialization()).map_err(|why| why.to_string())
            },
        )
    });
    let tenant = token::some_text(section, "tenant", "write the tenant that the marketplace's tokens name");
    let algorithms = token::algorithms(section, &["RS256"]);
    if !["jwks_url", "jwks_file", "public_key_file", "shared_secret", "shared_secret_file"]
        .iter()
        .any(|name| section.has(name))
    {
        section
            .needed_text("jwks_url", "write where the marketplace publishes its keys; ask AppDirect for it");
    }
    let place = token::place(section, appdirect::HEADER, Some("Bearer"));
    let leeway_s = token::leeway_s(section, 0);
    let mapping = token::mapping(section, &appdirect::USER);
    let keys = keys::read(section, None, None, algorithms.as_deref());
    let identity = Box::new(AppDirect {
        place: place?,
        algorithms: algorithms?,
        leeway_s: leeway_s?,
        tenant: (appdirect::TENANT.to_owned(), tenant?.into()),
        keys: keys?,
        mapping,
    });
    Some((identity, marketplace?))
}

/// Reads `kind = "commercetools"`; browsers find us at `public_url`, unless
/// `public_origin` says otherwise.
pub(super) fn commercetools(section: &Section<'_>, public_url: Option<&str>) -> Option<Box<Commercetools>> {
    let help = "write a cloud's identifier, such as \"gcp-eu\", or the gateway's address";
    let issuer = token::some_text(section, "issuer", help);
    let may_choose = section.or_usual("infer_issuer", false, |section| section.flag("infer_issuer"));
    let fetching = Fetching::read(section);
    let public_origin = public_origin(section, public_url);
    let policies = [
        ("forward-url-full-path", AudiencePolicy::ForwardUrlFullPath),
        ("forward-url-origin", AudiencePolicy::ForwardUrlOrigin),
    ];
    let audience_policy =
        section.or_usual("audience_policy", AudiencePolicy::ForwardUrlFullPath, |section| {
            section.choice("audience_policy", &policies)
        });
    let project_keys = section.or_usual("project_keys", Vec::new(), |section| section.texts("project_keys"));
    let leeway_s = token::leeway_s(section, 0);
    let (issuer, fetching, may_choose) = (issuer?, fetching?, may_choose?);

    let named = CLOUDS.iter().find(|cloud| cloud.has_name(issuer.as_bytes()));
    let mut gateways = match named {
        Some(cloud) => gateways_of(section, &fetching, cloud, First::AtStart)?,
        None => vec![gateway(section, &fetching, None, None, &issuer, First::AtStart)?],
    };
    for cloud in CLOUDS.iter().filter(|cloud| may_choose && Some(*cloud) != named) {
        gateways.extend(gateways_of(section, &fetching, cloud, First::WhenNeeded)?);
    }
    Some(Box::new(Commercetools {
        place: Place::header("authorization", Some("Bearer")),
        gateways,
        public_origin: public_origin?,
        audience_policy: audience_policy?,
        project_keys: project_keys?,
        leeway_s: leeway_s?,
        kind: ("type".to_owned(), "exchange".into()),
    }))
}

fn public_origin(section: &Section<'_>, public_url: Option<&str>) -> Option<String> {
    let help =
        "write how the gateway reaches this service: scheme, host, port, such as \"https://sso.example.com\"";
    if !section.has("public_origin") && public_url.is_none() {
        section.needed_text("public_origin", help);
        return None;
    }
    section.value("public_origin");
    let read = |text: &str| {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let is_origin = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "https" | "http") || !is_origin {
            return Err("it is not scheme, host and port alone".to_owned());
        }
        Ok(url.origin().ascii_serialization())
    };
    match public_url {
        Some(url) if !section.has("public_origin") => read(url).ok(),
        _ => section.parsed("public_origin", help, read),
    }
}

/// A cloud's gateway, under each of its addresses.
fn gateways_of(
    section: &Section<'_>,
    fetching: &Fetching,
    cloud: &'static Cloud,
    first: First,
) -> Option<Vec<Gateway>> {
    let Some(older) = cloud.issuer_v1 else {
        return Some(vec![gateway(section, fetching, Some(cloud), None, cloud.issuer, first)?]);
    };
    Some(vec![
        gateway(section, fetching, Some(cloud), Some(Version::V2), cloud.issuer, first)?,
        // hardly anybody comes by it, so it is not asked before somebody does
        gateway(section, fetching, Some(cloud), Some(Version::V1), older, First::WhenNeeded)?,
    ])
}

fn gateway(
    section: &Section<'_>,
    fetching: &Fetching,
    cloud: Option<&'static Cloud>,
    version: Option<Version>,
    issuer: &str,
    first: First,
) -> Option<Gateway> {
    let keys = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
    let address = fetching.address(section, "issuer", &keys)?;
    let keys = fetching.published(KeyPlace::Set(address), first);
    Some(Gateway { cloud, version, issuer: issuer.to_owned(), keys })
}

/// Reads `kind = "caf"`.
pub(super) fn caf(section: &Section<'_>) -> Option<Box<Caf>> {
    let policy = token::some_text(section, "policy_id", "write the id of the policy that attests your users");
    let secret = keys::shared_secret(section, "client_secret");
    let place = token::place(section, "authorization", Some("Bearer"));
    let leeway_s = token::leeway_s(section, 0);
    let mapping = token::mapping(section, &caf::USER);
    Some(Box::new(Caf {
        place: place?,
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
    if !section.has("load_balancers") {
        section.needed_text("load_balancers", help);
    }
    let load_balancers = section.all_parsed("load_balancers", help, |text| {
        LoadBalancer::parse(text).ok_or("it is not the ARN of an application load balancer")
    });
    let client =
        token::some_text(section, "client", "write the balancer's client id at the identity provider");
    let issuer =
        token::some_text(section, "issuer", "write the identity provider, as the balancer's rule names it");
    let place = token::place(section, aws_alb::HEADER, None);
    let leeway_s = token::leeway_s(section, 0);
    let mapping = token::mapping(section, &STANDARD_CLAIMS);
    let fetching = Fetching::read(section)?;
    let elsewhere = section.or_usual("keys_url", None, |section| {
        Some(Some(fetching.address(section, "keys_url", &section.text("keys_url")?)?))
    })?;
    let load_balancers = load_balancers?;
    if load_balancers.is_empty() {
        section.wrong("load_balancers", "it is empty", help);
        return None;
    }
    if elsewhere.is_none() && load_balancers.iter().any(|balancer| balancer.keys_url().is_none()) {
        section.needed_text(
            "keys_url",
            "write where AWS publishes the keys of this partition, without the key's id",
        );
        return None;
    }
    let mut regions: Vec<(KeyAddress, Arc<KeysById>)> = Vec::new();
    let mut keys_of = |balancer: &LoadBalancer| {
        let address = match &elsewhere {
            Some(address) => address.clone(),
            None => fetching.address(section, "load_balancers", balancer.keys_url()?)?,
        };
        if let Some((_, keys)) = regions.iter().find(|(known, _)| *known == address) {
            return Some(Arc::clone(keys));
        }
        let keys = KeysById::new(address.clone(), fetching.fetcher.clone(), fetching.cooldown_s);
        regions.push((address, Arc::clone(&keys)));
        Some(keys)
    };
    let load_balancers: Option<Vec<_>> =
        load_balancers.into_iter().map(|balancer| Some((balancer.clone(), keys_of(&balancer)?))).collect();
    Some(Box::new(AwsAlb {
        place: place?,
        load_balancers: load_balancers?,
        client: client?,
        issuer: issuer?,
        leeway_s: leeway_s?,
        mapping,
    }))
}
