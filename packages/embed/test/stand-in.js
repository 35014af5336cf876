// Stand-ins for the app, the service and the marketplace, each on its own host; starts the browser.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after } from "node:test";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const folder = new URL("../", import.meta.url);

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // a page that is not local
  "--host-resolver-rules=MAP *.example.test 127.0.0.1",
];

/** One browser for each test file. */
export async function startBrowser() {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  after(() => browser.close());
  return browser;
}


const MODULES = {
  "/vendor/react.js": ["react/cjs/react.production.js", {}],
  "/vendor/scheduler.js": ["scheduler/cjs/scheduler.production.js", {}],
  "/vendor/react-dom.js": ["react-dom/cjs/react-dom.production.js", { react: "/vendor/react.js" }],
  "/vendor/react-dom-client.js": [
    "react-dom/cjs/react-dom-client.production.js",
    { react: "/vendor/react.js", "react-dom": "/vendor/react-dom.js", scheduler: "/vendor/scheduler.js" },
  ],
};

// React has no ES modules: its own files are wrapped as they are served
async function vendored([file, imports]) {
  const source = await readFile(new URL(`node_modules/${file}`, folder), "utf8");
  const named = Object.keys(require(new URL(`node_modules/${file}`, folder).pathname));
  return [
    ...Object.values(imports).map((from, n) => `import m${n} from "${from}";`),
    `const known = {${Object.keys(imports).map((name, n) => `"${name}": m${n}`)}};`,
    "const module = { exports: {} }, exports = module.exports, require = (name) => known[name];",
    "const process = { env: { NODE_ENV: 'production' } };",
    `(function () { ${source}\n })();`,
    "export default module.exports;",
    `export const { ${named.join(", ")} } = module.exports;`,
  ].join("\n");
}

/**
 * Starts the three hosts on one free port. The service's behaviour can be changed while it runs.
 */
export async function startHosts(changes = {}) {
  const world = {
    /** The site of the three hosts. */
    site: "localhost",
    isSignedIn: true,
    loginUrl: (origin) => `${origin.app}/login`,
    proofHeader: null,
    proofScheme: null,
    settingsStatus: 200,
    entranceStatus: 200,
    /** The response to scripts at the entrance, by token; `undefined` is the default. */
    answer: () => undefined,
    marketplaceHeaders: {},
    pages: {},
    /** A promise that the marketplace waits for before it responds. */
    patience: null,
    seen: [],
    ...changes,
  };
  const server = createServer((request, response) => {
    answer(world, request, response).catch((error) => {
      response.writeHead(500).end(String(error));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  world.app = `http://app.${world.site}:${port}`;
  world.sso = `http://sso.${world.site}:${port}`;
  world.market = `http://market.${world.site}:${port}`;
  world.close = () => {
    server.closeAllConnections();
    server.close();
  };
  /** The requests to the entrance, in order. */
  world.entries = () => world.seen.filter((seen) => seen.host === "sso" && seen.path.startsWith("/pandium-sso"));
  return world;
}

async function answer(world, request, response) {
  const host = request.headers.host.split(".")[0];
  const { pathname: path, searchParams: query, search } = new URL(request.url, "http://x");
  world.seen.push({ host, path, search, headers: request.headers });
  const send = (status, type, body, headers = {}) => {
    response.writeHead(status, { "content-type": `${type}; charset=utf-8`, ...headers });
    response.end(body);
  };
  const file = async (name, type) => send(200, type, await readFile(new URL(name, folder)), { "access-control-allow-origin": "*" });

  if (path === "/favicon.ico") return response.writeHead(204).end();
  if (host === "market") {
    await world.patience;
    return send(200, "text/html", MARKETPLACE, world.marketplaceHeaders);
  }
  if (host === "sso") {
    const allowed = {
      "access-control-allow-origin": world.app,
      "access-control-allow-credentials": "true",
      "access-control-allow-headers": `accept, ${world.proofHeader ?? "accept"}`,
      vary: "Origin",
    };
    if (request.method === "OPTIONS") return response.writeHead(204, allowed).end();
    const problem = (status, reason) =>
      send(status, "application/problem+json", JSON.stringify({
        type: `urn:marketplace-sso:${reason}`, title: "A refusal", status, reason, request_id: "request-7",
      }), allowed);
    if (path === "/embed.js") return file("embed.js", "text/javascript");
    if (path === "/embed.json") {
      if (world.settingsStatus !== 200) return problem(world.settingsStatus, "a_reason");
      return send(200, "application/json", JSON.stringify({
        entrance: query.get("entrance"),
        marketplace_origin: world.market,
        login_url: world.loginUrl(world),
        proof_header: world.proofHeader,
        proof_scheme: world.proofScheme,
      }), allowed);
    }
    if (path === "/embed") return send(200, "text/html", "<title>Integrations</title><p>The page of the service</p>");
    if (path.startsWith("/auth/")) return send(200, "text/html", SIGNED_IN(query.get("ticket") && `${world.sso}/l/ticket-1`));
    if (path.startsWith("/l/")) return response.writeHead(307, { location: `${world.market}/acme?tenant=secret-token` }).end();
    if (request.headers.accept === "application/json") {
      const given = world.answer(request.headers[world.proofHeader?.toLowerCase()]);
      if (typeof given === "string") return problem(401, given);
      return send(200, "application/json", JSON.stringify({
        url: `${world.market}/acme?tenant=secret-token`, jti: "1", issued_at: 1, expires_at: null, ...given,
      }), allowed);
    }
    if (world.entranceStatus !== 200) return send(world.entranceStatus, "text/html", REFUSED(world.entranceStatus));
    if (!world.isSignedIn) return send(401, "text/html", UNAUTHENTICATED);
    response.writeHead(307, { location: `${world.market}/acme?tenant=secret-token&${query}` });
    return response.end();
  }
  if (path === "/login") return send(200, "text/html", "<title>Login</title><h1>Login</h1>");
  if (path in MODULES) return send(200, "text/javascript", await vendored(MODULES[path]));
  if (path === "/vendor/vue.js") return file("node_modules/vue/dist/vue.esm-browser.prod.js", "text/javascript");
  if (path.startsWith("/package/")) return file(path.slice(9), "text/javascript");
  const page = world.pages[path];
  if (!page) return send(404, "text/html", "nothing here");
  return send(200, "text/html", page.body, page.headers);
}

// the marketplace posts the messages that a test requests
const MARKETPLACE = `<!doctype html><html lang="en"><title>Marketplace</title><main><h1>Marketplace</h1></main><script>
  window.post = (data) => parent.postMessage(data, "*");
</script></html>`;

const UNAUTHENTICATED = `<!doctype html><html lang="en"><title>Sign in</title><main><h1>Sign in</h1></main><script>
  parent.postMessage({ type: "marketplace-sso:unauthenticated", reason: "unauthenticated" }, "*");
</script></html>`;

const REFUSED = (status) => `<!doctype html><html lang="en"><title>Refused</title><main><h1>Refused</h1>
<a href="">Try again</a></main><script>
  parent.postMessage({ type: "marketplace-sso:refused", reason: "reason_${status}", request_id: "request-8" }, "*");
</script></html>`;

// the user clicks, so that a test can look at the page before
const SIGNED_IN = (ticket) => `<!doctype html><html lang="en"><title>Provider</title><button>Continue</button><script>
  document.querySelector("button").onclick = () => {
    opener?.postMessage({ type: "marketplace-sso:signed-in", ticket: ${JSON.stringify(ticket)} }, "*");
    window.close();
  };
</script></html>`;

/** A page of the app with the component. */
export const page = (world, markup, { head = "", headers = {}, lang = "en" } = {}) => ({
  headers,
  body: `<!doctype html><html lang="${lang}"><head><title>App</title>${head}
<script type="module" src="${world.sso}/embed.js"></script></head><body><main><h1>App</h1>${markup}</main></body></html>`,
});

/**
 * Opens a page of the app with the given markup in a new browser context. It records console messages and
 * the component's events, from before the page's own scripts.
 */
export async function openPage(t, browser, { world: changes, markup = "<marketplace-frame></marketplace-frame>", path = "/",
  script, context: contextOptions, pages = {}, init, clock, ...options } = {}) {
  const world = await startHosts(changes);
  t.after(() => world.close());
  world.pages["/"] = page(world, typeof markup === "function" ? markup(world) : markup, typeof options.page === "function" ? options.page(world) : options.page);
  for (const [name, make] of Object.entries(pages)) world.pages[name] = make(world);
  const context = await browser.newContext(contextOptions);
  t.after(() => context.close());
  const tab = await context.newPage();
  const said = [];
  context.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  context.on("weberror", (error) => said.push(`thrown: ${error.error()}`));
  await tab.addInitScript(() => {
    window.events = [];
    const names = ["ready", "error", "unauthenticated", "message", "height", "save-sync", "install-cancel",
      "refused", "statechange", "beforereload"];
    for (const name of names) {
      window.addEventListener(`marketplace-${name}`, ({ type, detail, target }) =>
        window.events.push({ type, detail, id: target.id }));
    }
  });
  if (init) await tab.addInitScript(init);
  if (clock) await tab.clock.install();
  await tab.goto(world.app + path, { waitUntil: "domcontentloaded" });
  const element = tab.locator("marketplace-frame").first();
  const state = async (wanted, which = element) =>
    tab.waitForFunction(([node, wanted]) => node.state === wanted, [ensure(await which.elementHandle()), wanted]);
  const frameAt = (prefix) => waitUntil(() => tab.frames().find((frame) => frame.url().startsWith(prefix)));
  const marketplace = () => frameAt(world.market);
  const events = (type) => tab.evaluate((type) => window.events.filter((event) => event.type === type), type);
  const event = async (type) => {
    await tab.waitForFunction((type) => window.events.some((event) => event.type === type), type);
    return (await events(type)).at(-1).detail;
  };
  return { world, context, tab, said, element, state, frameAt, marketplace, events, event };
}

/** Clicks what closes its window, which may be closed before the click is reported. */
export const clickToClose = (popup, button) =>
  Promise.all([
    popup.waitForEvent("close"),
    button.click().catch((error) => {
      if (!popup.isClosed()) throw error;
    }),
  ]);

/** Polls a condition until it has a truthy value, with the browser's own timeout. */
export async function waitUntil(holds) {
  const last = Date.now() + 30000;
  for (;;) {
    const held = await holds();
    if (held) return held;
    if (Date.now() > last) throw new Error(`never: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const ensure = (handle) => {
  if (!handle) throw new Error("there is no <marketplace-frame> in the page");
  return handle;
};
