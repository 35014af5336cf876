//! The entrance at `/pandium-sso` and those of `[entrances.NAME]`: each has its own authenticator;
//! the top-level sections are its defaults.

use super::server::Listen;
use super::{embed, marketplace, session};
use crate::access::Access;
use crate::audit::{PseudonymKey, SubjectForms, SubjectLog};
use crate::authn::key_caches;
use crate::authn::mittwald::MittwaldSettings;
use crate::authn::settings::{self as identity, Deployment, Identity};
use crate::embed::Parent;
use crate::pandium::Environment;
use crate::secret::SharedSecret;
use crate::settings::{Reported, Section};
use crate::sign_on::Entrance;

/// Reserved paths.
const RESERVED: [&str; 7] = ["/livez", "/readyz", "/healthz", "/metrics", "/embed", "/l", "/auth"];

/// All entrances, and the secret of each.
pub(super) type Entrances = (Vec<Entrance>, Vec<SharedSecret>);

/// Reads all entrances, and the secret of each. Without a known environment, violations of the
/// rules for production are not reported.
pub(super) fn read(
    root: &Section<'_>,
    environment: Environment,
    is_environment_known: bool,
    mittwald: Result<Option<&MittwaldSettings>, Reported>,
) -> Result<Entrances, Reported> {
    let https = is_environment_known && environment.requires_https();
    let server = root.section("server");
    let public_url = server.value("public_url").and_then(|url| url.into_string().ok());
    let public_url = public_url.filter(|url| !url.is_empty());
    let listen = server.value("listen").and_then(|listen| listen.into_string().ok());
    let listens_on_tcp = listen.is_some_and(|listen| matches!(Listen::parse(&listen), Ok(Listen::Tcp(_))));
    let session = session::read(&root.section("session"));
    let deployment = Deployment {
        public_url: public_url.as_deref(),
        is_production: https,
        listens_on_tcp,
        mittwald,
        session: session.as_ref().map(Option::as_ref).map_err(|reported| *reported),
    };
    let context = Context { root, environment, https, deployment };
    let main = context.entrance(root, Entrance::MAIN_NAME, Ok(Entrance::MAIN_PATH.to_owned()));
    let mut all = vec![main];
    let mut taken = vec![(Entrance::MAIN_NAME.to_owned(), Entrance::MAIN_PATH.to_owned())];

    let more = root.section("entrances");
    for name in more.names() {
        let section = more.section(&name);
        if !is_name(&name) || name == Entrance::MAIN_NAME {
            more.report(&name, "it cannot be an entrance's name", "use letters, digits, '-' and '_'");
        } else if name.starts_with("login-") {
            let remedy = "choose a name that does not begin with login-";
            more.report(&name, "its session cookie would have the name of a login cookie", remedy);
        }
        let path =
            section.required_text("path", "write the entrance's path, such as \"/partners/pandium-sso\"");
        let path = path.and_then(|path| read_path(&section, path, &taken));
        taken.extend(path.iter().map(|path| (name.clone(), path.clone())));
        let _ = section
            .require("identity", "add [entrances.NAME.identity]: every entrance has its own authenticator");
        all.push(context.entrance(&section, &name, path));
        section.finish();
    }
    more.finish();
    let mut all: Vec<(Entrance, SharedSecret)> = all.into_iter().collect::<Result<_, _>>()?;
    check_secrets_are_separate(&all, root, &more);
    // entrances with the same issuer share one cache
    let caches = key_caches(all.iter().map(|(entrance, _)| &entrance.authenticator));
    for (entrance, _) in &mut all {
        entrance.authenticator.reuse_cached_keys(&caches);
    }
    session?;
    Ok(all.into_iter().unzip())
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
        path: Result<String, Reported>,
    ) -> Result<(Entrance, SharedSecret), Reported> {
        let over = |part: &str| section_over(section, self.root, part);
        let identity = identity::read(&section.section("identity"), name, &self.deployment);
        let claims = over("claims");
        let marketplace = marketplace::read(&over("pandium"), &claims, self.environment, self.https);
        let access = read_access(&over("access"));
        let embed = embed::read(&over("embed"), self.https);
        let (marketplace, referrer_policy, secret) = marketplace?;
        let Identity { authenticator, cors_origin } = identity?;
        let scripts = cors_origin.map(|origin| {
            Parent::parse(&origin).map_err(|why| {
                let what = format!("scripts of {origin} cannot be allowed: {why}");
                section.section("identity").report("marketplace_url", what, "write a plain host name")
            })
        });
        let reads = marketplace.subject_names();
        // for proxy headers this is only a warning: see Config::warnings
        let is_empty = || marketplace.subject(&authenticator.sample(reads)).is_none();
        if authenticator.has_fixed_fields() && !authenticator.can_yield_all(reads) && is_empty() {
            claims.report(
                "sub",
                format!(
                    "it is empty for every user of entrance {name}: no user has all of {}",
                    reads.join(", ")
                ),
                format!(
                    "write sub = \"{}\", or another stable field that its users have",
                    authenticator.subject_example()
                ),
            );
        }
        let subject_log = SubjectSetting::read(&self.root.section("log"));
        let subject_record = SubjectSetting::read(&self.root.section("audit"));
        let entrance = Entrance {
            name: name.to_owned(),
            path: path?,
            authenticator,
            access: access?,
            embed: embed?.with_scripts(scripts.transpose()?.into_iter().collect()),
            marketplace,
            environment: self.environment,
            referrer_policy,
            subject_forms: SubjectForms {
                log: subject_log?.with(&secret),
                record: subject_record?.with(&secret),
            },
        };
        Ok((entrance, secret))
    }
}

/// Reports secrets that both verify an entrance's tokens and sign marketplace tokens: the
/// marketplace would accept the entrance's tokens directly.
fn check_secrets_are_separate(all: &[(Entrance, SharedSecret)], root: &Section<'_>, more: &Section<'_>) {
    const SECRETS: [&str; 4] = ["client_secret", "client_secret_file", "shared_secret", "shared_secret_file"];
    for (entrance, _) in all {
        let Some((other, _)) = all.iter().find(|(_, secret)| entrance.authenticator.verifies_with(secret))
        else {
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

#[derive(Clone, Copy)]
enum SubjectSetting {
    None,
    Hashed,
    Plain,
}

impl SubjectSetting {
    fn read(section: &Section<'_>) -> Result<Self, Reported> {
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

fn read_path(section: &Section<'_>, path: String, taken: &[(String, String)]) -> Result<String, Reported> {
    let is_plain = path.len() > 1
        && path.split('/').skip(1).all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
        });
    let (what, help) = if !path.starts_with('/') || !is_plain {
        let what = format!("{path:?} is not a plain path");
        (what, "begin with '/', and use letters, digits, '-', '_', '.' and '~'")
    } else if is_reserved(&path) {
        (format!("{path} is reserved by the service"), "choose another path")
    } else if let Some((name, other)) = taken.iter().find(|(_, other)| conflicts(&path, other)) {
        let what = format!("{path} conflicts with the entrance {name} at {other}");
        (what, "choose another path")
    } else {
        return Ok(path);
    };
    Err(section.report("path", what, help))
}

/// Whether a path is one of the service's own.
pub(super) fn is_reserved(path: &str) -> bool {
    RESERVED.contains(&path)
        || ["/v1/", "/l/", "/auth/", "/embed."].iter().any(|prefix| path.starts_with(prefix))
}

/// Whether a request could belong to both of two entrances' paths.
pub(super) fn conflicts(path: &str, other: &str) -> bool {
    path == other || is_below(path, other) || is_below(other, path)
}

/// Whether a path is an install page of an entrance.
fn is_below(path: &str, entrance: &str) -> bool {
    path.strip_prefix(entrance).is_some_and(|rest| rest == "/install" || rest.starts_with("/install/"))
}

fn read_access(section: &Section<'_>) -> Result<Access, Reported> {
    let email_domains = section.all_parsed("email_domains", "write the part after the '@'", |domain| {
        let is_domain = !domain.is_empty() && !domain.contains(['@', ' ', '*']) && !domain.starts_with('.');
        if is_domain { Ok(domain.to_owned()) } else { Err("it is not a domain, such as example.com") }
    });
    let (groups, denied_groups) = (section.texts("groups"), section.texts("denied_groups"));
    section.finish();
    Ok(Access { email_domains: email_domains?, groups: groups?, denied_groups: denied_groups? })
}
