//! The section `[identity]` with `kind = "aws_alb"`.

use jsonwebtoken::Algorithm;

use super::{AwsAlb, HEADER, LoadBalancer};
use crate::authn::token::key_settings::Fetching;
use crate::authn::token::settings::{self as token, STANDARD_CLAIMS};
use crate::authn::token::{IssuerKeys, TokenAuthenticator, Vendor};
use crate::jwt::key_set::MissingKid;
use crate::jwt::token_type::DEFAULT_TYPES;
use crate::jwt::verify::{Audience, IssuedAt, Validation};
use crate::settings::{Reported, Section};

pub(crate) fn read(section: &Section<'_>) -> Result<TokenAuthenticator, Reported> {
    let client = section.nonempty_text("client", "write the balancer's client id at the identity provider");
    let issuer =
        section.nonempty_text("issuer", "write the identity provider, as the balancer's rule names it");
    let location = token::location(section, HEADER, None);
    let leeway_s = token::leeway_s(section, 0);
    let mapping = token::mapping(section, &STANDARD_CLAIMS);
    let load_balancers = load_balancers(section);
    let keys = Fetching::read(section).and_then(|fetching| {
        let known = load_balancers.as_deref().map_err(|reported| *reported)?;
        keys(&fetching, known.iter().map(|(_, url)| url))
    });
    let issuer = issuer?;
    Ok(TokenAuthenticator {
        kind: "aws_alb",
        location: location?,
        keys: keys?,
        validation: Validation {
            algorithms: vec![Algorithm::ES256],
            types: DEFAULT_TYPES.to_vec(),
            missing_kid: MissingKid::OnlyKey,
            issuer: Some(issuer.clone()),
            // there is no aud; signer and client bind the token
            audience: Audience::Unchecked,
            issued_at: IssuedAt::Optional,
            leeway_s: leeway_s?,
            required_claims: Vec::new(),
            person_claim: None,
            subject: Some("sub"),
        },
        mapping: mapping?,
        subject_example: "id",
        vendor: Vendor::AwsAlb(AwsAlb { load_balancers: load_balancers?, client: client?, issuer }),
    })
}

/// The balancers, each with the URL of its region's keys.
fn load_balancers(section: &Section<'_>) -> Result<Vec<(LoadBalancer, String)>, Reported> {
    let help = "write the balancers' ARNs, such as \
                [\"arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/NAME/ID\"]";
    let keys_url = section.or_default("keys_url", None, |section| section.text("keys_url").map(Some));
    section.require("load_balancers", help)?;
    let balancers = section.all_parsed("load_balancers", help, |text| {
        LoadBalancer::parse(text).ok_or("it is not the ARN of an application load balancer")
    })?;
    if balancers.is_empty() {
        return Err(section.report("load_balancers", "it is empty", help));
    }
    let keys_url = keys_url?;
    let with_url = |balancer: LoadBalancer| {
        let Some(url) = keys_url.as_deref().or(balancer.keys_url()).map(str::to_owned) else {
            let help = "write the URL of this partition's keys, without the key id";
            return Err(section.report("keys_url", "it is not set", help));
        };
        Ok((balancer, url))
    };
    balancers.into_iter().map(with_url).collect()
}

/// One cache of keys for each distinct URL.
fn keys<'a>(
    fetching: &Fetching<'_, '_>,
    urls: impl Iterator<Item = &'a String>,
) -> Result<Vec<IssuerKeys>, Reported> {
    let mut regions: Vec<IssuerKeys> = Vec::new();
    for url in urls {
        if !regions.iter().any(|region| region.issuer == *url) {
            let source = fetching.keys_by_id("keys_url", url)?;
            regions.push(IssuerKeys { issuer: url.clone(), source });
        }
    }
    Ok(regions)
}
