// A session that has ended in the frame: panel, pop-up, return; and apps that authenticate with a token.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { clickToClose, open, picture, startBrowser } from "./support/browser.js";
import { APP, MARKET, SECRET, SSO, startHosts } from "./support/hosts.js";
import { verified } from "./support/marketplace.js";
import { until } from "./support/waiting.js";

const PLATFORM = "https://platform.elsewhere.test";
const PLATFORM_SECRET = "what-the-platform-signs-with-0123456789";
const hosts = await startHosts({
  services: {
    "sso.example.test": `
[entrances.platform]
path = "/by-token/pandium-sso"
[entrances.platform.identity]
kind = "appdirect"
marketplace_url = "${PLATFORM}"
tenant = "acme-partner"
algorithms = ["HS256"]
shared_secret = "${PLATFORM_SECRET}"
`,
  },
  more: ["platform.elsewhere.test", "evil.test"],
});
const browser = await startBrowser(hosts);
const start = (t, options) => open(t, hosts, browser, options);
const button = (tab) => tab.getByRole("button", { name: "Sign in" });
const last = (list) => list.at(-1);

test("after a sign-in in the pop-up, the same integration is shown", async (t) => {
  const { tab, context, state, ready, element, event, events, signOns } = await start(t, {
    markup: `<marketplace-frame integration-id="1121" display="settings"></marketplace-frame>`,
  });
  await state("ready");
  hosts.app.signOutAll();
  await element.evaluate((node) => node.reload());
  assert.deepEqual(await event("unauthenticated"), { reason: "unauthenticated" });
  await state("signed-out");
  assert.equal(await tab.locator("iframe").count(), 0);
  const [popup] = await Promise.all([context.waitForEvent("page"), button(tab).click()]);
  await popup.waitForURL(`${APP}/login`);
  assert.equal(await popup.evaluate(() => window.opener), null);
  await picture(popup, "app-login");
  await clickToClose(popup, popup.getByRole("button", { name: "Log in" }));
  await ready(2);
  const all = signOns();
  assert.equal(all.length, 2);
  assert.deepEqual(all[1].link, all[0].link);
  assert.deepEqual(all[1].link, { integration_id: "1121", display: "settings" });
  assert.notEqual(all[1].token, all[0].token);
  assert.equal((await events("unauthenticated")).length, 1);
});

test("a top-level sign-in returns to page, integration and fragment", async (t) => {
  const { tab, state, address, signOns } = await start(t, {
    who: null, suffix: "#integration_id=7&display=settings",
    markup: `<marketplace-frame link-from="hash" sign-in="top" return-parameter="return_to"></marketplace-frame>`,
  });
  await state("signed-out");
  assert.deepEqual(signOns(), []);
  await button(tab).click();
  await tab.waitForURL(`${APP}/login?**`);
  await tab.getByRole("button", { name: "Log in" }).click();
  await tab.waitForURL(`${address}#integration_id=7&display=settings`);
  await state("ready");
  assert.deepEqual(last(signOns()).link, { integration_id: "7", display: "settings" });
});

test("after a sign-in in another tab, focusing this one suffices", async (t) => {
  const { tab, context, state, ready, signOns } = await start(t, { who: null });
  await state("signed-out");
  const other = await context.newPage();
  await other.goto(`${APP}/login`);
  await other.getByRole("button", { name: "Log in" }).click();
  // a script cannot close it, since no script opened it
  await other.waitForURL(`${APP}/signed-in`).catch(() => {});
  await other.close();
  await tab.evaluate(() => window.dispatchEvent(new Event("focus")));
  await ready(1);
  assert.equal(signOns().length, 1);
});

test("a signed-out plain frame links to the top-level login", async (t) => {
  const { tab, signOns } = await start(t, {
    who: null, markup: `<iframe src="${SSO}/pandium-sso" width="300" height="400" title="Integrations"></iframe>`,
    init: () => addEventListener("message", ({ origin, data }) => (window.told ??= []).push({ origin, data })),
  });
  const frame = tab.frameLocator("iframe");
  await frame.getByText("unauthenticated").waitFor();
  const told = await (await tab.waitForFunction(() => window.told)).jsonValue();
  assert.deepEqual(told, [{ origin: SSO, data: { type: "marketplace-sso:unauthenticated", reason: "unauthenticated" } }]);
  await picture(tab, "plain-frame-signed-out");
  await frame.getByRole("link", { name: "Sign in" }).click();
  await tab.waitForURL(`${APP}/login`);
  // at the top level, where an identity provider can be shown
  assert.equal(await tab.evaluate(() => window.top === window), true);
  assert.equal(last(hosts.app.seen.filter(({ path }) => path === "/login")).headers.referer, undefined);
  assert.deepEqual(signOns(), []);
});

test("the signed-out message is posted to embed.parents only", async (t) => {
  // the page's policy prevents it from being shown, and the message from being posted
  const { tab, records } = await start(t, {
    who: null, at: "https://evil.test", markup: `<iframe src="${SSO}/pandium-sso"></iframe>`,
    expects: (words) => words.includes("frame-ancestors"),
    init: () => addEventListener("message", ({ data }) => (window.told ??= []).push(data)),
  });
  await until(() => records().length);
  await until(() => tab.frames()[1]?.url().startsWith("chrome-error:"));
  assert.equal(await tab.evaluate(() => window.told), undefined);
});

test("a Lax session cookie is sent with a link from another site", async (t) => {
  const { tab, context, signOns } = await start(t, { at: "https://evil.test", markup: `<a href="${SSO}/pandium-sso?integration_id=5">go</a>` });
  await tab.getByRole("link", { name: "go" }).click();
  await tab.waitForURL(`${MARKET}/**`);
  assert.deepEqual(signOns()[0].link, { integration_id: "5" });
  const cookies = await context.cookies(SSO);
  assert.deepEqual(cookies.map(({ name, sameSite, httpOnly, domain }) => [name, sameSite, httpOnly, domain]),
    [["session", "Lax", true, ".example.test"]]);
});

// a platform's page on another site, whose script has a token
const now = () => Math.floor(Date.now() / 1000);
function platformToken(claims = {}) {
  const text = [{ alg: "HS256", typ: "JWT" }, { sub: "6f1c", name: "grace@example.test", tenant: "acme-partner", iat: now(), exp: now() + 300, ...claims }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${text}.${createHmac("sha256", PLATFORM_SECRET).update(text).digest("base64url")}`;
}
const provided = (tokens) => `<marketplace-frame entrance="/by-token/pandium-sso" integration-id="3"></marketplace-frame><script>
  const tokens = ${JSON.stringify(tokens)};
  window.asked = [];
  document.querySelector("marketplace-frame").tokenProvider = async (ask) => { asked.push(ask); return tokens.shift(); };
</script>`;
const platform = (t, tokens, more) => start(t, { who: null, at: PLATFORM, markup: provided(tokens), ...more });

test("a platform's page uses its token; only its frame gets the URL", async (t) => {
  const asked = [];
  const { tab, context, state, marketplace, signOns, records } = await platform(t, [platformToken()], { suffix: "#later" });
  context.on("request", (request) => asked.push(request));
  await state("ready");
  const frame = await marketplace();
  assert.match(frame.url(), /tenant=eyJ/);
  const [signOn] = signOns();
  const claims = verified(signOn.token, SECRET);
  assert.equal(claims.sub, "6f1c");
  assert.equal(claims.ti.uem, "grace@example.test");
  assert.deepEqual(signOn.link, { integration_id: "3" });
  await until(() => records().length);
  assert.deepEqual(records().map(({ outcome, fetch_dest, entrance }) => [outcome, fetch_dest, entrance]), [["handed_off", "empty", "platform"]]);
  // nothing in the page contains the signed URL
  const told = await tab.evaluate(() => [
    JSON.stringify(performance.getEntries()), JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }),
    document.documentElement.outerHTML.replace(/<script>.*<\/script>/s, ""),
    document.querySelector("marketplace-frame").shadowRoot.innerHTML, String(history.length),
  ].join("\n"));
  assert.doesNotMatch(told, /eyJ/);
});

test("a preflight is allowed for parents and refused for others", async (t) => {
  const { tab } = await platform(t, [], { markup: "" });
  const ask = (page) => page.evaluate(([url, token]) => fetch(url, { headers: { accept: "application/json", "mp-authorization": `Bearer ${token}` } })
    .then((answer) => answer.status, () => "blocked"), [`${SSO}/by-token/pandium-sso`, platformToken()]);
  assert.equal(await ask(tab), 200);
  const evil = await start(t, { who: null, at: "https://evil.test", markup: "" });
  assert.equal(await ask(evil.tab), "blocked");
  await until(() => evil.records().length);
  assert.deepEqual(evil.records().map(({ reason }) => reason), ["cross_site_request"]);
});

test("an expired token is requested once more", async (t) => {
  const { tab, state, signOns } = await platform(t, [platformToken({ iat: now() - 600, exp: now() - 300 }), platformToken()]);
  await state("ready");
  assert.deepEqual(await tab.evaluate(() => window.asked), [{ refresh: false }, { refresh: true }]);
  assert.equal(signOns().length, 1);
});

test("a token of another issuer shows the sign-in", async (t) => {
  const { event, state, signOns } = await platform(t, [`${platformToken().slice(0, -6)}AAAAAA`]);
  assert.deepEqual(await event("unauthenticated"), { reason: "invalid_token" });
  await state("signed-out");
  assert.deepEqual(signOns(), []);
});
