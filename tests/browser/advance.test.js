// Speculative loading (prefetch, prerender), and places where a token could be stored.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startBareBrowser } from "./support/bare.js";
import { open, page, startBrowser } from "./support/browser.js";
import { APP, MARKET, SSO, startHosts } from "./support/hosts.js";
import { until } from "./support/waiting.js";

const hosts = await startHosts({ services: { "sso.example.test": "", "app.example.test": "" } });
const browser = await startBrowser(hosts);
const start = (t, options) => open(t, hosts, browser, options);
const handOffs = async () => {
  const counts = await Promise.all(Object.values(hosts.services).map((service) => service.metric("marketplace_sso_handoffs_total")));
  return counts.reduce((sum, count) => sum + count, 0);
};
const rules = (rules) => `<script type="speculationrules">${JSON.stringify(rules)}</script>`;

/** The browser's speculative loads: URLs, and how each ended. */
async function speculations({ context, tab }) {
  const session = await context.newCDPSession(tab);
  const ends = [];
  for (const [event, kind] of [["prefetchStatusUpdated", "prefetch"], ["prerenderStatusUpdated", "prerender"]]) {
    session.on(`Preload.${event}`, (told) => ends.push({ kind, url: told.key.url, status: told.status, why: told.prefetchStatus ?? told.prerenderStatus }));
  }
  await session.send("Preload.enable");
  return (kind, url, ...statuses) => until(() => ends.find((end) => end.kind === kind && end.url.startsWith(url) && statuses.includes(end.status)));
}
const insert = (tab, markup) => tab.evaluate((markup) => document.head.append(document.createRange().createContextualFragment(markup)), markup);

test("a prefetch by speculation rules gets no token", async (t) => {
  const opened = await start(t, { markup: "" });
  const ended = await speculations(opened);
  const before = await handOffs();
  // the control: another page of the app is prefetched
  const control = hosts.app.put(`${APP}/control`, "<!doctype html><title>Control</title>");
  await insert(opened.tab, rules({ prefetch: [{ urls: [control, "/pandium-sso", `${SSO}/pandium-sso`], eagerness: "immediate" }] }));
  await ended("prefetch", control, "Ready");
  await ended("prefetch", `${APP}/pandium-sso`, "Failure");
  await until(() => opened.records("app.example.test").length);
  assert.equal(opened.records("app.example.test")[0].reason, "cross_site_request");
  assert.match(opened.records("app.example.test")[0].detail, /prefetch, prerender or preview/);
  assert.equal(await handOffs(), before);
  assert.deepEqual(opened.signOns(), []);
});

test("a prefetch by a link gets no token", async (t) => {
  const { tab, records, signOns } = await start(t, { markup: "" });
  const before = await handOffs();
  await insert(tab, `<link rel="prefetch" href="/pandium-sso">`);
  await until(() => records("app.example.test").length);
  assert.equal(records("app.example.test")[0].outcome, "refused");
  assert.equal(await handOffs(), before);
  assert.deepEqual(signOns(), []);
});

/** A page of the app, signed in as Ada, in a browser without automation that prevents prerendering. */
async function startBare() {
  const { send, on } = await startBareBrowser(hosts);
  const ends = [];
  on((method, { key, status, prerenderStatus } = {}) => {
    if (method === "Preload.prerenderStatusUpdated") ends.push({ url: key.url, status, why: prerenderStatus });
  });
  await send("Preload.enable");
  await send("Network.setCookie", { name: "session", value: hosts.app.signIn("ada"), domain: ".example.test", path: "/",
    secure: true, httpOnly: true, sameSite: "Lax" });
  const evaluate = async (expression) => (await send("Runtime.evaluate", { expression, awaitPromise: true })).result.value;
  return {
    evaluate,
    /** Opens a page that requests a prerender, and waits until that ends. */
    async prerender(url) {
      const page = hosts.app.put(`${APP}/before`, `<!doctype html><title>Before</title><a href="${url}">go</a>${
        rules({ prerender: [{ urls: [url], eagerness: "immediate" }] })}`);
      await send("Page.navigate", { url: page });
      return until(() => ends.find((end) => end.url === url && /Ready|Failure/.test(end.status)));
    },
  };
}

test("a prerendered entrance gets no token, and the click after it does", async () => {
  const { prerender, evaluate } = await startBare();
  const before = await handOffs();
  const signOnsBefore = hosts.market.signOns.length;
  const ended = await prerender(`${APP}/pandium-sso`);
  assert.equal(ended.status, "Failure", ended.why);
  assert.equal(await handOffs(), before);
  assert.equal(hosts.market.signOns.length, signOnsBefore);
  await evaluate(`document.querySelector("a").click()`);
  await until(() => hosts.market.signOns.length === signOnsBefore + 1);
  assert.equal(await handOffs(), before + 1);
});

test("the component in a prerendered page waits until it is shown", async () => {
  const next = hosts.app.put(`${APP}/prerendered`, page("<marketplace-frame></marketplace-frame>"));
  const { prerender, evaluate } = await startBare();
  const before = await handOffs();
  const signOnsBefore = hosts.market.signOns.length;
  assert.equal((await prerender(next)).status, "Ready");
  assert.equal(await handOffs(), before);
  await evaluate(`document.querySelector("a").click()`);
  await until(() => hosts.market.signOns.length === signOnsBefore + 1);
  assert.equal(await handOffs(), before + 1);
});

test("a plain frame in a prerendered page gets its token once shown", async () => {
  const since = Date.now();
  const next = hosts.app.put(`${APP}/prerendered-plain`, `<!doctype html><title>Next</title><iframe src="/pandium-sso"></iframe>`);
  const { prerender, evaluate } = await startBare();
  const before = await handOffs();
  const signOnsBefore = hosts.market.signOns.length;
  assert.equal((await prerender(next)).status, "Ready");
  await until(() => hosts.services["app.example.test"].records(since).some(({ reason }) => reason === "cross_site_request"));
  assert.equal(await handOffs(), before);
  assert.equal(hosts.market.signOns.length, signOnsBefore);
  await evaluate(`document.querySelector("a").click()`);
  // the refused frame is requested again
  await until(() => hosts.market.signOns.length === signOnsBefore + 1);
  assert.equal(await handOffs(), before + 1);
});

test("a plain frame whose refusal comes after its page is shown gets its token", async () => {
  const since = Date.now();
  const next = hosts.app.put(`${APP}/prerendered-slow`, `<!doctype html><title>Next</title><iframe src="/pandium-sso"></iframe>
    <script>document.addEventListener("prerenderingchange", () => fetch("/shown"))</script>`);
  const { prerender, evaluate } = await startBare();
  const signOnsBefore = hosts.market.signOns.length;
  const session = hosts.app.holdSession();
  assert.equal((await prerender(next)).status, "Ready");
  await session.reached();
  await evaluate(`document.querySelector("a").click()`);
  await until(() => hosts.app.seen.some(({ path }) => path === "/shown"));
  session.release();
  await until(() => hosts.market.signOns.length === signOnsBefore + 1);
  const refused = await until(() => hosts.services["app.example.test"].records(since)[0]);
  assert.equal(refused.reason, "cross_site_request");
});

/** Everything that a page of the app could store. */
const remembered = (tab) => tab.evaluate(async () => JSON.stringify({
  entries: performance.getEntries(), local: { ...localStorage }, session: { ...sessionStorage }, cookie: document.cookie,
  databases: await indexedDB.databases(), caches: await caches.keys(), state: history.state, address: location.href,
  html: document.documentElement.outerHTML, referrer: document.referrer,
}));

for (const [what, options] of [
  ["the component", {}],
  ["a plain frame", { markup: `<iframe src="${SSO}/pandium-sso?integration_id=1"></iframe>` }],
  ["a plain frame on the same host", { markup: `<iframe src="/pandium-sso?integration_id=1"></iframe>` }],
]) {
  test(`with ${what}, no token is in page, history, timings or storage`, async (t) => {
    const { tab, context, marketplace, signOns } = await start(t, { ...options, suffix: "?secret-of-the-app=1" });
    const frame = await marketplace();
    await frame.waitForLoadState();
    await tab.waitForLoadState();
    assert.match(frame.url(), /tenant=eyJ/);
    assert.doesNotMatch(await remembered(tab), /eyJ/);
    const session = await context.newCDPSession(tab);
    const { entries } = await session.send("Page.getNavigationHistory");
    assert.doesNotMatch(JSON.stringify(entries), /eyJ/);
    // and the marketplace gets no data about the app
    assert.equal(await frame.evaluate(() => document.referrer), "");
    const [{ headers }] = signOns();
    assert.equal(headers.referer, undefined);
    assert.equal(headers.cookie, undefined);
  });
}

test("after a top-level link, the app's history has no token", async (t) => {
  const { tab, context, address } = await start(t, { markup: `<a href="/pandium-sso">go</a>` });
  await tab.getByRole("link", { name: "go" }).click();
  await tab.waitForURL(`${MARKET}/**`);
  assert.equal(await tab.evaluate(() => document.referrer), "");
  const session = await context.newCDPSession(tab);
  const { entries } = await session.send("Page.getNavigationHistory");
  for (const entry of entries.filter(({ url }) => url.startsWith(APP))) assert.doesNotMatch(JSON.stringify(entry), /eyJ/);
  // the navigation itself, which has the signed URL
  assert.equal(entries.filter(({ url }) => url.includes("eyJ")).length, 1);
  await tab.goBack();
  assert.equal(tab.url(), address);
  assert.doesNotMatch(await remembered(tab), /eyJ/);
});

test("no log line of the service contains a token", () => {
  for (const { lines } of Object.values(hosts.services)) {
    assert.ok(lines.length > 1);
    assert.doesNotMatch(lines.join("\n"), /eyJ|tenant=/);
  }
});
