//! The service's configuration in the playground, as an operator would write
//! it: the common settings, and the sections of the login proxy.

use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::config::Config;
use crate::settings::Sources;

/// The settings that differ between runs.
pub struct ServiceSettings<'a> {
    /// The service's listen address.
    pub listen: &'a str,
    /// The service's public URL.
    pub public_url: &'a str,
    /// The stand-in marketplace's origin.
    pub marketplace_origin: &'a str,
    /// The secret with which the service signs.
    pub secret: &'a str,
    /// The folder of the service's store.
    pub folder: &'a Path,
    /// The key that encrypts secrets in its store, for mittwald.
    pub encryption_key: Option<&'a str>,
}

/// The expression for the installs that a plan includes, for users with the attribute `plan`.
pub const ALLOWED_INSTALLS: &str =
    "allowed_installs = \"50 if attributes.plan == 'enterprise' else 5 if attributes.plan == 'pro' else 2\"";

/// The plan and its installs by the company's domain, for tokens without a plan.
pub const PLAN_BY_DOMAIN: &str = "\
user_tier = \"{'okafor-cycles.example': 'pro', 'mendes-trading.example': 'enterprise'}[email|split('@')|last]|default('free')\"
allowed_installs = \"{'okafor-cycles.example': 5, 'mendes-trading.example': 50}[email|split('@')|last]|default(2)\"";

/// The account at the stand-in marketplace.
pub const ACCOUNT: &str = "playground";

impl ServiceSettings<'_> {
    /// The whole configuration, including `sections` on identity, claims and embedding.
    pub fn to_toml(&self, sections: impl Display) -> String {
        let Self { listen, public_url, marketplace_origin, secret, folder, encryption_key } = self;
        let store = store_url(folder);
        let encryption_key =
            encryption_key.map(|key| format!("encryption_key = \"{key}\"\n")).unwrap_or_default();
        format!(
            r#"environment = "sandbox"

[server]
listen = "{listen}"
admin_listen = ""
public_url = "{public_url}"
workers = 1
drain_delay_s = 0
shutdown_timeout_s = 1

[pandium]
account = "{ACCOUNT}"
shared_secret = "{secret}"
base_url = "{marketplace_origin}"

[store]
url = {store:?}
{encryption_key}
[audit]
durability = "commit"

{sections}
[log]
format = "text"
"#
        )
    }
}

/// The configuration of the service behind the sample app's login proxy, in a file, so that the
/// service reloads it.
pub struct ServiceFile {
    app_origin: String,
    marketplace_origin: String,
    folder: PathBuf,
}

impl ServiceFile {
    /// The file in a folder.
    pub fn new(app_origin: &str, marketplace_origin: &str, folder: &Path) -> Self {
        Self {
            app_origin: app_origin.to_owned(),
            marketplace_origin: marketplace_origin.to_owned(),
            folder: folder.to_owned(),
        }
    }

    /// The configuration with this secret.
    pub fn to_toml(&self, secret: &str) -> String {
        let settings = ServiceSettings {
            listen: "127.0.0.1:0",
            public_url: &self.app_origin,
            marketplace_origin: &self.marketplace_origin,
            secret,
            folder: &self.folder,
            encryption_key: None,
        };
        settings.to_toml(login_proxy_sections(&self.app_origin))
    }

    /// Writes the configuration with this secret, and replaces the file atomically.
    pub fn write(&self, secret: &str) -> anyhow::Result<()> {
        let newer = self.folder.join("marketplace-sso.toml.new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&newer)?;
        file.write_all(self.to_toml(secret).as_bytes())?;
        fs::rename(&newer, self.path()).context("the service's configuration cannot be replaced")
    }

    /// Reads the configuration as the service does.
    pub fn load(&self) -> anyhow::Result<Config> {
        Config::load(&Sources { files: vec![self.path()], ..Sources::default() })
            .map_err(|problems| anyhow!("the playground's configuration is invalid: {problems}"))
    }

    fn path(&self) -> PathBuf {
        self.folder.join("marketplace-sso.toml")
    }
}

/// The URL of the store in a folder.
pub fn store_url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("marketplace-sso.db").display())
}

/// The sections for the sample app with its login proxy.
pub fn login_proxy_sections(app_origin: &str) -> String {
    format!(
        r#"[identity]
kind = "proxy_headers"
preset = "custom"
trusted_proxies = ["127.0.0.1/32"]

[identity.headers]
id = "X-Auth-Request-User"
email = "X-Auth-Request-Email"
name = "X-Auth-Request-Name"
username = "X-Auth-Request-Preferred-Username"
groups = "X-Auth-Request-Groups"
organization.id = "X-Auth-Request-Organization-Id"
organization.name = "X-Auth-Request-Organization-Name"
attributes.plan = "X-Auth-Request-Plan"
attributes.installed = "X-Auth-Request-Installed"
attributes.hidden = "X-Auth-Request-Hidden"

[claims]
sub = "email"
external_id = "id"

[claims.meta]
username = "username"
groups = "groups"

[claims.ti]
uem = "email"
ufn = "name"
udn = "name"
aid = "organization.id"
adn = "organization.name"
ili = "attributes.installed|split(',')|list if attributes.installed else []"

[claims.ti.xti]
user_tier = "attributes.plan"
hidden_integrations = "attributes.hidden|split(',')|list if attributes.hidden else []"
{ALLOWED_INSTALLS}

[embed]
parents = ["{app_origin}"]
policy = "enforce"
login_url = "{app_origin}/login?then=close"
"#
    )
}
