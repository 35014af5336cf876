// Signing on in a frame: which pages may frame it, which user is signed on, and by which cookie.

import assert from "node:assert/strict";
import { test } from "node:test";
import { clickToClose, open, picture, startBrowser } from "./support/browser.js";
import { APP, MARKET, SECRET, SSO, startHosts } from "./support/hosts.js";
import { verified } from "./support/marketplace.js";
import { until } from "./support/waiting.js";

const ELSEWHERE = "https://sso.elsewhere.test";
const hosts = await startHosts({
  services: {
    "sso.example.test": "",
    "report.example.test": `embed.policy = "report"`,
    // on another site than the app
    "sso.elsewhere.test": `embed.login_url = "${ELSEWHERE}/login"`,
    // the recipe unchanged: service and app on one host
    "app.example.test": "",
  },
});
const browser = await startBrowser(hosts);
// browsers block third-party cookies in every non-persistent context, as in private windows
const start = (t, options) => open(t, hosts, browser, options);

test("a logged-in user is signed on in the frame, with their token", async (t) => {
  const { tab, state, signOns, records, marketplace } = await start(t);
  await state("ready");
  await marketplace();
  const [signOn, ...more] = signOns();
  assert.deepEqual(more, []);
  assert.equal(signOn.path, "/acme");
  assert.equal(signOn.tokens, 1);
  const claims = verified(signOn.token, SECRET);
  assert.equal(claims.sub, "u-ada");
  assert.equal(claims.ti.uem, "ada@example.test");
  assert.equal(claims.ti.xti.user_tier, "gold");
  await until(() => records().length);
  const [record] = records();
  assert.equal(record.outcome, "handed_off");
  assert.equal(record.fetch_dest, "iframe");
  assert.equal(record.jti, claims.jti);
  await picture(tab, "component-ready");
});

test("the redirect has no-store, frame-ancestors and no-referrer", async (t) => {
  const { tab, state } = await start(t, { markup: "" });
  const [answer] = await Promise.all([
    tab.waitForResponse((response) => response.url().startsWith(`${SSO}/pandium-sso`)),
    tab.evaluate(() => document.querySelector("main").append(document.createElement("marketplace-frame"))),
  ]);
  await state("ready");
  assert.equal(answer.status(), 307);
  const headers = await answer.allHeaders();
  assert.equal(headers["cache-control"], "no-store");
  assert.equal(headers["referrer-policy"], "no-referrer");
  assert.equal(headers["content-security-policy"], `frame-ancestors ${APP}`);
  assert.equal(headers["set-cookie"], undefined);
  assert.ok(headers["x-request-id"]);
  const sent = await answer.request().allHeaders();
  assert.equal(sent["sec-fetch-dest"], "iframe");
  assert.equal(sent["sec-fetch-site"], "same-site");
  assert.equal(sent.referer, `${APP}/`);
});

test("service and app on one host work with a plain frame", async (t) => {
  const { marketplace, signOns, records } = await start(t, { markup: `<iframe src="/pandium-sso" title="Integrations"></iframe>` });
  await marketplace();
  assert.equal(verified(signOns()[0].token, SECRET).sub, "u-ada");
  await until(() => records("app.example.test").length);
  assert.equal(records("app.example.test")[0].outcome, "handed_off");
});

test("service and app on one host work with the component", async (t) => {
  const { state, signOns } = await start(t, { from: APP });
  await state("ready");
  assert.equal(signOns().length, 1);
});

test("a link at the top level signs on", async (t) => {
  const { tab, signOns } = await start(t, { url: `${SSO}/pandium-sso` });
  await tab.waitForURL(`${MARKET}/**`);
  assert.equal(verified(signOns()[0].token, SECRET).sub, "u-ada");
});

// the hardest case: a cookie that is sent in every context
const anywhere = (context) => context.addCookies([
  { name: "session", value: hosts.app.signIn("ada"), domain: ".example.test", path: "/", secure: true, sameSite: "None" },
]);
const insert = (tab, markup) => tab.evaluate((markup) => document.querySelector("main").insertAdjacentHTML("beforeend", markup), markup);
const isAncestors = (words) => words.includes("frame-ancestors");

for (const [what, at, markup] of [
  ["on another site", "https://evil.test", `<iframe src="${SSO}/pandium-sso"></iframe>`],
  ["on another site that hides itself", "https://evil.test", `<iframe referrerpolicy="no-referrer" src="${SSO}/pandium-sso"></iframe>`],
  ["on another host of the same site", "https://other.example.test", `<iframe src="${SSO}/pandium-sso"></iframe>`],
]) {
  test(`a frame in a page ${what} gets no token, and stays empty`, async (t) => {
    const { context, tab, records, signOns } = await start(t, { markup: "", at, who: null, expects: isAncestors });
    await anywhere(context);
    await insert(tab, markup);
    await until(() => records().length);
    assert.equal(records()[0].reason, "embedding_not_allowed");
    assert.equal(records()[0].fetch_dest, "iframe");
    await until(() => tab.frames()[1]?.url().startsWith("chrome-error:"));
    assert.deepEqual(signOns(), []);
  });
}

test("a frame without Referer gets the page that explains it", async (t) => {
  const { tab, records, signOns } = await start(t, {
    markup: `<iframe referrerpolicy="no-referrer" src="${SSO}/pandium-sso" width="300" height="400"></iframe>`,
  });
  await tab.frameLocator("iframe").getByText("embedding_not_allowed").waitFor();
  await until(() => records().length);
  assert.match(records()[0].detail, /referrerpolicy/);
  assert.deepEqual(signOns(), []);
});

test("the component explains a frame that is not allowed", async (t) => {
  const { event, state, records, said } = await start(t, { at: "https://other.example.test", expects: isAncestors });
  assert.equal((await event("error")).code, "unreachable");
  await state("error");
  assert.match(said.join(), /Is base right, and https:\/\/other\.example\.test in embed\.parents\?/);
  assert.equal(records().filter(({ outcome }) => outcome === "handed_off").length, 0);
});

test("with policy report the frame is served, and the violation logged", async (t) => {
  const { marketplace, records } = await start(t, {
    at: "https://other.example.test", markup: `<iframe src="https://report.example.test/pandium-sso"></iframe>`,
  });
  await marketplace();
  await until(() => records("report.example.test").length);
  const [record] = records("report.example.test");
  assert.equal(record.outcome, "handed_off");
  assert.match(record.embed_violation, /embed\.parents/);
  assert.equal(await hosts.services["report.example.test"].metric("marketplace_sso_embed_violations_total"), 1);
});

for (const [what, markup] of [
  ["an image", `<img src="${SSO}/pandium-sso" alt="">`],
  ["a style sheet", `<link rel="stylesheet" href="${SSO}/pandium-sso">`],
  ["an object", `<object data="${SSO}/pandium-sso"></object>`],
]) {
  test(`${what} in a page of the app gets no token`, async (t) => {
    const { tab, records } = await start(t, { markup: "" });
    await insert(tab, markup);
    await until(() => records().length);
    assert.deepEqual(records().map(({ outcome }) => outcome), ["refused"]);
  });
}

test("a script of another site gets no URL, with or without a cookie", async (t) => {
  const { context, tab, records } = await start(t, { markup: "", at: "https://evil.test", who: null });
  await anywhere(context);
  for (const mode of ["cors", "no-cors"]) {
    const answer = await tab.evaluate(([url, mode]) => fetch(url, { mode, credentials: "include", headers: { accept: "application/json" } })
      .then((answer) => answer.type, () => "nothing"), [`${SSO}/pandium-sso`, mode]);
    assert.equal(answer, mode === "cors" ? "nothing" : "opaque");
  }
  await until(() => records().length === 2);
  assert.deepEqual(records().map(({ reason }) => reason), ["cross_site_request", "cross_site_request"]);
});

test("with third-party cookies blocked, the sign-in is shown once", async (t) => {
  const { context, tab, state, records, events } = await start(t, { from: ELSEWHERE });
  await state("signed-out");
  await picture(tab, "component-signed-out");
  const [popup] = await Promise.all([context.waitForEvent("page"), tab.getByRole("button", { name: "Sign in" }).click()]);
  await popup.waitForURL(`${ELSEWHERE}/login`);
  await clickToClose(popup, popup.getByRole("button", { name: "Log in" }));
  await until(() => records("sso.elsewhere.test").length >= 2);
  await tab.locator('section[aria-busy="false"].signed-out').waitFor();
  await tab.evaluate(() => new Promise((resolve) => requestIdleCallback(() => requestAnimationFrame(resolve))));
  const all = records("sso.elsewhere.test");
  assert.deepEqual([...new Set(all.map(({ reason }) => reason))], ["unauthenticated"]);
  // once at first, once when the pop-up has closed, once for the page's focus
  assert.ok(all.length <= 3, `${all.length} requests`);
  assert.equal((await events("unauthenticated")).length, 1);
  // the login worked: at the top level the same cookie is sent
  const other = await context.newPage();
  await other.goto(`${ELSEWHERE}/pandium-sso`);
  assert.ok(other.url().startsWith(MARKET));
});
