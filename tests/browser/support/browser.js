// Chromium, with host names that resolve to nginx, and tabs that record messages.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { after } from "node:test";
import { chromium } from "playwright-core";
import { APP, MARKET, SSO } from "./hosts.js";
import { PATIENCE_MS, until } from "./waiting.js";

export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox", // also where everything runs as root
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const ARTEFACTS = new URL("../artefacts/", import.meta.url);

/** Chromium's arguments, which resolve host names to nginx. */
export function flagsFor(hosts) {
  const sites = ["*.example.test", "*.other.test", "*.elsewhere.test", "*.provider.test", "evil.test"];
  const rules = sites.map((site) => `MAP ${site} 127.0.0.1:${hosts.port}`);
  return [
    ...FLAGS,
    `--host-resolver-rules=${rules.join(",")}`,
    // trusts this certificate only
    `--ignore-certificate-errors-spki-list=${hosts.certificate}`,
  ];
}

/** One browser for each test file. */
export async function startBrowser(hosts) {
  await mkdir(ARTEFACTS, { recursive: true });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: flagsFor(hosts) });
  after(() => browser.close());
  return browser;
}

/** A page of the app around some markup, with the component's script. */
export const page = (markup, { head = "", lang = "en", from = SSO, title = "App" } = {}) => `<!doctype html>
<html lang="${lang}"><head><title>${title}</title><meta name="viewport" content="width=device-width">${head}
<script type="module" src="${from}/embed.js"></script></head>
<body style="margin: 1rem"><main><h1>${title}</h1>${markup}</main></body></html>`;

const FRAME = `<marketplace-frame></marketplace-frame>`;

let count = 0;

/**
 * Opens a page in a new browser context, whose user is `who`. The page is `markup` at a new URL on
 * `at`, or the page at `url`.
 */
export async function open(t, hosts, browser, { who = "ada", markup = FRAME, at = APP, url, suffix = "", headers, init,
  context: options, expects = () => false, ...look } = {}) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  t.after(() => context.close());
  if (who) await signIn(hosts, context, who);
  const said = [];
  const violations = [];
  context.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  context.on("weberror", (error) => said.push(`thrown: ${error.error()}`));
  await context.exposeBinding("tellOfViolation", (_, words) => violations.push(words));
  await context.addInitScript(watch);
  if (init) await context.addInitScript(init);
  const tab = await context.newPage();
  count += 1;
  const address = url ?? hosts.app.put(`${at}/page-${count}`, page(markup, look), headers);
  const signOnsBefore = hosts.market.signOns.length;
  const opened = Date.now();
  await tab.goto(address + suffix, { waitUntil: "domcontentloaded" });

  const element = tab.locator("marketplace-frame").first();
  t.after(() => {
    assert.doesNotMatch(said.join("\n"), /eyJ/, "the console shows a token");
    assert.deepEqual(violations.filter((words) => !expects(words)), [], "a policy is violated");
    assert.deepEqual(said.filter((words) => words.startsWith("thrown") && !expects(words)), []);
  });
  const state = async (wanted, which = element) => tab.waitForFunction(([node, wanted]) => node.state === wanted, [await which.elementHandle(), wanted]);
  const signOns = () => hosts.market.signOns.slice(signOnsBefore);
  return {
    context, tab, said, violations, element, address,
    /** Waits for the component's state. */
    state,
    /** Waits until the component shows the marketplace, which has this many requests then. On a busy machine, it is
     * `ready` for a moment too if a frame reports a refusal more than 50 ms after its load event. */
    ready: async (requests) => {
      await until(() => signOns().length >= requests);
      await state("ready");
    },
    /** The marketplace's frame, once it exists. */
    marketplace: (n = 0) => until(() => tab.frames().filter((frame) => frame.url().startsWith(MARKET))[n]),
    /** The audit events of this page. */
    records: (host = "sso.example.test") => hosts.services[host].records(opened),
    /** The marketplace's requests from this page. */
    signOns,
    events: (type) => tab.evaluate((type) => window.events.filter((event) => event.type === type).map(({ detail }) => detail), `marketplace-${type}`),
    /** Waits for an event, and returns its detail. */
    event: async (type) => {
      const handle = await tab.waitForFunction((type) => window.events.findLast((event) => event.type === type), `marketplace-${type}`);
      return (await handle.jsonValue()).detail;
    },
  };
}

/** Clicks what closes its window, which may be closed before the click is reported. */
export const clickToClose = (popup, button) =>
  Promise.all([
    popup.waitForEvent("close"),
    button.click().catch((error) => {
      if (!popup.isClosed()) throw error;
    }),
  ]);

/** Sets the session's cookie, as the login does. */
export async function signIn(hosts, context, who) {
  const value = hosts.app.signIn(who);
  await context.addCookies([{ name: "session", value, domain: ".example.test", path: "/", httpOnly: true, secure: true, sameSite: "Lax" }]);
}

/** In every page and frame, before its own scripts. */
function watch() {
  document.addEventListener("securitypolicyviolation", (event) =>
    window.tellOfViolation(`${document.location.origin}: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
  window.events = [];
  for (const name of ["ready", "error", "unauthenticated", "message", "height", "save-sync", "install-cancel", "refused",
    "statechange", "beforereload"]) {
    window.addEventListener(`marketplace-${name}`, ({ type, detail, target }) => window.events.push({ type, detail, id: target.id }));
  }
}

const axe = await readFile(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

/** The findings of axe-core on a page or in a frame, in light and dark. */
export async function accessibility(tab, where = tab, options = { iframes: false }) {
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    await tab.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    if (!(await where.evaluate(() => "axe" in window))) await where.evaluate(axe);
    const { violations } = await where.evaluate((options) => window.axe.run(document, options), options);
    found.push(...violations.map(({ id, nodes }) => [colorScheme, id, ...nodes.map(({ html }) => html)]));
  }
  return found;
}

/** Stores a screenshot of the page. */
export async function picture(tab, name, options = {}) {
  await tab.screenshot({ path: new URL(`${name}.png`, ARTEFACTS).pathname, animations: "disabled", ...options });
}
