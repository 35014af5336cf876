// Starts the hosts of a test file: the real program (once for each
// configuration), the app and the marketplace, all behind a real nginx with TLS.
//
//   app.example.test, sso.example.test …   one site: the app, the service
//   market.other.test                      the marketplace
//   evil.test, sso.elsewhere.test …        further sites
//   id.provider.test                       the OpenID provider

import { execFile, spawn as spawnProcess } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach } from "node:test";
import { promisify } from "node:util";
import { startApp } from "./app.js";
import { startMarketplace } from "./marketplace.js";
import { CLIENT_SECRET, ISSUER, startProvider, startProxy } from "./provider.js";
import { inTime } from "./waiting.js";

export const ROOT = new URL("../../../", import.meta.url);
export const PROGRAM = process.env.MARKETPLACE_SSO ?? new URL("target/debug/marketplace-sso", ROOT).pathname;
export const SECRET = "the-secret-of-the-browser-suite-0123456789abcdef";
export const APP = "https://app.example.test";
export const SSO = "https://sso.example.test";
export const MARKET = "https://market.other.test";

/**
 * Starts everything. `services` has the hosts of the program, each with its configuration's differences; `more`
 * are further hosts of the app. With `signsIn`, the services sign users in at an OpenID provider themselves; else
 * the app does.
 */
export async function startHosts({ services = { "sso.example.test": "" }, more = ["evil.test", "other.example.test"], signsIn } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "marketplace-sso-browser-"));
  const closing = [() => rm(folder, { recursive: true, force: true })];
  after(async () => {
    for (const close of closing.reverse()) await close();
  });
  await writeFile(join(folder, "secret"), SECRET);
  await writeFile(join(folder, "session"), `the-key-of-sessions-${SECRET}`);

  const app = await startApp(join(folder, "app.sock"));
  const market = await startMarketplace(join(folder, "market.sock"));
  closing.push(app.close, market.close);
  const certificate = await makeCertificate(folder);
  let port;
  let provider;
  let signing;
  if (signsIn) {
    const reach = async () => ({ host: "127.0.0.1", port, ca: await readFile(join(folder, "certificate.pem")) });
    provider = await startProvider(join(folder, "provider.sock"), Object.keys(services), reach);
    const proxy = await startProxy(() => port);
    closing.push(provider.close, proxy.close);
    signing = { HTTPS_PROXY: proxy.url, ...(await makeClock(folder)) };
  }
  const running = await Promise.all(
    Object.entries(services).map(([host, toml]) => startService(folder, host, toml, closing, signing)),
  );
  const blocks = await recipe();
  const isService = (host) => host in services;
  const servers = [
    ...Object.keys(services).map((host, n) => (signsIn
      ? plain(host, `${folder}/${host}.sock`)
      : blocks(host, n, `unix:${folder}/${host}.sock`, `unix:${folder}/app.sock`))),
    ...["app.example.test", ...more].filter((host) => !isService(host)).map((host) => plain(host, `${folder}/app.sock`)),
    plain("market.other.test", `${folder}/market.sock`),
    ...(signsIn ? [plain(new URL(ISSUER).host, `${folder}/provider.sock`)] : []),
  ];
  port = await startNginx(folder, servers.join("\n"), closing);
  /** Sets the services' clock ahead by this many seconds. They map the file, so it is never truncated. */
  const setClock = (ahead_s) => writeFile(join(folder, "offset"), new BigInt64Array([BigInt(ahead_s)]), { flag: "r+" });
  // what a failed test has changed would fail the next one
  afterEach(async () => {
    for (const host of [app, market, provider]) host?.reset();
    if (signsIn) await setClock(0);
  });
  return { app, market, provider, setClock, services: Object.fromEntries(running.map((one) => [one.host, one])), port, certificate, folder };
}

/** The first block of code below a heading of a document; without a heading, the first of the document. */
export async function documented(file, heading, language) {
  const text = await readFile(new URL(`docs/${file}`, ROOT), "utf8");
  const section = heading ? text.split(`\n## ${heading}\n`)[1] : text;
  return section.split(`\n\`\`\`${language}\n`)[1].split("\n```")[0];
}

/**
 * The nginx block of docs/recipes/nginx-own-sessions.md and the locations of docs/links.md, with other names and
 * addresses.
 */
async function recipe() {
  const block = await documented("recipes/nginx-own-sessions.md", null, "nginx");
  const links = (await documented("links.md", "Behind a proxy", "nginx")).replace("10.0.0.0/8", "127.0.0.1");
  return (host, n, service, app) =>
    block
      .replace("listen 443 ssl;", "listen PORT ssl;")
      .replaceAll(/ssl_certificate.*\n/g, "")
      .replaceAll("app.example.com", host)
      .replace("127.0.0.1:8080", service)
      .replace("127.0.0.1:3000", app)
      .replaceAll("marketplace_sso", `marketplace_sso_${n}`)
      .replaceAll(/\bapplication\b/g, `application_${n}`)
      .replace(/}\s*$/, `
    # entrances whose users bring a token
    location /by-token/ {
        proxy_pass http://marketplace_sso_${n};
        proxy_set_header Host $host;
    }
${links.replaceAll("marketplace_sso", `marketplace_sso_${n}`)}
}`);
}

const plain = (host, socket) => `server {
  listen PORT ssl;
  server_name ${host};
  location / { proxy_pass http://unix:${socket}; proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto https; }
}`;

async function makeCertificate(folder) {
  const [key, file] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  await promisify(execFile)("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
    "-nodes", "-days", "2", "-subj", "/CN=test", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", file,
    "-addext", "subjectAltName=DNS:evil.test,DNS:*.example.test,DNS:*.other.test,DNS:*.elsewhere.test,DNS:*.provider.test"]);
  const certificate = new X509Certificate(await readFile(file));
  const publicKey = certificate.publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(publicKey).digest("base64");
}

/** The clock of tests/it/harness/clock.rs, as environment variables of a program that has it. */
async function makeClock(folder) {
  const text = await readFile(new URL("tests/it/harness/clock.rs", ROOT), "utf8");
  const [source, library, offset] = ["clock.c", "clock.so", "offset"].map((name) => join(folder, name));
  await writeFile(source, text.split('r#"')[1].split('"#;')[0]);
  await writeFile(offset, new BigInt64Array(1));
  await promisify(execFile)("cc", ["-shared", "-fPIC", "-O1", "-o", library, source]);
  return { LD_PRELOAD: library, TEST_CLOCK: offset };
}

const HEADERS = `
identity.kind = "proxy_headers"
identity.preset = "custom"
identity.headers.id = "X-User-Id"
identity.headers.email = "X-User-Email"
identity.headers.name = "X-User-Name"
identity.headers.groups = "X-User-Groups"
identity.headers.attributes.plan = "X-User-Plan"
access.denied_groups = ["blocked"]`;

const ownSignIn = (folder, host) => `
identity.kind = "oidc"
identity.issuer = "${ISSUER}"
identity.client_id = "${host}"
identity.client_secret = "${CLIENT_SECRET}"
identity.jwks_ca_file = "${folder}/certificate.pem"
session.key_file = "${folder}/session"`;

/** Starts the program with a configuration, and stores its log lines. */
async function startService(folder, host, more, closing, signing) {
  const config = join(folder, `${host}.toml`);
  await writeFile(config, `
environment = "sandbox"
server.listen = "unix:${folder}/${host}.sock"
server.admin_listen = "127.0.0.1:0"
server.public_url = "https://${host}"
server.drain_delay_s = 0
server.workers = 1
pandium.account = "acme"
pandium.shared_secret_file = "${folder}/secret"
pandium.base_url = "${MARKET}"
${signing ? ownSignIn(folder, host) : HEADERS}
claims.sub = "id"
`);
  const own = join(folder, `${host}.own.toml`);
  await writeFile(own, more);
  const common = join(folder, `${host}.common.toml`);
  await writeFile(common, `[embed]\nparents = ["${APP}"]\nlogin_url = "${APP}/login"\n`);
  const child = spawn(PROGRAM, ["serve", ...[config, common, own].flatMap((file) => ["--config", file])], {
    stdio: ["ignore", "ignore", "pipe"], cwd: folder, env: { ...process.env, ...signing },
  });
  closing.push(() => stop(child));
  const lines = [];
  let heard;
  const listening = new Promise((resolve, reject) => {
    heard = resolve;
    child.on("error", reject);
    child.on("exit", () => reject(new Error(`the service for ${host} has ended:\n${lines.join("\n")}`)));
  });
  listening.catch(() => {});
  createInterface({ input: child.stderr }).on("line", (line) => {
    lines.push(line);
    if (line.includes('"message":"listening"')) heard(JSON.parse(line).admin_listen);
  });
  const admin = await inTime(listening, `the service for ${host} does not start`);
  /** The audit events, of all or since a time: a line is written up to 20 ms after its response. */
  const records = (since = 0) => lines.filter((line) => line.includes('"outcome"')).map((line) => JSON.parse(line))
    .filter(({ timestamp }) => Date.parse(timestamp) >= since);
  return {
    host, lines, records, config: [config, common, own],
    origin: `https://${host}`,
    /** The sum of a metric over all its labels. */
    async metric(name) {
      const text = await (await fetch(`${admin}/metrics`)).text();
      const values = text.split("\n").filter((line) => line.startsWith(name)).map((line) => Number(line.split(" ").at(-1)));
      return values.reduce((sum, value) => sum + value, 0);
    },
  };
}

async function startNginx(folder, servers, closing) {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`);
    await writeFile(join(folder, "nginx.conf"), `
${process.getuid?.() === 0 ? "user root;" : ""}
pid ${folder}/nginx.pid;
worker_processes 1;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  server_names_hash_bucket_size 128;
  ssl_certificate ${folder}/certificate.pem;
  ssl_certificate_key ${folder}/key.pem;
  ${temporary.join("\n  ")}
  ${servers.replaceAll("listen PORT ", `listen 127.0.0.1:${port} `)}
}`);
    const child = spawn("nginx", ["-p", folder, "-e", "stderr", "-g", "daemon off;", "-c", join(folder, "nginx.conf")], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const said = [];
    child.stderr.on("data", (data) => said.push(String(data)));
    const ended = new Promise((resolve) => child.on("exit", () => resolve(false)));
    const isUp = await inTime(Promise.race([ended, listens(folder, child)]), "nginx does not start");
    if (isUp) {
      closing.push(() => stop(child));
      return port;
    }
    // another process took the port in between
    if (attempt === 3 || !said.join("").includes("Address already in use")) throw new Error(`nginx: ${said.join("")}`);
  }
}

/** nginx writes its process id after it has bound its port, at which another process could respond. */
async function listens(folder, child) {
  while (child.exitCode === null) {
    const isUp = await access(join(folder, "nginx.pid")).then(() => true, () => false);
    if (isUp) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Starts a program that ends with this one, however it ends. */
export function spawn(...command) {
  const child = spawnProcess(...command);
  const end = () => child.kill("SIGTERM");
  process.once("exit", end);
  child.once("exit", () => process.off("exit", end));
  return child;
}

/** Terminates a program, and waits until it has ended. */
export function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return undefined;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  return ended;
}
