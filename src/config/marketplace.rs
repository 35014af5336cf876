//! The sections `[pandium]` and `[claims]`.

use crate::pandium::{
    Account, BaseUrl, Claims, Environment, LinkRules, Marketplace, MarketplaceSettings, UnknownParameters,
};
use crate::secret::SharedSecret;
use crate::settings::{Reported, Section, secrets, to_json};
use crate::sign_on::ReferrerPolicy;

const SECRET_HELP: &str = "use the secret that Pandium gave you for this environment; \
                        for a trial, generate one: openssl rand -hex 32";

pub(super) fn read(
    section: &Section<'_>,
    claims: &Section<'_>,
    environment: Environment,
    https: bool,
) -> Result<(Marketplace, ReferrerPolicy, SharedSecret), Reported> {
    let account = section
        .required_text("account", "write the account's name in the marketplace's URL, as Pandium gave it")
        .and_then(|_| section.parsed("account", "write only the name, such as \"acme\"", Account::parse));
    let secret = secret(section);
    let base_url = base_url(section, environment, https);
    let claims = read_claims(claims);
    let links = links(section);
    let token_lifetime_s = section.number("token_lifetime_s", 0, 86_400);
    let iat_backdate_s = section.number("iat_backdate_s", 0, 3_600);
    let max_location_bytes = section.count("max_location_bytes", 256, 65_536);
    let referrer_policy =
        section.choice("referrer_policy", &ReferrerPolicy::ALL.map(|policy| (policy.name(), policy)));
    section.finish();

    let shared_secret = secret?;
    let marketplace = Marketplace::new(MarketplaceSettings {
        base_url: base_url?,
        account: account?,
        shared_secret: shared_secret.clone(),
        claims: claims?,
        links: links?,
        token_lifetime_s: token_lifetime_s?,
        iat_backdate_s: iat_backdate_s?,
        max_location_bytes: max_location_bytes?,
    });
    Ok((marketplace, referrer_policy?, shared_secret))
}

fn secret(section: &Section<'_>) -> Result<SharedSecret, Reported> {
    let allow_short = section.flag("dangerous_allow_short_secret");
    let min_bytes = if allow_short? { 1 } else { SharedSecret::MIN_BYTES };
    let (_, secret) = secrets::read(section, "shared_secret", min_bytes, SECRET_HELP)?;
    Ok(secret)
}

fn base_url(section: &Section<'_>, environment: Environment, https: bool) -> Result<BaseUrl, Reported> {
    let help = "write the base URL of the marketplaces, such as \"https://imp.pandium.io\", or \"\" for the environment's own";
    let base_url = section.parsed("base_url", help, |text| {
        BaseUrl::parse(if text.is_empty() { environment.base_url() } else { text })
    })?;
    if https && !base_url.is_https() {
        return Err(section.report("base_url", "it is not https; production needs that", help));
    }
    Ok(base_url)
}

fn links(section: &Section<'_>) -> Result<LinkRules, Reported> {
    let allowed = section.texts("link_parameters");
    let unknown = section.choice(
        "unknown_link_parameters",
        &[("refuse", UnknownParameters::Refuse), ("drop", UnknownParameters::Drop)],
    );
    LinkRules::new(allowed?, unknown?).ok_or_else(|| {
        section.report("link_parameters", "it contains tenant, which carries the token", "remove it")
    })
}

fn read_claims(section: &Section<'_>) -> Result<Claims, Reported> {
    let mut written = serde_json::Map::new();
    for name in section.names() {
        if let Some(value) = section.value(&name) {
            written.insert(name, to_json(value));
        }
    }
    if written.get("sub").is_none_or(|sub| sub == "") {
        section.report(
            "sub",
            "it is not set; every token requires it",
            "write sub = \"email\", or another stable identifier of the user",
        );
    }
    Claims::compile(&serde_json::Value::Object(written)).map_err(|problems| {
        let reported = problems
            .iter()
            .map(|problem| section.report_within(&problem.claim, &problem.what, &problem.help));
        reported
            .last()
            .unwrap_or_else(|| section.report("sub", "it cannot be compiled", "report this as a bug"))
    })
}
