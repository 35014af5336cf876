//! What to write to correct a finding, in the language of the proxy in front.

use url::Host;

/// A proxy in front of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// nginx
    Nginx,
    /// Caddy
    Caddy,
    /// Apache
    Apache,
    /// HAProxy
    Haproxy,
    /// Traefik
    Traefik,
}

/// How to correct a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The proxy overwrites these identity headers on every request.
    Overwrite(Vec<String>),
    /// The proxy passes on requests of users who are signed out.
    PassSignedOut,
    /// The proxy passes on requests of the sign-in, without a login.
    PassSignIn,
    /// The proxy passes on requests for the component.
    PassComponent,
    /// The proxy does not pass on requests for health and metrics.
    HideInternalPaths,
    /// The proxy adds `Strict-Transport-Security`.
    StrictTransportSecurity,
    /// The proxy has larger buffers for headers.
    Buffers,
    /// The page sends this header field; its sources are added to those that the page sends
    /// already.
    Header(String),
    /// The service's configuration contains this line.
    Setting(String),
    /// A self-signed certificate for this host is made by this command; for tests.
    Certificate(Host),
}

impl Front {
    /// All fronts.
    pub const ALL: [Self; 5] = [Self::Nginx, Self::Caddy, Self::Apache, Self::Haproxy, Self::Traefik];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Apache => "apache",
            Self::Haproxy => "haproxy",
            Self::Traefik => "traefik",
        }
    }
}

impl Remedy {
    /// What to write. `None` if the proxy is unknown, or needs no change.
    pub fn snippet(&self, front: Option<Front>) -> Option<String> {
        match self {
            Self::Header(field) => Some(field.clone()),
            Self::Setting(text) => Some(text.clone()),
            Self::Certificate(host) => Some(certificate(host)),
            Self::Overwrite(names) => front.map(|front| overwrite(front, names)),
            Self::PassSignedOut => front.map(|front| pass_signed_out(front).to_owned()),
            Self::PassSignIn => front.map(|front| pass_sign_in(front).to_owned()),
            Self::PassComponent => front.map(|front| pass_component(front).to_owned()),
            Self::HideInternalPaths => front.map(|front| hide_internal_paths(front).to_owned()),
            Self::StrictTransportSecurity => front.map(|front| strict_transport_security(front).to_owned()),
            Self::Buffers => buffers(front?).map(str::to_owned),
        }
    }
}

fn certificate(host: &Host) -> String {
    let name = match host {
        Host::Domain(name) => format!("DNS:{name}"),
        Host::Ipv4(ip) => format!("IP:{ip}"),
        Host::Ipv6(ip) => format!("IP:{ip}"),
    };
    format!(
        "# for a test; users need the certificate of an authority that their browsers trust\n\
         openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 \\\n  \
           -subj /CN=marketplace-sso -addext subjectAltName={name} \\\n  \
           -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem"
    )
}

fn overwrite(front: Front, names: &[String]) -> String {
    let (comment, line): (_, fn(&str) -> String) = match front {
        Front::Nginx => (
            "# in each location that passes the entrance on: the login's value, or \"\" where there is none",
            |name| format!("proxy_set_header {name} \"\";"),
        ),
        Front::Caddy => ("# in a route block, before forward_auth", |name| format!("request_header -{name}")),
        Front::Apache => ("# in the virtual host", |name| format!("RequestHeader unset {name} early")),
        Front::Haproxy => ("# in the frontend", |name| format!("http-request del-header {name}")),
        Front::Traefik => {
            ("# customRequestHeaders of the entrance's first middleware", |name| format!("{name}: \"\""))
        }
    };
    let lines = names.iter().map(|name| line(name));
    std::iter::once(comment.to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

const fn pass_signed_out(front: Front) -> &'static str {
    match front {
        Front::Nginx => {
            "# in the entrance's location; @signed_out passes the request on with empty identity headers\n\
             error_page 401 403 = @signed_out;"
        }
        Front::Caddy => {
            "# in forward_auth\n\
             @signed_out status 302 303 401 403\n\
             handle_response @signed_out {\n\
             \trequest_header -X-Auth-Request-Email\n\
             }"
        }
        Front::Apache => "# in the entrance's Location\nOIDCUnAuthAction pass",
        Front::Haproxy | Front::Traefik => {
            "# oauth2-proxy\nskip_auth_routes = [\"^/pandium-sso(/install/[^/]+)?$\"]"
        }
    }
}

const fn pass_sign_in(front: Front) -> &'static str {
    match front {
        Front::Nginx => {
            "location /auth/ {\n    \
                 auth_request off;\n    \
                 proxy_pass http://127.0.0.1:8080;\n    \
                 proxy_set_header Host $host;\n\
             }"
        }
        Front::Caddy => {
            "# before forward_auth\n\
             handle /auth/* {\n\
             \treverse_proxy 127.0.0.1:8080\n\
             }"
        }
        Front::Apache => {
            "<Location \"/auth/\">\n    \
                 AuthType None\n    \
                 Require all granted\n    \
                 ProxyPass \"http://127.0.0.1:8080/auth/\"\n\
             </Location>"
        }
        Front::Haproxy => {
            "acl sign_in path_beg /auth/\n\
             use_backend marketplace_sso if sign_in"
        }
        Front::Traefik => {
            "# a router without the login's middleware\nrule: Host(`…`) && PathPrefix(`/auth/`)"
        }
    }
}

const fn pass_component(front: Front) -> &'static str {
    match front {
        Front::Nginx => {
            "location ~ ^/embed(\\.[0-9a-z]+)*$ {\n    \
                 proxy_pass http://127.0.0.1:8080;\n    \
                 proxy_set_header Host $host;\n\
             }"
        }
        Front::Caddy => {
            "@embed path_regexp ^/embed(\\.[0-9a-z]+)*$\n\
             handle @embed {\n\
             \treverse_proxy 127.0.0.1:8080\n\
             }"
        }
        Front::Apache => "ProxyPassMatch \"^(/embed(\\.[0-9a-z]+)*)$\" \"http://127.0.0.1:8080$1\"",
        Front::Haproxy => {
            "acl component path_reg ^/embed(\\.[0-9a-z]+)*$\n\
             use_backend marketplace_sso if component"
        }
        Front::Traefik => "rule: Host(`…`) && PathRegexp(`^/embed(\\.[0-9a-z]+)*$`)",
    }
}

const fn hide_internal_paths(front: Front) -> &'static str {
    match front {
        Front::Nginx => "location ~ ^/(metrics|livez|readyz|healthz)$ { return 404; }",
        Front::Caddy => "@internal path /metrics /livez /readyz /healthz\nrespond @internal 404",
        Front::Apache => "RedirectMatch 404 \"^/(metrics|livez|readyz|healthz)$\"",
        Front::Haproxy => "http-request return status 404 if { path /metrics /livez /readyz /healthz }",
        Front::Traefik => "# only these paths\nrule: Host(`…`) && PathPrefix(`/pandium-sso`)",
    }
}

const fn strict_transport_security(front: Front) -> &'static str {
    match front {
        Front::Nginx => "add_header Strict-Transport-Security \"max-age=31536000\" always;",
        Front::Caddy => "header Strict-Transport-Security \"max-age=31536000\"",
        Front::Apache => "Header always set Strict-Transport-Security \"max-age=31536000\"",
        Front::Haproxy => "http-response set-header Strict-Transport-Security \"max-age=31536000\"",
        Front::Traefik => "headers:\n  stsSeconds: 31536000",
    }
}

/// `None` for proxies whose default is enough: Caddy and Traefik buffer headers of any size, and
/// Apache's limit is far above any hand-off.
const fn buffers(front: Front) -> Option<&'static str> {
    match front {
        Front::Nginx => {
            Some("proxy_buffer_size       8k;\nproxy_buffers           8 8k;\nproxy_busy_buffers_size 16k;")
        }
        Front::Haproxy => Some("# global\ntune.bufsize 32768"),
        Front::Caddy | Front::Apache | Front::Traefik => None,
    }
}
