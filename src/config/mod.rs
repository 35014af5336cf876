//! The configuration: from what is written, in layers, to a [`Config`] that is
//! usable by construction. Whatever is wrong is told at once.

mod bearer;
mod branding;
mod embed;
mod entrances;
mod identity;
mod keys;
mod marketplace;
mod platforms;
mod server;
mod token;

use config::Value;

pub use server::{Listen, LogSettings, ServerSettings};

use crate::authn::Authenticator;
use crate::jwt::jwks;
use crate::page::Pages;
use crate::pandium::Environment;
use crate::settings::{self, BuiltIn, Collector, Section};
pub use crate::settings::{Problem, Problems, SeenFile, Sources};
use crate::sign_on::Entrance;

/// Everything that a service needs to run.
#[derive(Debug)]
pub struct Config {
    /// Which of Pandium's environments users go to.
    pub environment: Environment,
    /// How the service listens, runs and stops.
    pub server: ServerSettings,
    /// How it logs.
    pub log: LogSettings,
    /// Where users arrive; the first is `/pandium-sso`.
    pub entrances: Vec<Entrance>,
    /// What people see.
    pub pages: Pages,
    /// The files that were read; when one changes, the configuration has.
    pub files: Vec<SeenFile>,
    warnings: Vec<String>,
    effective: Value,
    sources: Option<Sources>,
}

const BUILT_IN: BuiltIn =
    BuiltIn { default: include_str!("../../config/default.toml"), overlay_key: "environment", overlay };

fn overlay(environment: &str) -> Option<(&'static str, &'static str)> {
    Some(match environment.parse().ok()? {
        Environment::Production => {
            ("the built-in production.toml", include_str!("../../config/production.toml"))
        }
        Environment::Sandbox => ("the built-in sandbox.toml", include_str!("../../config/sandbox.toml")),
        Environment::Demo => ("the built-in demo.toml", include_str!("../../config/demo.toml")),
    })
}

impl Config {
    /// Reads a configuration, and every file that it names.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let problems = Collector::default();
        if sources.is_empty() {
            problems.add(
                "configuration",
                None,
                "nothing is configured: no --config FILE, no SSO_CONFIG, and no other SSO_ variable",
                "write a file, as README.md shows one, and name it with --config",
            );
            return Err(problems.take());
        }
        let merged = settings::read(sources, &BUILT_IN, &problems).ok_or_else(|| problems.take())?;
        let mut config = Self::read(merged, problems)?;
        config.sources = Some(sources.clone());
        Ok(config)
    }

    /// Hands over what requests are answered by, and keeps the rest.
    pub fn take_served(&mut self) -> (Vec<Entrance>, Pages) {
        (std::mem::take(&mut self.entrances), std::mem::take(&mut self.pages))
    }

    /// What this configuration was read from; `None` where that was a text.
    pub const fn sources(&self) -> Option<&Sources> {
        self.sources.as_ref()
    }

    /// Reads a configuration from one text, over what is compiled in. The
    /// environment variables of this process do not count.
    pub fn from_toml(text: &str) -> Result<Self, Problems> {
        let problems = Collector::default();
        let merged = settings::read_text(text, &BUILT_IN, &problems).ok_or_else(|| problems.take())?;
        Self::read(merged, problems)
    }

    /// Every setting as it applies, as TOML with the place of each value, and
    /// with secrets hidden.
    pub fn effective(&self) -> String {
        settings::write_effective(&self.effective)
    }

    /// Settings that are valid and probably a mistake.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        if self.server.hosts.is_empty() {
            warnings.push(
                "server.public_url and server.hosts are empty, so requests are answered only for local names and IP \
                 addresses; name the host by which browsers reach this service"
                    .to_owned(),
            );
        }
        for Entrance { name, identity, embed, marketplace, .. } in &self.entrances {
            let reads = marketplace.subject_names();
            if !identity.can_yield_all(reads) && marketplace.subject(&identity.sample(reads)).is_none() {
                warnings.push(format!(
                    "entrance {name}: claims.sub reads {}, which no header of its identity gives, so nobody can sign on",
                    reads.join(" and ")
                ));
            }
            if !identity.skipped_keys().is_empty() {
                warnings.push(format!(
                    "entrance {name}: keys of identity.jwks_file cannot be used, and are skipped ({}); take them out",
                    jwks::list(identity.skipped_keys())
                ));
            }
            match identity {
                Authenticator::Commercetools(way) if way.project_keys.is_empty() => warnings.push(format!(
                    "entrance {name}: identity.project_keys is empty, so users of every commercetools project may come; name yours"
                )),
                Authenticator::ProxyHeaders(_)
                | Authenticator::Bearer(_)
                | Authenticator::AwsAlb(_)
                | Authenticator::AppDirect(_)
                | Authenticator::Commercetools(_)
                | Authenticator::Caf(_) => {}
            }
            if embed.login_url.is_none() {
                warnings.push(format!(
                    "entrance {name}: embed.login_url is empty, so a page that lost its login has no way back; name it"
                ));
            }
            if embed.parents.is_empty() {
                warnings.push(format!(
                    "entrance {name}: embed.parents is empty, so no page may frame the marketplace; name your app's origin"
                ));
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
        // what depends on the environment is read as for the strictest
        let assumed = environment.unwrap_or(Environment::Production);
        let server = server::read(&root.section("server"), environment);
        let log = server::read_log(&root.section("log"));
        let pages = branding::read(&root.section("branding"));
        let entrances = entrances::read(&root, assumed, environment.is_some());
        root.finish();
        let (files, warnings) = problems.into_result()?;

        let config = environment.zip(server).zip(log).zip(entrances).zip(pages);
        let Some(((((environment, server), log), entrances), pages)) = config else {
            // a value was missed without a word; that must not pass for good
            let unsaid = Problem {
                key: "configuration".to_owned(),
                place: None,
                what: "a setting could not be read".to_owned(),
                help: "compare with config/default.toml".to_owned(),
            };
            return Err(Problems { problems: vec![unsaid], files });
        };
        Ok(Self { environment, server, log, entrances, pages, files, warnings, effective, sources: None })
    }
}

fn environment(root: &Section<'_>) -> Option<Environment> {
    let help =
        "set environment = \"production\", \"sandbox\" or \"demo\": the environment whose secret this is";
    root.needed_text("environment", help)?;
    root.choice("environment", &Environment::ALL.map(|environment| (environment.name(), environment)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = r#"
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
    fn the_smallest_configuration_has_an_environment_an_account_and_a_secret() {
        let config = Config::from_toml(SMALLEST).unwrap();
        assert_eq!(config.entrances.len(), 1);
        assert_eq!(config.entrances[0].path, "/pandium-sso");
    }

    #[test]
    fn all_problems_are_told_at_once_with_key_place_and_a_way_out() {
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
    fn an_empty_configuration_says_what_is_needed() {
        insta::assert_snapshot!(problems(""));
    }

    #[test]
    fn production_wants_https() {
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
    fn a_secret_is_never_in_a_problem_nor_in_the_effective_settings() {
        let told = problems("[pandium]\nshared_secret = \"hush-hush\"\nshared_secret_file = \"/nowhere\"");
        assert!(!told.contains("hush-hush"), "{told}");
        let shown = Config::from_toml(SMALLEST).unwrap().effective();
        assert!(shown.contains("shared_secret = \"[hidden]\""), "{shown}");
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
    }

    #[test]
    fn an_address_with_a_password_in_it_is_not_quoted() {
        let told = problems(
            "[pandium]\nbase_url = \"https://u:hush-hush@h\"\n[embed]\nparents = [\"https://u:hush-hush@h\"]",
        );
        assert!(told.contains("pandium.base_url") && told.contains("embed.parents"), "{told}");
        assert!(!told.contains("hush-hush"), "{told}");
    }

    #[test]
    fn an_entrance_has_the_sections_above_unless_it_has_its_own() {
        let config = Config::from_toml(&format!(
            "{SMALLEST}
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
    fn no_two_entrances_meet_and_none_takes_a_fixed_address() {
        let entrance = |name: &str, path: &str| {
            format!(
                "[entrances.{name}]\npath = \"{path}\"\n[entrances.{name}.identity]\nkind = \"proxy_headers\"\npreset = \"vouch\"\ntrusted_proxies = [\"10.0.0.1\"]\n"
            )
        };
        let text = [
            SMALLEST,
            &entrance("a", "/x"),
            &entrance("b", "/x"),
            &entrance("c", "/livez"),
            &entrance("d", "/pandium-sso/install"),
        ]
        .concat();
        insta::assert_snapshot!(problems(&text));
    }

    #[test]
    fn upper_case_in_a_claims_name_is_kept() {
        let config = Config::from_toml(&format!("{SMALLEST}\n[claims.ti.xti]\nextraProp = \"'x'\"")).unwrap();
        assert!(config.effective().contains("extraProp"));
    }

    #[test]
    fn a_list_of_a_later_layer_replaces_that_of_an_earlier_one() {
        let config = Config::from_toml(&format!("{SMALLEST}\nlink_parameters = [\"display\"]")).unwrap();
        assert!(config.effective().contains("link_parameters = [\"display\"]"), "{}", config.effective());
    }
}
