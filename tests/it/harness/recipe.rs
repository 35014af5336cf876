//! The nginx configurations of the documents, run in a real nginx in front of the
//! service. A stand-in for each login backend recognizes users by a session cookie.

use std::fmt::Write;
use std::net::SocketAddr;

use tempfile::TempDir;

use super::nginx::Nginx;
use super::tree::{read, root};
use super::{App, Field, Response, Settings};

/// A documented configuration, a stand-in for its login backend, and the service's
/// settings for it.
#[derive(Clone, Copy)]
pub struct Recipe {
    pub source: Source,
    login_address: &'static str,
    login: &'static str,
    service: &'static str,
    /// The `sub` of the signed-in user.
    pub sub: &'static str,
}

/// Where a configuration is documented.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// The first nginx block of a page.
    Page(&'static str),
    /// The annotations of an Ingress, as the ingress-nginx controller uses them.
    Ingress(&'static str),
}

const OAUTH2_PROXY_LOGIN: &str = r#"
    location = /oauth2/auth {
        if ($email = "") { return 401; }
        add_header X-Auth-Request-Email  $email always;
        add_header X-Auth-Request-Groups $groups always;
        return 202;
    }"#;

pub const OAUTH2_PROXY: Recipe = Recipe {
    source: Source::Page("docs/recipes/nginx-oauth2-proxy.md"),
    login_address: "127.0.0.1:4180",
    login: OAUTH2_PROXY_LOGIN,
    service: "",
    sub: "alice@example.com",
};

pub const INGRESS_NGINX: Recipe = Recipe {
    source: Source::Ingress("deploy/kubernetes/ingress-nginx.yaml"),
    login_address: "oauth2-proxy.marketplace.svc.cluster.local:4180",
    ..OAUTH2_PROXY
};

pub const OWN_SESSIONS: Recipe = Recipe {
    source: Source::Page("docs/recipes/nginx-own-sessions.md"),
    login_address: "127.0.0.1:3000",
    login: r#"
        location = /internal/session {
            if ($email = "") { return 401; }
            add_header X-User-Id     u-1 always;
            add_header X-User-Email  $email always;
            add_header X-User-Groups $groups always;
            return 200;
        }"#,
    service: r#"
        [identity]
        preset = "custom"
        [identity.headers]
        id = "X-User-Id"
        email = "X-User-Email"
        name = "X-User-Name"
        groups = "X-User-Groups"
        attributes.plan = "X-User-Plan"
        [claims]
        sub = "id"
        "#,
    sub: "u-1",
};

pub const VOUCH: Recipe = Recipe {
    source: Source::Page("docs/recipes/nginx-vouch.md"),
    login_address: "127.0.0.1:9090",
    login: r#"
        location = /validate {
            if ($email = "") { return 401; }
            add_header X-Vouch-User              $email always;
            add_header X-Vouch-IdP-Claims-Groups $groups always;
            return 200;
        }"#,
    service: "[identity]\npreset = \"vouch\"\n",
    sub: "alice@example.com",
};

pub const AUTHELIA: Recipe = Recipe {
    source: Source::Page("docs/recipes/authelia.md"),
    login_address: "127.0.0.1:9091",
    login: r#"
        location = /api/authz/auth-request {
            if ($email = "") { return 401; }
            add_header Remote-User   alice always;
            add_header Remote-Email  $email always;
            add_header Remote-Groups $groups always;
            return 200;
        }"#,
    service: "[identity]\npreset = \"authelia\"\n",
    sub: "alice@example.com",
};

pub const AUTHENTIK: Recipe = Recipe {
    source: Source::Page("docs/recipes/authentik.md"),
    login_address: "127.0.0.1:9000",
    login: r#"
        location = /outpost.goauthentik.io/auth/nginx {
            if ($email = "") { return 401; }
            add_header X-authentik-username alice always;
            add_header X-authentik-email    $email always;
            add_header X-authentik-groups   "staff|ops" always;
            return 200;
        }"#,
    service: "[identity]\npreset = \"authentik\"\n",
    sub: "alice@example.com",
};

/// Every recipe.
pub const ALL: &[Recipe] = &[OAUTH2_PROXY, INGRESS_NGINX, OWN_SESSIONS, VOUCH, AUTHELIA, AUTHENTIK];

/// Maps the session cookie to the user.
const COOKIES: &str = r#"
map $cookie_session $email  { alice "alice@example.com"; default ""; }
map $cookie_session $groups { alice "staff,ops"; default ""; }
"#;

/// The backend of nginx that is stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    None,
    Login,
    Service,
}

/// nginx configured by a recipe, in front of a service.
pub struct NginxSetup {
    nginx: Nginx,
    /// The service.
    pub app: App,
}

impl NginxSetup {
    /// Starts a login backend, the service (on TCP) and nginx.
    pub fn start(recipe: Recipe) -> Self {
        Self::start_with(recipe, false, Outage::None)
    }

    /// Starts a setup for each recipe, and one with the service on a Unix socket.
    pub fn start_each() -> impl Iterator<Item = (Recipe, Self)> {
        let by_socket = [(OAUTH2_PROXY, true)].into_iter();
        let all = ALL.iter().map(|recipe| (*recipe, false)).chain(by_socket);
        all.map(|(recipe, by_socket)| (recipe, Self::start_with(recipe, by_socket, Outage::None)))
    }

    /// Like [`Self::start`], without one of the backends.
    pub fn start_without(recipe: Recipe, outage: Outage) -> Self {
        Self::start_with(recipe, false, outage)
    }

    fn start_with(recipe: Recipe, by_socket: bool, outage: Outage) -> Self {
        let folder = TempDir::new().unwrap();
        let dir = folder.path().to_str().unwrap().to_owned();
        let socket = folder.path().join("sso.sock");
        let settings = if by_socket { Settings::on_socket(&socket) } else { Settings::standard() };
        let app = App::start(settings.toml(recipe.service).set("claims.meta.groups", "groups"));
        let service = match outage {
            Outage::Service => format!("unix:{dir}/nothing.sock"),
            _ if by_socket => format!("unix:{dir}/sso.sock"),
            _ => app.address().to_string(),
        };
        let nginx = nginx(recipe, folder, &service, outage);
        Self { nginx, app }
    }

    /// Sends a GET request.
    pub fn get(&self, target: &str, headers: &[Field<'_>]) -> Response {
        self.nginx.get(target, headers)
    }
}

/// nginx configured by a recipe, in front of a server that returns the `Host` of the request.
pub fn start_before_echo_of_host(recipe: Recipe) -> Nginx {
    let folder = TempDir::new().unwrap();
    let echo = format!("unix:{}/echo.sock", folder.path().display());
    nginx(recipe, folder, &echo, Outage::None)
}

/// nginx configured by a recipe, with the documented upstream of two replicas, and the locations of
/// the API and of single-use addresses.
pub fn start_before_replicas(recipe: Recipe, replicas: [SocketAddr; 2]) -> Nginx {
    const ONE: &str = "upstream marketplace_sso { server 127.0.0.1:8080; keepalive 16; }";
    let upstream = block("docs/operating.md", "Several replicas");
    let services = ["10.0.0.11:8080", "10.0.0.12:8080"].into_iter().zip(replicas.map(|own| own.to_string()));
    // the address of the tests, which are clients of a Unix socket
    let locations = block("docs/links.md", "Behind a proxy").replace("10.0.0.0/8", "unix:");
    let recipe_text = documented(recipe.source);
    assert!(recipe_text.contains(ONE));
    let (text, last) = recipe_text.rsplit_once('}').unwrap();
    let text = format!("{}{locations}\n}}{last}", text.replace(ONE, &upstream));
    run(recipe, TempDir::new().unwrap(), &text, services, Outage::None)
}

/// nginx with a configuration like that of a recipe, in front of a service.
pub fn start_written(recipe: Recipe, text: &str, service: SocketAddr) -> Nginx {
    run(recipe, TempDir::new().unwrap(), text, one(service), Outage::None)
}

/// nginx as documented for a service that signs users in itself.
pub fn start_before_sign_in(service: SocketAddr) -> Nginx {
    let text = block("docs/sign-in.md", "Behind a proxy");
    run(OAUTH2_PROXY, TempDir::new().unwrap(), &text, one(service), Outage::None)
}

fn nginx(recipe: Recipe, folder: TempDir, service: &str, outage: Outage) -> Nginx {
    run(recipe, folder, &documented(recipe.source), one(service), outage)
}

/// The address of a single service, by the one that is documented.
fn one(service: impl ToString) -> impl Iterator<Item = (&'static str, String)> {
    std::iter::once(("127.0.0.1:8080", service.to_string()))
}

/// nginx with this text. `services` are the addresses of the service, by those that are documented.
fn run(
    recipe: Recipe,
    folder: TempDir,
    text: &str,
    services: impl Iterator<Item = (&'static str, String)>,
    outage: Outage,
) -> Nginx {
    let dir = folder.path().to_str().unwrap().to_owned();
    let login_socket = if outage == Outage::Login { "other" } else { "login" };
    let mut http = format!(
        "{COOKIES}server {{ listen unix:{dir}/{login_socket}.sock; {} }}\n\
         server {{ listen unix:{dir}/echo.sock; return 200 $http_host; }}\n",
        recipe.login
    );
    let mut text = text
        // nginx requires a colon between the path of a socket and that of a URL
        .replace(&format!("{}/", recipe.login_address), &format!("unix:{dir}/login.sock:/"))
        .replace(recipe.login_address, &format!("unix:{dir}/login.sock"));
    // only now: the port of a service, such as 41802, can begin with that of a login
    for (documented, own) in services {
        assert!(text.contains(documented), "{documented}");
        text = text.replace(documented, &own);
    }
    // a second server of the recipe listens at the same socket, with its own name
    let listening = text.replace("listen 443 ssl;", &format!("listen unix:{dir}/front.sock;"));
    for line in listening.lines().filter(|line| !line.trim_start().starts_with("ssl_certificate")) {
        writeln!(http, "{line}").unwrap();
    }
    Nginx::start(folder, &http)
}

/// The contents of an `http` block, as documented.
fn documented(source: Source) -> String {
    match source {
        Source::Page(file) => first_block(&read(&root().join(file))),
        Source::Ingress(file) => {
            let locations = controller_locations(&read(&root().join(file)));
            format!("server {{\nlisten 443 ssl;\nserver_name app.example.com;\n{locations}\n}}")
        }
    }
}

/// The first nginx block of a section.
fn block(file: &str, heading: &str) -> String {
    let document = read(&root().join(file));
    first_block(document.split_once(&format!("\n## {heading}\n")).unwrap().1)
}

/// The first nginx block of a text.
fn first_block(text: &str) -> String {
    let (_, block) = text.split_once("\n```nginx\n").unwrap();
    block.split("\n```").next().unwrap().to_owned()
}

/// The locations that the ingress-nginx controller generates from two Ingress objects, reduced to
/// the directives of `auth-url` and the snippets.
fn controller_locations(objects: &str) -> String {
    let (entrance, public) = objects.split_once("\n---\n").unwrap();
    let annotation = |name: &str| {
        let (_, after) = entrance.split_once(&format!("nginx.ingress.kubernetes.io/{name}: ")).unwrap();
        match after.strip_prefix("|\n") {
            None => after.lines().next().unwrap().to_owned(),
            Some(block) => {
                let lines = block.lines().take_while(|line| line.starts_with("      "));
                lines.collect::<Vec<_>>().join("\n")
            }
        }
    };
    let mut identity = String::new();
    for (number, name) in annotation("auth-response-headers").split(',').enumerate() {
        let variable = name.to_ascii_lowercase().replace('-', "_");
        write!(
            identity,
            "auth_request_set $authHeader{number} $upstream_http_{variable};\n\
             proxy_set_header '{name}' $authHeader{number};\n"
        )
        .unwrap();
    }
    let mut locations = format!(
        "{}\nlocation = /_external-auth {{ internal; proxy_pass {}; proxy_pass_request_body off; \
         proxy_set_header Content-Length \"\"; }}\n\
         location /pandium-sso {{ auth_request /_external-auth;\n{identity}proxy_set_header Host $host;\n{}\n\
         proxy_pass http://127.0.0.1:8080; }}\n",
        annotation("server-snippet")
            .replace("marketplace-sso.marketplace.svc.cluster.local", "127.0.0.1:8080"),
        annotation("auth-url"),
        annotation("configuration-snippet"),
    );
    let paths = public.lines().filter_map(|line| line.trim_start().strip_prefix("- path: /embed"));
    for path in paths {
        writeln!(
            locations,
            "location = /embed{path} {{ proxy_pass http://127.0.0.1:8080; proxy_set_header Host $host; }}"
        )
        .unwrap();
    }
    locations
}
