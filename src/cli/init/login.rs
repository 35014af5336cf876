//! The logins that `init` knows. Their configurations and proxy snippets are those of the documents:
//! tests load them, and run those of nginx.

/// A login that stands in front of the service, or the service's own.
#[derive(Debug)]
pub(super) struct Login {
    /// The value of `--login`.
    pub name: &'static str,
    /// What it is, for the list of choices.
    pub title: &'static str,
    /// The host by which browsers reach the service, as written in the example.
    pub service_host: &'static str,
    /// The configuration of the service.
    pub config: &'static str,
    /// The files for the proxy and the login: name and content.
    pub snippets: &'static [(&'static str, &'static str)],
    /// What to do with them.
    pub step: &'static str,
}

/// A setting of `[identity]` whose value only the user knows.
#[derive(Debug)]
pub(super) struct ToSet {
    /// Its name.
    pub key: &'static str,
    /// The argument for its value.
    pub flag: &'static str,
    /// The question for its value.
    pub question: &'static str,
    /// Whether it is an https URL.
    pub is_url: bool,
}

/// In the order of the questions.
pub(super) const TO_SET: [ToSet; 4] = [
    ToSet {
        key: "issuer",
        flag: "--issuer",
        question: "Issuer, exactly as its discovery document or its tokens have it, such as https://id.example.com",
        is_url: true,
    },
    ToSet {
        key: "client_id",
        flag: "--client-id",
        question: "Id of the client that you register at the provider",
        is_url: false,
    },
    ToSet {
        key: "audience",
        flag: "--audience",
        question: "Audience (aud) of the tokens for this service",
        is_url: false,
    },
    ToSet { key: "jwks_url", flag: "--jwks-url", question: "URL of the issuer's keys (JWKS)", is_url: true },
];

impl Login {
    /// Whether its configuration has this setting.
    pub fn has(&self, setting: &ToSet) -> bool {
        self.config.contains(&format!("\n{} = ", setting.key))
    }

    /// Whether no login proxy is in front of the service.
    pub fn is_without_proxy(&self) -> bool {
        self.name == OIDC || self.is_by_token()
    }

    /// Whether the page sends a token.
    pub fn is_by_token(&self) -> bool {
        self.name == BEARER
    }
}

macro_rules! example {
    ($name:literal) => {
        include_str!(concat!("../../../docs/examples/", $name))
    };
}

const APP: &str = "app.example.com";
const NGINX: &str = "nginx.conf";
const OIDC: &str = "oidc";
const BEARER: &str = "bearer";

/// In the order of the list of choices.
pub(super) const ALL: &[Login] = &[
    Login {
        name: OIDC,
        title: "no login proxy: the service signs users in at an OpenID provider",
        service_host: APP,
        config: example!("oidc.toml"),
        snippets: &[(NGINX, example!("oidc.conf"))],
        step: "Register https://app.example.com/auth/pandium-sso/callback as redirect URI at the provider. Set the \
               certificate's paths in nginx.conf, include it inside http { … } of nginx, and reload nginx",
    },
    Login {
        name: BEARER,
        title: "no login proxy: your page sends a signed token (JWT), verified with the keys of a JWKS URL",
        service_host: APP,
        config: example!("bearer.toml"),
        snippets: &[(NGINX, example!("oidc.conf"))],
        step: "Have your page get a token of its user, as page.html shows. Set the certificate's paths in nginx.conf, \
               include it inside http { … } of nginx, and reload nginx",
    },
    Login {
        name: "nginx-own-session",
        title: "nginx and your application's own sessions",
        service_host: APP,
        config: example!("nginx-own-session.toml"),
        snippets: &[(NGINX, example!("nginx-own-session.conf"))],
        step: "Have your application respond at /internal/session with 200 and X-User-… headers, or 401. Set its \
               address and the certificate's paths in nginx.conf, include it inside http { … } of nginx, and \
               reload nginx",
    },
    Login {
        name: "nginx-oauth2-proxy",
        title: "nginx and oauth2-proxy",
        service_host: APP,
        config: example!("nginx-oauth2-proxy.toml"),
        snippets: &[
            (NGINX, example!("nginx-oauth2-proxy.conf")),
            ("oauth2-proxy.cfg", example!("nginx-oauth2-proxy.cfg")),
        ],
        step: "Set the provider in oauth2-proxy.cfg and the certificate's paths in nginx.conf; start oauth2-proxy, \
               include nginx.conf inside http { … } of nginx, and reload nginx",
    },
    Login {
        name: "nginx-vouch",
        title: "nginx and vouch",
        service_host: APP,
        config: example!("vouch.toml"),
        snippets: &[(NGINX, example!("vouch.conf")), ("vouch.yaml", example!("vouch.yaml"))],
        step: "Set the provider in vouch.yaml and the certificate's paths in nginx.conf; start vouch, include \
               nginx.conf inside http { … } of nginx, and reload nginx",
    },
    Login {
        name: "nginx-authelia",
        title: "nginx and Authelia",
        service_host: APP,
        config: example!("authelia.toml"),
        snippets: &[(NGINX, example!("authelia.conf")), ("authelia.yaml", example!("authelia.yaml"))],
        step: "Merge authelia.yaml into Authelia's configuration. Set the certificate's paths in nginx.conf, include \
               it inside http { … } of nginx, and reload nginx",
    },
    Login {
        name: "nginx-authentik",
        title: "nginx and authentik",
        service_host: APP,
        config: example!("authentik.toml"),
        snippets: &[(NGINX, example!("authentik.conf"))],
        step: "Create a proxy provider in authentik (forward auth, single application). Set the certificate's paths \
               in nginx.conf, include it inside http { … } of nginx, and reload nginx",
    },
    Login {
        name: "oauth2-proxy",
        title: "oauth2-proxy as the reverse proxy",
        service_host: APP,
        config: example!("oauth2-proxy.toml"),
        snippets: &[("oauth2-proxy.cfg", example!("oauth2-proxy.cfg"))],
        step: "Set the provider, your application's address and the certificate's paths in oauth2-proxy.cfg, and \
               start oauth2-proxy with it",
    },
    Login {
        name: "haproxy",
        title: "HAProxy and oauth2-proxy",
        service_host: APP,
        config: example!("haproxy.toml"),
        snippets: &[
            ("haproxy.cfg", example!("haproxy.cfg")),
            ("oauth2-proxy.cfg", example!("oauth2-proxy.cfg")),
        ],
        step: "Set the provider in oauth2-proxy.cfg; in place of https_address, tls_… and reverse_proxy write \
               http_address = \"127.0.0.1:4180\", reverse_proxy = true and trusted_proxy_ips = [\"127.0.0.1/32\"]. \
               Start HAProxy with haproxy.cfg",
    },
    Login {
        name: "traefik",
        title: "Traefik and oauth2-proxy",
        service_host: APP,
        config: example!("traefik.toml"),
        snippets: &[
            ("traefik-dynamic.yaml", example!("traefik.yaml")),
            ("oauth2-proxy.cfg", example!("nginx-oauth2-proxy.cfg")),
        ],
        step: "Set the provider in oauth2-proxy.cfg, your application's address and the certificate's paths in \
               traefik-dynamic.yaml, and name that file in Traefik's static configuration (providers.file)",
    },
    Login {
        name: "caddy",
        title: "Caddy and oauth2-proxy",
        service_host: APP,
        config: example!("caddy-oauth2-proxy.toml"),
        snippets: &[
            ("Caddyfile", example!("caddy-oauth2-proxy.caddyfile")),
            ("oauth2-proxy.cfg", example!("nginx-oauth2-proxy.cfg")),
        ],
        step: "Set the provider in oauth2-proxy.cfg and your application's address in Caddyfile; start oauth2-proxy, \
               and Caddy 2.10 or newer with it",
    },
    Login {
        name: "apache",
        title: "Apache and mod_auth_openidc",
        service_host: APP,
        config: example!("apache-openidc.toml"),
        snippets: &[("apache.conf", example!("apache-openidc.conf"))],
        step: "Set the provider, its secrets and the certificate's paths in apache.conf, include it, and reload Apache",
    },
    Login {
        name: "cloudflare",
        title: "Cloudflare Tunnel, nginx and oauth2-proxy",
        service_host: APP,
        config: example!("cloudflare-tunnel.toml"),
        snippets: &[
            ("cloudflared.yaml", example!("cloudflare-tunnel.yaml")),
            (NGINX, example!("nginx-oauth2-proxy.conf")),
            ("oauth2-proxy.cfg", example!("nginx-oauth2-proxy.cfg")),
        ],
        step: "Set the tunnel's id in cloudflared.yaml, the provider in oauth2-proxy.cfg and the certificate's paths \
               in nginx.conf; include it inside http { … } of nginx, and start all three",
    },
    Login {
        name: "tailscale",
        title: "Tailscale Serve",
        service_host: "sso.example-tailnet.ts.net",
        config: example!("tailscale.toml"),
        snippets: &[("tailscale.sh", example!("tailscale.sh"))],
        step: "Write this machine's name in your tailnet as server.public_url, and run tailscale.sh on a machine \
               that runs nothing else",
    },
    Login {
        name: "azure",
        title: "Azure App Service",
        service_host: "sso.example.com",
        config: example!("azure-app-service.toml"),
        snippets: &[("azure-app-service.sh", example!("azure-app-service.sh"))],
        step: "Put marketplace-sso.toml (as azure-app-service.toml) and the secret on the mounted share, set \
               pandium.shared_secret_file to its path there, /mnt/sso/pandium, and run the commands of \
               azure-app-service.sh with your names",
    },
];

/// The login of this name.
pub(super) fn find(name: &str) -> Option<&'static Login> {
    ALL.iter().find(|login| login.name == name)
}
