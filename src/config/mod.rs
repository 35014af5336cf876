//! The configuration: from layers of settings to a [`Config`] that is valid by
//! construction. All problems are reported at once.

mod audit;
mod branding;
mod embed;
mod entrances;
mod limits;
mod marketplace;
pub(crate) mod placeholders;
mod server;
mod session;
mod store;

use std::path::Path;

use config::Value;

pub use server::{Listen, LogSettings, ServerSettings};

use crate::audit::{AuditSettings, Durability, SubjectLog};
use crate::authn::mittwald::MittwaldSettings;
use crate::authn::mittwald::settings as mittwald;
use crate::host;
use crate::jwt::skipped_key;
use crate::limits::LimitSettings;
use crate::page::Pages;
use crate::pandium::Environment;
use crate::settings::{self, BuiltIn, Collector, EffectiveSetting, Reported, Section};
pub use crate::settings::{Problem, Problems, Sources, WatchedFile};
use crate::sign_on::Entrance;
use crate::store::StoreSettings;

/// A complete, valid configuration.
#[derive(Debug)]
pub struct Config {
    /// Pandium's environment.
    pub environment: Environment,
    /// The section `[server]`.
    pub server: ServerSettings,
    /// The section `[log]`.
    pub log: LogSettings,
    /// The section `[store]`; `None` without a store.
    pub store: Option<StoreSettings>,
    /// The section `[audit]`.
    pub audit: AuditSettings,
    /// The section `[limits]`.
    pub limits: LimitSettings,
    /// The section `[mittwald]`; `None` without an extension.
    pub mittwald: Option<MittwaldSettings>,
    /// All entrances; the first is `/pandium-sso`.
    pub entrances: Vec<Entrance>,
    /// The pages for users.
    pub pages: Pages,
    /// The files that were read; a change of one triggers a reload.
    pub files: Vec<WatchedFile>,
    warnings: Vec<Problem>,
    effective: Value,
    sources: Option<Sources>,
}

const BUILT_IN: BuiltIn =
    BuiltIn { default: include_str!("../../config/default.toml"), overlay_key: "environment", overlay };

fn overlay(environment: &str) -> Option<(&'static str, &'static str)> {
    Some(match environment.parse::<Environment>().ok()? {
        Environment::Production => {
            ("the built-in production.toml", include_str!("../../config/production.toml"))
        }
        Environment::Sandbox => ("the built-in sandbox.toml", include_str!("../../config/sandbox.toml")),
        Environment::Demo => ("the built-in demo.toml", include_str!("../../config/demo.toml")),
    })
}

impl Config {
    /// Reads a configuration and every file that it refers to.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let problems = Collector::default();
        if sources.is_empty() {
            let help = if Path::new("marketplace-sso.toml").is_file() {
                "marketplace-sso.toml is here: --config marketplace-sso.toml"
            } else {
                "write a file with marketplace-sso init, or as docs/start.md shows one, and name it with --config"
            };
            problems.add(
                "configuration",
                None,
                "nothing is configured: there is no --config FILE, no SSO_CONFIG, and no other SSO_ variable; files are \
                 looked for nowhere else",
                help,
            );
            return Err(problems.take());
        }
        let merged = settings::read(sources, &BUILT_IN, &problems).map_err(|_reported| problems.take())?;
        let mut config = Self::read(merged, problems)?;
        config.sources = Some(sources.clone());
        Ok(config)
    }

    /// Removes and returns the entrances and the pages, for the parts that serve requests.
    pub fn take_served(&mut self) -> (Vec<Entrance>, Pages) {
        (std::mem::take(&mut self.entrances), std::mem::take(&mut self.pages))
    }

    /// The sources of this configuration; `None` after [`Self::from_toml`].
    pub const fn sources(&self) -> Option<&Sources> {
        self.sources.as_ref()
    }

    /// Reads a configuration from TOML over the built-in defaults, without
    /// environment variables.
    pub fn from_toml(text: &str) -> Result<Self, Problems> {
        let problems = Collector::default();
        let merged = settings::read_text(text, &BUILT_IN, &problems).map_err(|_reported| problems.take())?;
        Self::read(merged, problems)
    }

    /// The effective settings as TOML with the origin of each value; secrets are
    /// hidden.
    pub fn effective(&self) -> String {
        settings::write_effective(&self.effective)
    }

    /// The effective settings, one by one; secrets are hidden.
    pub fn effective_settings(&self) -> Vec<EffectiveSetting> {
        settings::effective(&self.effective)
    }

    /// Settings that are valid but probably a mistake.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = self.warnings.clone();
        let mut warn = |key: &str, what: String, help: &str| {
            warnings.push(Problem { key: key.to_owned(), origin: None, what, help: help.to_owned() });
        };
        if self.server.hosts.is_empty() {
            warn(
                "server.public_url",
                "it and server.hosts are empty, so only requests for local names and IP addresses are served"
                    .into(),
                "name the host by which browsers reach this service",
            );
        }
        if self.store.is_some() && self.server.public_url.is_none() {
            let what = "it is empty, so POST /v1/links creates no single-use addresses";
            warn("server.public_url", what.into(), "set it");
        }
        if self.store.is_none()
            && self.entrances.iter().any(|entrance| entrance.authenticator.sign_in().is_some())
        {
            let what = "it is empty, so a sign-out ends a session at one replica only, and frames in pages of other \
                        sites cannot sign in";
            warn("store.url", what.into(), "set it, or run one replica");
        }
        for Entrance { name, authenticator, embed, marketplace, .. } in &self.entrances {
            let reads = marketplace.subject_names();
            if !authenticator.can_yield_all(reads)
                && marketplace.subject(&authenticator.sample(reads)).is_none()
            {
                let what = format!(
                    "at the entrance {name} it reads {}, which no configured header provides, so no user can sign on",
                    reads.join(" and ")
                );
                warn(
                    "claims.sub",
                    what,
                    "read a field that the identity provides, or name the header that contains it",
                );
            }
            let skipped = authenticator.skipped_keys();
            if !skipped.is_empty() {
                let what = format!(
                    "at the entrance {name} unusable keys in it are skipped ({})",
                    skipped_key::list(&skipped)
                );
                warn("identity.jwks_file", what, "remove them");
            }
            if embed.login_url.is_none() && authenticator.sign_in().is_none() {
                let what = format!(
                    "at the entrance {name} it is empty, so the page for an expired login has no link back"
                );
                warn("embed.login_url", what, "set it");
            }
            if embed.parents.is_empty() {
                let what =
                    format!("at the entrance {name} it is empty, so no page can frame the marketplace");
                warn("embed.parents", what, "set your app's origin");
            }
        }
        warnings
    }

    /// The entrance of that name.
    pub fn entrance(&self, name: &str) -> Option<&Entrance> {
        self.entrances.iter().find(|entrance| entrance.name == name)
    }

    fn read(merged: Value, problems: Collector) -> Result<Self, Problems> {
        let effective = merged.clone();
        let root = Section::root(merged, &problems);
        let environment = environment(&root);
        // without a valid environment, the other sections are read as for production, the strictest
        // one
        let assumed = environment.unwrap_or(Environment::Production);
        let server = server::read(&root.section("server"), environment.ok());
        let log = server::read_log(&root.section("log"));
        let limits = limits::read(&root.section("limits"));
        let pages = branding::read(&root.section("branding"));
        let (store, secrets_ring) = store::read(&root.section("store"));
        let mittwald = mittwald::read(
            &root.section("mittwald"),
            mittwald::MittwaldDeployment {
                public_url: server.as_ref().map_or(Some(""), |server| server.public_url.as_deref()),
                has_store: store.as_ref().map_or(true, Option::is_some),
                secrets: secrets_ring,
            },
        );
        let extensions = mittwald.as_ref().map(Option::as_ref).map_err(|reported| *reported);
        let entrances = entrances::read(&root, assumed, environment.is_ok(), extensions);
        check_webhook_path(&root, &mittwald, &entrances);
        check_mixed_content(&root, &server, &entrances);
        let secrets = entrances.as_ref().map(|(_, secrets)| secrets.as_slice()).map_err(|reported| *reported);
        let audit =
            audit::read(&root.section("audit"), store.as_ref().map_err(|reported| *reported), secrets);
        settings::secrets::check_own(&problems, &["session.key", "store.encryption_key", "audit.chain_key"]);
        placeholders::check(&effective, &problems, environment == Ok(Environment::Production));
        root.finish();
        let read =
            (|| Ok((environment?, server?, log?, store?, audit?, limits?, mittwald?, entrances?, pages?)))();
        let (read, files, warnings) = problems.finish(read)?;
        let (environment, server, log, store, audit, limits, mittwald, (mut entrances, _), pages) = read;
        if audit.durability == Durability::Log {
            entrances.iter_mut().for_each(|entrance| entrance.subject_forms.record = SubjectLog::None);
        }
        let sources = None;
        Ok(Self {
            environment,
            server,
            log,
            store,
            audit,
            limits,
            mittwald,
            entrances,
            pages,
            files,
            warnings,
            effective,
            sources,
        })
    }
}

/// Reports a webhook whose path is in use already.
fn check_webhook_path(
    root: &Section<'_>,
    mittwald: &Result<Option<MittwaldSettings>, Reported>,
    entrances: &Result<entrances::Entrances, Reported>,
) {
    let (Ok(Some(mittwald)), Ok((entrances, _))) = (mittwald, entrances) else { return };
    let path = mittwald.webhook_path.as_str();
    let section = root.section("mittwald");
    let help = "choose another path";
    if entrances::is_reserved(path) {
        section.report("webhook_path", format!("{path} is reserved by the service"), help);
    }
    for Entrance { name, path: other, .. } in entrances {
        if entrances::conflicts(path, other) {
            let what = format!("{path} conflicts with the entrance {name} at {other}");
            section.report("webhook_path", what, help);
        }
    }
}

/// Warns of frames that browsers block: http frames in https pages.
fn check_mixed_content(
    root: &Section<'_>,
    server: &Result<ServerSettings, Reported>,
    entrances: &Result<entrances::Entrances, Reported>,
) {
    let (Ok(server), Ok((entrances, _))) = (server, entrances) else { return };
    let Some(authority) = server.public_url.as_deref().and_then(|url| url.strip_prefix("http://")) else {
        return;
    };
    let mut parents = entrances.iter().filter_map(|entrance| entrance.embed.parents.first_https());
    if !host::is_loopback(authority)
        && let Some(parent) = parents.next()
    {
        let what =
            format!("it is http, so browsers block the frame in https pages, such as those of {parent}");
        root.section("server").warn(
            "public_url",
            what,
            "put the service behind TLS, and write its https URL",
        );
    }
}

fn environment(root: &Section<'_>) -> Result<Environment, Reported> {
    let help =
        "set environment = \"production\", \"sandbox\" or \"demo\": the environment whose secret this is";
    root.required_text("environment", help)?;
    root.choice("environment", &Environment::ALL.map(|environment| (environment.name(), environment)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
        environment = "sandbox"
        [identity]
        trusted_proxies = ["127.0.0.1/32"]
        [pandium]
        account = "acme"
        shared_secret = "0123456789abcdef0123456789abcdef"
    "#;

    fn problems(text: &str) -> String {
        Config::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn a_minimal_configuration_is_accepted() {
        let config = Config::from_toml(MINIMAL).unwrap();
        assert_eq!(config.entrances.len(), 1);
        assert_eq!(config.entrances[0].path, "/pandium-sso");
    }

    #[test]
    fn all_problems_are_reported_with_key_origin_and_remedy() {
        insta::assert_snapshot!(problems(
            r#"
            environment = "sandbox"
            [pandium]
            account = "a/b"
            base_url = "imp.example.com"
            link_parameters = ["tenant"]
            [server]
            workers = 1000
            listne = "127.0.0.1:80"
            [identity]
            preset = "nginx"
            trusted_proxies = ["10.0.0.0/40"]
            [claims]
            iat = "id"
            sub = "emial"
            [embed]
            parents = ["https://app.example.com/x"]
            login_url = "javascript:alert(1)"
            policy = "on"
            "#
        ));
    }

    #[test]
    fn an_empty_configuration_lists_what_is_required() {
        insta::assert_snapshot!(problems(""));
    }

    #[test]
    fn production_requires_https() {
        insta::assert_snapshot!(problems(
            r#"
            environment = "production"
            [server]
            public_url = "http://app.example.com"
            [pandium]
            account = "acme"
            shared_secret = "0123456789abcdef0123456789abcdef"
            base_url = "http://imp.example.com"
            [embed]
            parents = ["http://app.example.com"]
            login_url = "http://app.example.com/login"
            "#
        ));
    }

    #[test]
    fn problems_and_effective_settings_hide_secrets() {
        let reported =
            problems("[pandium]\nshared_secret = \"hush-hush\"\nshared_secret_file = \"/nowhere\"");
        assert!(!reported.contains("hush-hush"), "{reported}");
        let shown = Config::from_toml(MINIMAL).unwrap().effective();
        assert!(shown.contains("shared_secret = \"[hidden]\""), "{shown}");
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
    }

    #[test]
    fn a_url_with_a_password_is_not_quoted() {
        let reported = problems(
            "[pandium]\nbase_url = \"https://u:hush-hush@h\"\n[embed]\nparents = [\"https://u:hush-hush@h\"]",
        );
        assert!(reported.contains("pandium.base_url") && reported.contains("embed.parents"), "{reported}");
        assert!(!reported.contains("hush-hush"), "{reported}");
    }

    #[test]
    fn an_entrance_inherits_top_level_sections() {
        let config = Config::from_toml(&format!(
            "{MINIMAL}
            [access]
            groups = [\"staff\"]
            [entrances.partners]
            path = \"/partners/pandium-sso\"
            [entrances.partners.identity]
            kind = \"proxy_headers\"
            preset = \"authelia\"
            trusted_proxies = [\"10.0.0.1\"]
            [entrances.partners.access]
            denied_groups = [\"guests\"]
            "
        ))
        .unwrap();
        let partners = config.entrance("partners").unwrap();
        assert_eq!(partners.access.groups, ["staff"]);
        assert_eq!(partners.access.denied_groups, ["guests"]);
        assert!(config.entrances[0].access.denied_groups.is_empty());
    }

    #[test]
    fn entrance_paths_neither_conflict_nor_are_reserved() {
        let entrance = |name: &str, path: &str| {
            format!(
                "[entrances.{name}]\npath = \"{path}\"\n[entrances.{name}.identity]\nkind = \"proxy_headers\"\npreset = \"vouch\"\ntrusted_proxies = [\"10.0.0.1\"]\n"
            )
        };
        let text = [
            MINIMAL,
            &entrance("a", "/x"),
            &entrance("b", "/x"),
            &entrance("c", "/livez"),
            &entrance("d", "/pandium-sso/install"),
        ]
        .concat();
        insta::assert_snapshot!(problems(&text));
    }

    #[test]
    fn claim_names_keep_their_case() {
        let config = Config::from_toml(&format!("{MINIMAL}\n[claims.ti.xti]\nextraProp = \"'x'\"")).unwrap();
        assert!(config.effective().contains("extraProp"));
    }

    #[test]
    fn a_later_layer_replaces_lists() {
        let config = Config::from_toml(&format!("{MINIMAL}\nlink_parameters = [\"display\"]")).unwrap();
        assert!(config.effective().contains("link_parameters = [\"display\"]"), "{}", config.effective());
    }
}
