//! The section `[identity]` with `kind = "proxy_headers"`.

use std::borrow::Cow;

use super::layout::{Field, Layout};
use super::{ProxyHeaders, TrustedProxies, presets};
use crate::request::FieldName;
use crate::settings::{Reported, Section};

/// Reads the section. An empty list of proxies is an error if the service listens on TCP.
pub(crate) fn read(
    section: &Section<'_>,
    listens_on_tcp: bool,
    is_production: bool,
) -> Result<ProxyHeaders, Reported> {
    let trusted = trusted_proxies(section, listens_on_tcp, is_production);
    let layout = layout(section);
    Ok(ProxyHeaders::new(trusted?, layout?))
}

fn trusted_proxies(
    section: &Section<'_>,
    listens_on_tcp: bool,
    is_production: bool,
) -> Result<TrustedProxies, Reported> {
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
    if trusted.is_empty() && listens_on_tcp {
        let what = "it is empty, so that no request can be authenticated";
        let help = "name the address of your proxy, such as \"127.0.0.1/32\"";
        return Err(section.report(NAME, what, help));
    }
    if trusted.cover_the_internet() && !allow_any? {
        let what =
            "it covers the whole internet: any client that reaches the service can sign on as any user";
        let help = format!(
            "name the address of your proxy, or write {DANGEROUS} = true where nothing else can connect"
        );
        if is_production {
            return Err(section.report(NAME, what, help));
        }
        section.warn(NAME, what, help);
    }
    Ok(trusted)
}

fn layout(section: &Section<'_>) -> Result<Layout, Reported> {
    let custom = ("custom", None);
    let known: Vec<(&str, Option<&presets::Preset>)> =
        presets::ALL.iter().map(|preset| (preset.name, Some(preset))).chain([custom]).collect();
    section.require("preset", "name the login proxy, such as preset = \"oauth2_proxy\"")?;
    match section.choice_of_form("preset", &known)? {
        Some(preset) => {
            let headers = section.section("headers");
            let more = additional_headers(&headers);
            headers.finish();
            Ok(preset.layout().with(more?))
        }
        None => custom_layout(section),
    }
}

fn custom_layout(section: &Section<'_>) -> Result<Layout, Reported> {
    let separator = section.or_default("list_separator", ',', |section| {
        section.parsed("list_separator", "write one character, such as \",\"", |text| {
            let mut chars = text.chars();
            chars.next().filter(|_| chars.next().is_none()).ok_or("it is not one character")
        })
    });
    let headers = section.section("headers");
    let simple = [
        ("id", Field::Id),
        ("email", Field::Email),
        ("name", Field::Name),
        ("username", Field::Username),
        ("groups", Field::Groups),
    ];
    let fields = all_headers(&headers, simple.map(|(name, field)| (name.to_owned(), field)));
    let more = additional_headers(&headers);
    headers.finish();
    let mut fields = fields?;
    fields.extend(more?);
    Layout::custom(fields, separator?).map_err(|why| {
        let help = "name a header for email, id or username: email = \"X-User-Email\"";
        section.report("headers", why, help)
    })
}

/// Headers that a preset does not define: the organization and attributes.
fn additional_headers(headers: &Section<'_>) -> Result<Vec<(Field, FieldName)>, Reported> {
    let organization = headers.section("organization");
    let names = [("id", Field::OrganizationId), ("name", Field::OrganizationName)];
    let fields = all_headers(&organization, names.map(|(name, field)| (name.to_owned(), field)));
    organization.finish();
    let attributes = headers.section("attributes");
    let names = attributes.names().into_iter().map(|name| (name.clone(), Field::Attribute(Cow::Owned(name))));
    let more = all_headers(&attributes, names);
    let mut fields = fields?;
    fields.extend(more?);
    Ok(fields)
}

/// The headers that the table names for these fields.
fn all_headers(
    section: &Section<'_>,
    fields: impl IntoIterator<Item = (String, Field)>,
) -> Result<Vec<(Field, FieldName)>, Reported> {
    let header = |(name, field): (String, Field)| {
        // read always, so that it is not reported as unknown if another key is misspelt
        section.value(&name)?;
        let parsed = section.parsed(&name, "write a header's name, such as \"X-User-Email\"", |text| {
            FieldName::parse(text).ok_or("it is not a header's name")
        });
        Some(parsed.map(|header| (field, header)))
    };
    // all are read before the first error is returned, so that each problem is reported
    let headers: Vec<_> = fields.into_iter().filter_map(header).collect();
    headers.into_iter().collect()
}
