// Single-use addresses in a frame: the app's server asks for the address by an API token, and the browser
// sends no cookie to the service.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { startBareBrowser } from "./support/bare.js";
import { accessibility, open, picture, startBrowser } from "./support/browser.js";
import { APP, MARKET, PROGRAM, SECRET, documented, startHosts, until } from "./support/hosts.js";
import { verified } from "./support/marketplace.js";

const ELSEWHERE = "https://sso.elsewhere.test";

const folder = await mkdtemp(join(tmpdir(), "marketplace-sso-tickets-"));
after(() => rm(folder, { recursive: true, force: true }));
const hosts = await startHosts({
  services: {
    // another site than the app's
    "sso.elsewhere.test": `store.url = "sqlite:${folder}/elsewhere.db"\naudit.durability = "commit"`,
    // the app's own host
    "app.example.test": `store.url = "sqlite:${folder}/app.db"\naudit.durability = "commit"`,
  },
});
// browsers block third-party cookies in every non-persistent context, as in private windows
const browser = await startBrowser(hosts);
const start = (t, options) => open(t, hosts, browser, { who: null, from: ELSEWHERE, ...options });
const frame = (address) => `<iframe src="${address}" title="Integrations" referrerpolicy="strict-origin" width="600" height="420"></iframe>`;

const tokens = Object.fromEntries(await Promise.all(Object.values(hosts.services).map(async ({ host, config }) => {
  const files = config.flatMap((file) => ["--config", file]);
  const { stdout } = await promisify(execFile)(PROGRAM, ["token", "create", ...files, "--name", "shop", "--scope", "links:create"]);
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
  const { context, tab, marketplace, arrivals, records } = await start(t, { markup: "" });
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
  const [arrival, ...more] = arrivals();
  assert.deepEqual(more, []);
  const claims = verified(arrival.token, SECRET);
  assert.deepEqual([claims.sub, claims.ti.uem], ["u-ada", "ada@example.test"]);
  assert.deepEqual(arrival.link, { integration_id: "7" });
  assert.equal(arrival.headers.referer, undefined);
  const used = records("sso.elsewhere.test").at(-1);
  assert.deepEqual([used.outcome, used.fetch_dest, used.api_token, used.jti], ["handed_off", "iframe", "shop", claims.jti]);
});

test("a frame whose address was used says how to come back", async (t) => {
  const { tab, marketplace, records, arrivals } = await start(t, { markup: frame(await ask()) });
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
  assert.equal(arrivals().length, 1);
});

test("the documented script asks for another address", async (t) => {
  let asked = 0;
  hosts.app.put(`${APP}/my-app/marketplace-address`, async () => {
    asked += 1;
    return JSON.stringify({ url: await ask() });
  });
  const script = (await documented("links.md", "In a frame", "js")).replaceAll("https://sso.example.com", ELSEWHERE);
  const markup = `${frame(await ask())}<script>const frame = document.querySelector("iframe");\n${script}</script>`;
  const { tab, arrivals } = await start(t, { markup });
  await until(() => arrivals().length === 1);
  await tab.reload();
  await until(() => arrivals().length === 2);
  assert.equal(asked, 1);
  assert.notEqual(arrivals()[0].token, arrivals()[1].token);
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
    const known = records().length;
    const arrived = hosts.market.arrivals.length;
    const address = await ask("app.example.test");
    const page = hosts.app.put(`${APP}/before-${kind}`, `<!doctype html><title>Before</title><a href="${address}">go</a>${
      rules({ [kind]: [{ urls: [address], eagerness: "immediate" }] })}`);
    await send("Page.navigate", { url: page });
    const ended = await until(() => ends.find((end) => end.url === address && /Ready|Failure/.test(end.status)));
    assert.equal(ended.status, "Failure");
    await until(() => records().length === known + 2);
    assert.deepEqual(outcomes(records().slice(known)), ["link_created", "cross_site_request"]);
    assert.equal(hosts.market.arrivals.length, arrived);
    await send("Runtime.evaluate", { expression: `document.querySelector("a").click()` });
    await until(() => hosts.market.arrivals.length === arrived + 1);
    assert.equal(verified(hosts.market.arrivals.at(-1).token, SECRET).sub, "u-ada");
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
  const known = records().length;
  const arrived = hosts.market.arrivals.length;
  await send("Page.navigate", { url: page });
  await until(() => ends.find((end) => end.url === next && end.status === "Ready"));
  await until(() => records().slice(known).some(({ reason }) => reason === "cross_site_request"));
  assert.equal(hosts.market.arrivals.length, arrived);
  await send("Runtime.evaluate", { expression: `document.querySelector("a").click()` });
  await until(() => hosts.market.arrivals.length === arrived + 1);
  assert.equal(hosts.market.arrivals.at(-1).headers.host, new URL(MARKET).host);
});

test("no log line has a ticket or a token", () => {
  for (const { lines } of Object.values(hosts.services)) {
    assert.ok(lines.length > 1);
    assert.doesNotMatch(lines.join("\n"), /eyJ|\/l\/|mkt_/);
  }
});
