//! The section `[identity]`.

use std::borrow::Cow;

use super::{bearer, platforms};
use crate::authn::bearer::presets::{self as issuer_presets, IssuerPreset};
use crate::authn::proxy_headers::{Field, FieldName, Layout, TrustedProxies, presets};
use crate::authn::{Authenticator, ProxyHeaders};
use crate::embed::Parent;
use crate::settings::Section;

/// An authenticator, and origins that CORS allows besides `embed.cors_origins`.
pub(super) type Identity = (Authenticator, Vec<Parent>);

/// Settings of other sections on which this one depends.
pub(super) struct Deployment<'a> {
    /// The origin by which browsers reach the service.
    pub public_url: Option<&'a str>,
    /// Whether the rules for production apply.
    pub is_production: bool,
    /// Whether peers connect from network addresses.
    pub listens_on_tcp: bool,
}

/// Reads the section.
pub(super) fn read(section: &Section<'_>, deployment: &Deployment<'_>) -> Option<Identity> {
    let Deployment { public_url, is_production: https, .. } = *deployment;
    if !section.has("kind") {
        if !section.names().is_empty() {
            section.require("kind", "write kind = \"proxy_headers\", or a kind of token");
        }
        return None;
    }
    let own = [
        ("proxy_headers", Kind::ProxyHeaders),
        ("bearer", Kind::Bearer(None)),
        ("aws_alb", Kind::AwsAlb),
        ("appdirect", Kind::AppDirect),
        ("commercetools", Kind::Commercetools),
        ("caf", Kind::Caf),
    ];
    let presets = issuer_presets::ALL.iter().map(|preset| (preset.name, Kind::Bearer(Some(preset))));
    let kinds: Vec<(&str, Kind)> = own.into_iter().chain(presets).collect();
    let mut cors_origins = Vec::new();
    let identity = match section.choice("kind", &kinds)? {
        Kind::ProxyHeaders => proxy_headers(section, deployment).map(Authenticator::ProxyHeaders),
        Kind::Bearer(preset) => bearer::read(section, preset).map(Authenticator::Bearer),
        Kind::AwsAlb => platforms::aws_alb(section).map(Authenticator::AwsAlb),
        Kind::AppDirect => platforms::appdirect(section, https).map(|(identity, marketplace)| {
            cors_origins.push(marketplace);
            Authenticator::AppDirect(identity)
        }),
        Kind::Commercetools => {
            platforms::commercetools(section, public_url, https).map(Authenticator::Commercetools)
        }
        Kind::Caf => platforms::caf(section).map(Authenticator::Caf),
    };
    section.finish();
    identity.map(|identity| (identity, cors_origins))
}

#[derive(Clone, Copy)]
enum Kind {
    ProxyHeaders,
    Bearer(Option<&'static IssuerPreset>),
    AwsAlb,
    AppDirect,
    Commercetools,
    Caf,
}

fn proxy_headers(section: &Section<'_>, deployment: &Deployment<'_>) -> Option<ProxyHeaders> {
    let trusted = trusted_proxies(section, deployment);
    let layout = layout(section);
    Some(ProxyHeaders::new(trusted?, layout?))
}

fn trusted_proxies(section: &Section<'_>, deployment: &Deployment<'_>) -> Option<TrustedProxies> {
    const NAME: &str = "trusted_proxies";
    const DANGEROUS: &str = "dangerous_trust_any_proxy";
    let networks = section.or_default(NAME, Vec::new(), |section| {
        section.all_parsed(
            NAME,
            "write addresses or networks, such as \"127.0.0.1/32\" or \"10.0.0.0/8\"",
            |text| TrustedProxies::parse_network(text).ok_or("it is neither an address nor a network"),
        )
    });
    let allow_any = section.or_default(DANGEROUS, false, |section| section.flag(DANGEROUS));
    let trusted = TrustedProxies::new(networks?);
    if trusted.is_empty() && deployment.listens_on_tcp {
        let what = "it is empty, so that no request can be authenticated";
        section.report(NAME, what, "name the address of your proxy, such as \"127.0.0.1/32\"");
        return None;
    }
    if trusted.cover_the_internet() && !allow_any? {
        let what = "it covers the whole internet: any client that reaches the service signs on as any user";
        let help = format!(
            "name the address of your proxy, or write {DANGEROUS} = true where nothing else can connect"
        );
        if deployment.is_production {
            section.report(NAME, what, help);
            return None;
        }
        section.warn(NAME, what, help);
    }
    Some(trusted)
}

fn layout(section: &Section<'_>) -> Option<Layout> {
    let custom = ("custom", None);
    let known: Vec<(&str, Option<&presets::Preset>)> =
        presets::ALL.iter().map(|preset| (preset.name, Some(preset))).chain([custom]).collect();
    if !section.require("preset", "name the login proxy, such as preset = \"oauth2_proxy\"") {
        return None;
    }
    match section.choice("preset", &known)? {
        Some(preset) => {
            let headers = section.section("headers");
            let more = additional_headers(&headers);
            headers.finish();
            Some(Layout::preset(preset).with(more))
        }
        None => custom_layout(section),
    }
}

fn custom_layout(section: &Section<'_>) -> Option<Layout> {
    let separator = if section.has("list_separator") {
        section.parsed("list_separator", "write one character, such as \",\"", |text| {
            let mut chars = text.chars();
            chars.next().filter(|_| chars.next().is_none()).ok_or("it is not one character")
        })
    } else {
        Some(',')
    };
    let headers = section.section("headers");
    let simple = [
        ("id", Field::Id),
        ("email", Field::Email),
        ("name", Field::Name),
        ("username", Field::Username),
        ("groups", Field::Groups),
    ];
    let mut fields: Vec<(Field, FieldName)> = Vec::new();
    for (name, field) in simple {
        fields.extend(header(&headers, name).map(|header| (field, header)));
    }
    fields.extend(additional_headers(&headers));
    headers.finish();
    match Layout::custom(fields, separator?) {
        Ok(layout) => Some(layout),
        Err(why) => {
            section.report(
                "headers",
                why,
                "name a header for email, id or username: email = \"X-User-Email\"",
            );
            None
        }
    }
}

/// Headers that no preset has: the organization and attributes.
fn additional_headers(headers: &Section<'_>) -> Vec<(Field, FieldName)> {
    let mut fields = Vec::new();
    let organization = headers.section("organization");
    for (name, field) in [("id", Field::OrganizationId), ("name", Field::OrganizationName)] {
        fields.extend(header(&organization, name).map(|header| (field, header)));
    }
    organization.finish();
    let attributes = headers.section("attributes");
    for name in attributes.names() {
        fields.extend(header(&attributes, &name).map(|header| (Field::Attribute(Cow::Owned(name)), header)));
    }
    fields
}

fn header(section: &Section<'_>, name: &str) -> Option<FieldName> {
    if !section.has(name) {
        // read, so that it counts as known where another key is misspelt
        section.value(name);
        return None;
    }
    section.parsed(name, "write a header's name, such as \"X-User-Email\"", |text| {
        FieldName::parse(text).ok_or("it is not a header's name")
    })
}
