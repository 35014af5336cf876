// Single-use addresses in a frame: the app's server asks for the address by an API token, and the browser
// sends no cookie to the service.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { request } from "node:https";
import { test } from "node:test";
import { promisify } from "node:util";
import { startBareBrowser } from "./support/bare.js";
import { accessibility, open, picture, startBrowser } from "./support/browser.js";
import { APP, MARKET, PROGRAM, SECRET, documented, startHosts } from "./support/hosts.js";
import { verified } from "./support/marketplace.js";
import { until } from "./support/waiting.js";

const ELSEWHERE = "https://sso.elsewhere.test";

const hosts = await startHosts({
  services: {
    // another site than the app's
    "sso.elsewhere.test": `store.url = "sqlite:elsewhere.db"\naudit.durability = "commit"`,
    // the app's own host
    "app.example.test": `store.url = "sqlite:app.db"\naudit.durability = "commit"`,
  },
});
// browsers block third-party cookies in every non-persistent context, as in private windows
const browser = await startBrowser(hosts);
const start = (t, options) => open(t, hosts, browser, { who: null, from: ELSEWHERE, ...options });
const frame = (address) => `<iframe src="${address}" title="Integrations" referrerpolicy="strict-origin" width="600" height="420"></iframe>`;

const tokens = Object.fromEntries(await Promise.all(Object.values(hosts.services).map(async ({ host, config }) => {
  const files = config.flatMap((file) => ["--config", file]);
  const { stdout } = await promisify(execFile)(PROGRAM, ["token", "create", ...files, "--name", "shop", "--scope", "links:create"],
    { cwd: hosts.folder });
  return [host, stdout.trim()];
})));

/** What the app's server does: asks for the address of Ada. */
const ask = (host = "sso.elsewhere.test") => new Promise((resolve, reject) => {
  const sent = request({
    host: "127.0.0.1", port: hosts.port, method: "POST", path: "/v1/links", servername: host, rejectUnauthorized: false,
    headers: { host, authorization: `Bearer ${tokens[host]}`, "content-type": "application/json" },
  }, (response) => {
    let text = "";
    response.on("data", (data) => (text += data)).on("end", () => {
      assert.equal(response.statusCode, 201, text);
      resolve(JSON.parse(text).url);
    });
  });
  sent.on("error", reject).end(JSON.stringify({ user: { id: "u-ada", email: "ada@example.test", name: "Ada" }, link: { integration_id: 7 } }));
});
const outcomes = (records) => records.map(({ outcome, reason }) => reason ?? outcome);

test("a frame on another site gets its user without any cookie", async (t) => {
  const { context, tab, marketplace, signOns, records } = await start(t, { markup: "" });
  // the control: a cookie that is sent everywhere else is not sent in the frame
  await context.addCookies([
    { name: "session", value: hosts.app.signIn("ada"), domain: "sso.elsewhere.test", path: "/", secure: true, sameSite: "None" },
  ]);
  const insert = (markup) => tab.evaluate((markup) => document.querySelector("main").insertAdjacentHTML("beforeend", markup), markup);
  await insert(frame(`${ELSEWHERE}/pandium-sso`));
  await until(() => records("sso.elsewhere.test").length === 1);
  assert.deepEqual(outcomes(records("sso.elsewhere.test")), ["unauthenticated"]);

  await insert(frame(await ask()));
  await marketplace();
  const [signOn, ...more] = signOns();
  assert.deepEqual(more, []);
  const claims = verified(signOn.token, SECRET);
  assert.deepEqual([claims.sub, claims.ti.uem], ["u-ada", "ada@example.test"]);
  assert.deepEqual(signOn.link, { integration_id: "7" });
  assert.equal(signOn.headers.referer, undefined);
  const used = await until(() => records("sso.elsewhere.test").find(({ outcome }) => outcome === "handed_off"));
  assert.deepEqual([used.fetch_dest, used.api_token, used.jti], ["iframe", "shop", claims.jti]);
});

test("a frame whose address was used says how to come back", async (t) => {
  const { tab, marketplace, records, signOns } = await start(t, { markup: frame(await ask()) });
  await marketplace();
  await tab.evaluate(() => {
    window.received = [];
    addEventListener("message", ({ data, origin }) => window.received.push([origin, data.type]));
    const frame = document.querySelector("iframe");
    frame.src = frame.src;
  });
  const inside = tab.frameLocator("iframe");
  await inside.getByRole("heading", { name: "This link is no longer valid" }).waitFor();
  await tab.waitForFunction(() => window.received.length);
  assert.deepEqual(await tab.evaluate(() => window.received), [[ELSEWHERE, "marketplace-sso:link_expired"]]);
  await until(() => outcomes(records("sso.elsewhere.test")).includes("link_expired"));
  assert.deepEqual(outcomes(records("sso.elsewhere.test")).slice(-2), ["handed_off", "link_expired"]);
  const page = await until(() => tab.frames().find((one) => one.url().startsWith(ELSEWHERE)));
  for (const [size, width] of [["narrow", 300], ["wide", 600]]) {
    await tab.locator("iframe").evaluate((node, width) => (node.width = width), width);
    assert.deepEqual(await accessibility(tab, page), []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    for (const colorScheme of ["light", "dark"]) {
      await tab.emulateMedia({ colorScheme });
      await picture(tab, `ticket-used-${size}-${colorScheme}`);
    }
  }
  // the page as a whole comes back with the same address
  await tab.reload();
  await inside.getByRole("link", { name: "Go to the app" }).click();
  await tab.waitForURL(`${APP}/login`);
  assert.equal(signOns().length, 1);
});

test("the documented script asks for another address", async (t) => {
  let asked = 0;
  hosts.app.put(`${APP}/my-app/marketplace-address`, async () => {
    asked += 1;
    return JSON.stringify({ url: await ask() });
  });
  const script = (await documented("links.md", "In a frame", "js")).replaceAll("https://sso.example.com", ELSEWHERE);
  const markup = `${frame(await ask())}<script>const frame = document.querySelector("iframe");\n${script}</script>`;
  const { tab, signOns } = await start(t, { markup });
  await until(() => signOns().length === 1);
  await tab.reload();
  await until(() => signOns().length === 2);
  assert.equal(asked, 1);
  assert.notEqual(signOns()[0].token, signOns()[1].token);
});

const rules = (rules) => `<script type="speculationrules">${JSON.stringify(rules)}</script>`;

for (const kind of ["prefetch", "prerender"]) {
  test(`a ${kind} does not use an address up`, async () => {
    const { send, on } = await startBareBrowser(hosts);
    const ends = [];
    on((method, { key, status } = {}) => {
      if (/^Preload\.(prefetch|prerender)StatusUpdated$/.test(method)) ends.push({ url: key.url, status });
    });
    await send("Preload.enable");
    const { records } = hosts.services["app.example.test"];
    const since = Date.now();
    const signOnsBefore = hosts.market.signOns.length;
    const address = await ask("app.example.test");
    const page = hosts.app.put(`${APP}/before-${kind}`, `<!doctype html><title>Before</title><a href="${address}">go</a>${
      rules({ [kind]: [{ urls: [address], eagerness: "immediate" }] })}`);
    await send("Page.navigate", { url: page });
    const ended = await until(() => ends.find((end) => end.url === address && /Ready|Failure/.test(end.status)));
    assert.equal(ended.status, "Failure");
    await until(() => records(since).length >= 2);
    assert.deepEqual(outcomes(records(since)), ["link_created", "cross_site_request"]);
    assert.equal(hosts.market.signOns.length, signOnsBefore);
    await send("Runtime.evaluate", { expression: `document.querySelector("a").click()` });
    await until(() => hosts.market.signOns.length === signOnsBefore + 1);
    assert.equal(verified(hosts.market.signOns.at(-1).token, SECRET).sub, "u-ada");
  });
}

test("a frame in a prerendered page gets its user once the page is shown", async () => {
  const { send, on } = await startBareBrowser(hosts);
  const ends = [];
  on((method, { key, status } = {}) => {
    if (method === "Preload.prerenderStatusUpdated") ends.push({ url: key.url, status });
  });
  await send("Preload.enable");
  const { records } = hosts.services["app.example.test"];
  const next = hosts.app.put(`${APP}/prerendered-ticket`, `<!doctype html><title>Next</title>${frame(await ask("app.example.test"))}`);
  const page = hosts.app.put(`${APP}/before-frame`, `<!doctype html><title>Before</title><a href="${next}">go</a>${
    rules({ prerender: [{ urls: [next], eagerness: "immediate" }] })}`);
  const since = Date.now();
  const signOnsBefore = hosts.market.signOns.length;
  await send("Page.navigate", { url: page });
  await until(() => ends.find((end) => end.url === next && end.status === "Ready"));
  await until(() => records(since).some(({ reason }) => reason === "cross_site_request"));
  assert.equal(hosts.market.signOns.length, signOnsBefore);
  await send("Runtime.evaluate", { expression: `document.querySelector("a").click()` });
  await until(() => hosts.market.signOns.length === signOnsBefore + 1);
  assert.equal(hosts.market.signOns.at(-1).headers.host, new URL(MARKET).host);
});

test("no log line has a ticket or a token", () => {
  for (const { lines } of Object.values(hosts.services)) {
    assert.ok(lines.length > 1);
    assert.doesNotMatch(lines.join("\n"), /eyJ|\/l\/|mkt_/);
  }
});
