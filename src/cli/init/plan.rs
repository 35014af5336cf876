//! The files that `init` writes, from the answers to its questions. Pure, except for the random
//! secrets.

use std::path::{Path, PathBuf};

use super::login::Login;
use super::platform::Platform;
use crate::config::placeholders::REPLACE_ME;
use crate::pandium::{Account, Environment};

/// What the files depend on.
#[derive(Debug)]
pub(super) struct Answers {
    /// The host of the application.
    pub domain: String,
    pub environment: Environment,
    pub account: Account,
    pub login: &'static Login,
    /// The known values of settings of `[identity]` for which the login's example has a
    /// placeholder: key and value.
    pub identity: Vec<(&'static str, String)>,
    pub platforms: Vec<Platform>,
}

/// A file to write.
#[derive(Debug)]
pub(super) struct PlannedFile {
    pub path: PathBuf,
    /// What it is, in a few words.
    pub purpose: &'static str,
    pub content: Content,
}

/// The content of a file.
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    /// Random text, in a file that only its owner can read.
    Secret {
        /// Whether the text is marked as a placeholder, because the real secret has an issuer.
        is_trial: bool,
    },
}

/// A secret that a configuration names.
struct SecretFile {
    /// The path in the examples.
    example: &'static str,
    name: &'static str,
    purpose: &'static str,
    /// Who issues the secret; `None` if the random text can stay.
    issuer: Option<&'static str>,
}

const SECRETS: [SecretFile; 6] = [
    SecretFile {
        example: "/run/secrets/pandium",
        name: "pandium.secret",
        purpose: "the key that signs tokens",
        issuer: Some("Pandium"),
    },
    SecretFile {
        example: "/mnt/sso/pandium",
        name: "pandium.secret",
        purpose: "the key that signs tokens",
        issuer: Some("Pandium"),
    },
    SecretFile {
        example: "/run/secrets/oidc",
        name: "oidc.secret",
        purpose: "the client's secret at the OpenID provider",
        issuer: Some("the OpenID provider"),
    },
    SecretFile {
        example: "/run/secrets/caf",
        name: "caf.secret",
        purpose: "the secret that CAF signs with",
        issuer: Some("CAF"),
    },
    SecretFile {
        example: "/run/secrets/session",
        name: "session.key",
        purpose: "seals the sessions of users",
        issuer: None,
    },
    SecretFile {
        example: "/run/secrets/store",
        name: "store.key",
        purpose: "encrypts secrets in the store",
        issuer: None,
    },
];

/// The name of the configuration.
pub(super) const CONFIG: &str = "marketplace-sso.toml";

/// The name of the page's snippet.
pub(super) const PAGE: &str = "page.html";

/// The start of a comment after a value that has to be replaced.
const REPLACE: &str = "# replace:";

/// The admin listener's default. It is written to the file, because its port may be in use and has
/// to be changed then.
const ADMIN_LISTEN: &str =
    "admin_listen = \"127.0.0.1:9090\"   # health, metrics and the dashboard; \"\" for none";

/// The user's identifier, which cannot be changed later.
const SUBJECT: &str = "
# [claims]
# sub = \"email\"   # never changes after the first real user; see docs/claims.md
";

/// The name of oauth2-proxy's configuration.
const OAUTH2_PROXY: &str = "oauth2-proxy.cfg";

/// The settings of oauth2-proxy that only the user knows, each with what to write.
const OF_OAUTH2_PROXY: [(&str, &str); 5] = [
    ("oidc_issuer_url", "the provider's issuer"),
    ("client_id", "the client that you register there"),
    ("client_secret_file", "a file with the client's secret"),
    ("cookie_secret_file", "a file with the output of: openssl rand -hex 16 | tr -d '\\n'"),
    ("email_domains", "guessed from the host name: the domains of your users' addresses"),
];

/// The script of a page that sends a token.
const TOKEN_SCRIPT: &str = "
<!-- A script of the page gives a token of its user, from your backend or your OpenID client. It is called again, with
     { refresh: true }, once the token has expired:
     document.querySelector(\"marketplace-frame\").tokenProvider = async () => (await fetch(\"/api/token\")).text(); -->
";

/// Everything to write, and what the user has to do then.
#[derive(Debug)]
pub(super) struct Plan {
    pub files: Vec<PlannedFile>,
    /// The files whose random text is to be replaced, each with who issues the real secret.
    pub issued_secrets: Vec<(PathBuf, &'static str)>,
    /// The keys of the configuration whose values are to be replaced.
    pub to_replace: Vec<String>,
    /// The address of the admin listener.
    pub admin_listen: String,
    /// What to do with the proxy's files.
    pub proxy_step: String,
    /// The origin by which browsers reach the service.
    pub service_origin: String,
}

impl Answers {
    /// The files to write into this folder, whose path is absolute.
    pub fn plan(&self, folder: &Path) -> Plan {
        let Login { snippets, service_host, step, .. } = self.login;
        let mut config = self.config(folder);
        let mut files = Vec::new();
        let mut issued_secrets = Vec::new();
        for secret in &SECRETS {
            let example = quoted(secret.example);
            if !config.contains(&example) {
                continue;
            }
            let path = folder.join(secret.name);
            config = config.replace(&example, &quoted(&path.display().to_string()));
            issued_secrets.extend(secret.issuer.map(|issuer| (path.clone(), issuer)));
            files.push(PlannedFile {
                path,
                purpose: secret.purpose,
                content: Content::Secret { is_trial: secret.issuer.is_some() },
            });
        }
        let (to_replace, admin_listen) = (to_replace(&config), admin_listen(&config));
        let text = |name: &str, purpose, text| PlannedFile {
            path: folder.join(name),
            purpose,
            content: Content::Text(text),
        };
        files.insert(0, text(CONFIG, "the service's configuration", config));
        for (name, snippet) in *snippets {
            let purpose =
                if self.login.is_without_proxy() { "for the proxy" } else { "for the proxy and its login" };
            files.push(text(name, purpose, self.snippet(name, snippet)));
        }
        let service_origin = format!("https://{}", self.adapted(service_host));
        files.push(text(PAGE, "for your page", self.page(&service_origin)));
        let mut proxy_step = self.adapted(step);
        if snippets.iter().any(|(name, _)| is_nginx(name)) {
            proxy_step.push_str(
                ". If nginx has a server for this host already, copy the upstreams and locations into that one: \
                 nginx ignores the second",
            );
        }
        if snippets.iter().any(|(name, _)| *name == OAUTH2_PROXY) {
            proxy_step.push_str(&oauth2_proxy_step());
        }
        let prefixes: Vec<&str> = self.platforms.iter().map(|platform| platform.proxied_prefix()).collect();
        if !prefixes.is_empty() && !snippets.iter().any(|(name, _)| is_nginx(name)) {
            proxy_step
                .push_str(&format!(". Also pass {} on to the service, without a login", prefixes.join(", ")));
        }
        Plan { files, issued_secrets, to_replace, admin_listen, proxy_step, service_origin }
    }

    fn config(&self, folder: &Path) -> String {
        // the comment at the top of an example concerns only the documents
        let is_header = |line: &&str| line.starts_with('#') || line.is_empty();
        // adapted before the user's values are inserted, since these may contain text that is
        // replaced
        let example = self.adapted(self.login.config);
        let mut example: Vec<String> =
            example.lines().skip_while(is_header).map(|line| self.filled(line)).collect();
        if !self.login.config.contains("admin_listen = ")
            && let Some(listen) = example.iter().position(|line| line.starts_with("listen = "))
        {
            example.insert(listen + 1, ADMIN_LISTEN.to_owned());
        }
        let account = format!("account = {:?}", self.account.as_str());
        let environment = format!("environment = {:?}", self.environment.name());
        let body = example.join("\n").replace("account = \"acme\"", &account);
        let body = Environment::ALL.iter().fold(body, |body, other| {
            body.replace(&format!("environment = {:?}", other.name()), &environment)
        });
        let mut config = format!(
            "# Written by marketplace-sso init, for {}.\n\
             # Every other setting has a default: marketplace-sso check --show --config {CONFIG}\n\n{body}\n",
            self.login.title
        );
        if !body.contains("[claims]") {
            config.push_str(SUBJECT);
        }
        for platform in &self.platforms {
            config.push_str(&platform.config());
        }
        let database = format!("sqlite:{}", folder.join("marketplace-sso.db").display());
        let store = format!("url = {}", quoted(&database));
        let config = config.replace("url = \"sqlite:marketplace-sso.db\"", &store);
        if !self.platforms.contains(&Platform::Mittwald) {
            return config;
        }
        let key = "encryption_key_file = \"/run/secrets/store\"";
        if config.contains("[store]") {
            config.replace(&store, &format!("{store}\n{key}"))
        } else {
            format!("{config}\n[store]\n{store}\n{key}\n")
        }
    }

    /// A line of the login's example, with the user's value in place of the example's, or with an
    /// obvious placeholder if the value is not known.
    fn filled(&self, line: &str) -> String {
        let Some((assignment, comment)) = line.split_once(REPLACE) else { return line.to_owned() };
        let Some((key, example)) = assignment.split_once(" = ") else { return line.to_owned() };
        let value = match self.identity.iter().find(|(own, _)| *own == key) {
            Some((_, value)) => return format!("{key} = {}", quoted(value)),
            None if example.starts_with("\"https:") => "https://replace-me.invalid",
            None => REPLACE_ME,
        };
        // keeps the comments aligned
        let width = assignment.len();
        format!("{:<width$}{REPLACE}{comment}", format!("{key} = {value:?} "))
    }

    /// A snippet for this domain. That for nginx has the entrances of the platforms, too.
    fn snippet(&self, name: &str, text: &str) -> String {
        const SERVER_NAME: &str = "    server_name app.example.com;\n";
        if name == OAUTH2_PROXY {
            return marked(&self.adapted(text));
        }
        if !is_nginx(name) {
            return self.adapted(text);
        }
        let locations: String = self
            .platforms
            .iter()
            .map(|platform| {
                format!(
                    "\n    location {} {{\n        proxy_pass http://127.0.0.1:8080;\n        \
                     proxy_set_header Host $host;\n    }}\n",
                    platform.proxied_prefix()
                )
            })
            .collect();
        self.adapted(&text.replacen(SERVER_NAME, &format!("{SERVER_NAME}{locations}"), 1))
    }

    /// What the page that shows the marketplace contains.
    fn page(&self, service: &str) -> String {
        let marketplace = self.environment.base_url();
        let script = if self.login.is_by_token() { TOKEN_SCRIPT } else { "" };
        format!(
            "<!-- In the page of https://{} that shows the marketplace. -->\n\
             <script type=\"module\" src=\"{service}/embed.js\"></script>\n\
             <marketplace-frame entrance=\"/pandium-sso\"></marketplace-frame>\n{script}\n\
             <!-- If the page has a Content-Security-Policy, it needs:\n     \
             frame-src {service} {marketplace}; script-src {service}; connect-src {service} -->\n",
            self.domain
        )
    }

    /// A text of the documents, for this domain.
    fn adapted(&self, text: &str) -> String {
        /// A temporary replacement for the domain, which may contain text that is replaced next.
        const DOMAIN: &str = "\u{1}";
        let registrable = psl::domain_str(&self.domain).unwrap_or(&self.domain);
        text.replace("app.example.com", DOMAIN)
            .replace("example.com", registrable)
            .replace(DOMAIN, &self.domain)
    }
}

/// The configuration of oauth2-proxy, whose values to replace are marked.
fn marked(text: &str) -> String {
    let mut marked = String::new();
    for line in text.lines() {
        let key = line.split([' ', '=']).next();
        let setting = OF_OAUTH2_PROXY.iter().find(|(own, _)| Some(*own) == key);
        marked.push_str(line);
        if let Some((_, by)) = setting {
            marked.push_str(&format!("   {REPLACE} {by}"));
        }
        marked.push('\n');
    }
    marked
}

fn oauth2_proxy_step() -> String {
    let keys = OF_OAUTH2_PROXY.map(|(key, _)| key).join(", ");
    format!(
        ". In {OAUTH2_PROXY}, replace {keys} (guessed from the host name); make the cookie's secret with: openssl rand \
         -hex 16 | tr -d '\\n'"
    )
}

/// The keys of the values to replace.
fn to_replace(config: &str) -> Vec<String> {
    let mut section = "";
    let mut keys = Vec::new();
    for line in config.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.split_once(" = ")
            && line.contains(REPLACE)
        {
            keys.push(format!("{section}.{key}"));
        }
    }
    keys
}

fn admin_listen(config: &str) -> String {
    let value = config.lines().find_map(|line| line.strip_prefix("admin_listen = \"")?.split('"').next());
    value.unwrap_or_default().to_owned()
}

/// A string as TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn is_nginx(name: &str) -> bool {
    name == "nginx.conf"
}
