//! The entrance at `/pandium-sso` and those of `[entrances.NAME]`: each with its
//! own authenticator, and the top-level sections as defaults.

use super::identity::Deployment;
use super::server::Listen;
use super::{embed, identity, marketplace};
use crate::access::Access;
use crate::audit::{PseudonymKey, SubjectLog};
use crate::authn::{Authenticator, KeyCaches};
use crate::pandium::Environment;
use crate::secret::SharedSecret;
use crate::settings::Section;
use crate::sign_on::Entrance;

/// Reserved paths.
const RESERVED: [&str; 8] =
    ["/livez", "/readyz", "/healthz", "/metrics", "/embed", "/embed.js", "/embed.d.ts", "/embed.json"];

/// Reads all entrances, and the secret of each. Without a known environment, the rules for
/// production are not reported.
pub(super) fn read(
    root: &Section<'_>,
    environment: Environment,
    is_environment_known: bool,
) -> Option<(Vec<Entrance>, Vec<SharedSecret>)> {
    let https = is_environment_known && environment.requires_https();
    let server = root.section("server");
    let public_url = server.value("public_url").and_then(|url| url.into_string().ok());
    let public_url = public_url.filter(|url| !url.is_empty());
    let listen = server.value("listen").and_then(|listen| listen.into_string().ok());
    let listens_on_tcp = listen.is_some_and(|listen| matches!(Listen::parse(&listen), Ok(Listen::Tcp(_))));
    let deployment = Deployment { public_url: public_url.as_deref(), is_production: https, listens_on_tcp };
    let context = Context { root, environment, https, deployment };
    let main = context.entrance(root, Entrance::MAIN_NAME, Some(Entrance::MAIN_PATH.to_owned()));
    let mut all = vec![main];
    let mut taken = vec![(Entrance::MAIN_NAME.to_owned(), Entrance::MAIN_PATH.to_owned())];

    let more = root.section("entrances");
    for name in more.names() {
        let section = more.section(&name);
        if !is_name(&name) || name == Entrance::MAIN_NAME {
            more.report(&name, "it cannot be an entrance's name", "use letters, digits, '-' and '_'");
        }
        let path =
            section.required_text("path", "write the entrance's path, such as \"/partners/pandium-sso\"");
        let path = path.and_then(|path| read_path(&section, path, &taken));
        taken.extend(path.clone().map(|path| (name.clone(), path)));
        section
            .require("identity", "add [entrances.NAME.identity]: every entrance has its own authenticator");
        all.push(context.entrance(&section, &name, path));
        section.finish();
    }
    more.finish();
    let mut all: Vec<(Entrance, SharedSecret)> = all.into_iter().collect::<Option<_>>()?;
    check_secrets_are_separate(&all, root, &more);
    // entrances with the same issuer share one cache
    let caches = KeyCaches::of(all.iter().map(|(entrance, _)| &entrance.identity));
    for (entrance, _) in &mut all {
        entrance.identity.reuse_cached_keys(&caches);
    }
    Some(all.into_iter().unzip())
}

/// The settings that all entrances share.
struct Context<'a, 'p> {
    root: &'a Section<'p>,
    environment: Environment,
    https: bool,
    deployment: Deployment<'a>,
}

impl Context<'_, '_> {
    fn entrance(
        &self,
        section: &Section<'_>,
        name: &str,
        path: Option<String>,
    ) -> Option<(Entrance, SharedSecret)> {
        let over = |part: &str| section_over(section, self.root, part);
        let identity = identity::read(&section.section("identity"), &self.deployment);
        let claims = over("claims");
        let marketplace = marketplace::read(&over("pandium"), &claims, self.environment, self.https);
        let access = read_access(&over("access"));
        let embed = embed::read(&over("embed"), self.https);
        let (marketplace, referrer_policy, secret) = marketplace?;
        let (identity, cors_origins) = identity?;
        let reads = marketplace.subject_names();
        // for proxy headers only a warning: see Config::warnings
        let is_fixed = !matches!(identity, Authenticator::ProxyHeaders(_));
        let is_empty = || marketplace.subject(&identity.sample(reads)).is_none();
        if is_fixed && !identity.can_yield_all(reads) && is_empty() {
            claims.report(
                "sub",
                format!(
                    "it is empty for every user of entrance {name}: no user has all of {}",
                    reads.join(", ")
                ),
                help_with_subject(&identity),
            );
        }
        let subject_log = SubjectSetting::read(&self.root.section("log"));
        let subject_record = SubjectSetting::read(&self.root.section("audit"));
        let entrance = Entrance {
            name: name.to_owned(),
            path: path?,
            identity,
            access: access?,
            embed: embed?.with_scripts(cors_origins),
            marketplace,
            environment: self.environment,
            referrer_policy,
            subject_log: subject_log?.with(&secret),
            subject_record: subject_record?.with(&secret),
        };
        Some((entrance, secret))
    }
}

/// Reports secrets that verify an entrance's tokens and sign marketplace tokens
/// too: the marketplace would accept the entrance's tokens directly.
fn check_secrets_are_separate(all: &[(Entrance, SharedSecret)], root: &Section<'_>, more: &Section<'_>) {
    const SECRETS: [&str; 4] = ["client_secret", "client_secret_file", "shared_secret", "shared_secret_file"];
    for (entrance, _) in all {
        let Some((other, _)) = all.iter().find(|(_, secret)| entrance.identity.verifies_with(secret)) else {
            continue;
        };
        let section = if entrance.name == Entrance::MAIN_NAME {
            root.section("identity")
        } else {
            more.section(&entrance.name).section("identity")
        };
        section.report(
            SECRETS.into_iter().find(|name| section.has(name)).unwrap_or("shared_secret"),
            format!(
                "it is pandium.shared_secret of entrance {} too: the marketplace would accept this entrance's tokens directly",
                other.name
            ),
            "agree on a separate secret with the other side",
        );
    }
}

/// An alternative for `sub`.
fn help_with_subject(identity: &Authenticator) -> &'static str {
    match identity {
        Authenticator::Commercetools(_) => "write sub = \"attributes.project_key ~ ':' ~ id\" in its claims",
        Authenticator::ProxyHeaders(_)
        | Authenticator::Bearer(_)
        | Authenticator::AwsAlb(_)
        | Authenticator::AppDirect(_)
        | Authenticator::Caf(_) => "write sub = \"id\", or another stable field that its users have",
    }
}

#[derive(Clone, Copy)]
enum SubjectSetting {
    None,
    Hashed,
    Plain,
}

impl SubjectSetting {
    fn read(section: &Section<'_>) -> Option<Self> {
        let choices = [("none", Self::None), ("hashed", Self::Hashed), ("plain", Self::Plain)];
        section.choice("subject", &choices)
    }

    fn with(self, secret: &SharedSecret) -> SubjectLog {
        match self {
            Self::None => SubjectLog::None,
            Self::Hashed => SubjectLog::Hashed(PseudonymKey::derive(secret)),
            Self::Plain => SubjectLog::Plain,
        }
    }
}

fn section_over<'p>(section: &Section<'p>, root: &Section<'p>, part: &str) -> Section<'p> {
    if std::ptr::eq(section, root) { root.section(part) } else { section.section_over(part, root) }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn read_path(section: &Section<'_>, path: String, taken: &[(String, String)]) -> Option<String> {
    let is_plain = path.len() > 1
        && path.split('/').skip(1).all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
        });
    let conflicts = |other: &str| path == other || is_below(&path, other) || is_below(other, &path);
    if !path.starts_with('/') || !is_plain {
        section.report(
            "path",
            format!("{path:?} is not a plain path"),
            "begin with '/', and use letters, digits, '-', '_', '.' and '~'",
        );
    } else if RESERVED.contains(&path.as_str()) || path.starts_with("/v1/") {
        section.report("path", format!("{path} is reserved by the service"), "choose another path");
    } else if let Some((name, other)) = taken.iter().find(|(_, other)| conflicts(other)) {
        let what = format!("{path} conflicts with the entrance {name} at {other}");
        section.report("path", what, "choose another path");
    } else {
        return Some(path);
    }
    None
}

/// Whether a path is an install page of an entrance.
fn is_below(path: &str, entrance: &str) -> bool {
    path.strip_prefix(entrance).is_some_and(|rest| rest == "/install" || rest.starts_with("/install/"))
}

fn read_access(section: &Section<'_>) -> Option<Access> {
    let email_domains = section.all_parsed("email_domains", "write the part after the '@'", |domain| {
        let is_domain = !domain.is_empty() && !domain.contains(['@', ' ', '*']) && !domain.starts_with('.');
        if is_domain { Ok(domain.to_owned()) } else { Err("it is not a domain, such as example.com") }
    });
    let (groups, denied_groups) = (section.texts("groups"), section.texts("denied_groups"));
    section.finish();
    Some(Access { email_domains: email_domains?, groups: groups?, denied_groups: denied_groups? })
}
