// The service's own sign-in from within a frame: by a pop-up, or at the top level; with parents on the same site,
// and on another one, where the frame gets no cookie.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessibility, clickToClose, open, picture, startBrowser } from "./support/browser.js";
import { APP, MARKET, SECRET, SSO, startHosts } from "./support/hosts.js";
import { verified } from "./support/marketplace.js";
import { atProvider, ISSUER } from "./support/provider.js";

const CROSS = "https://sso.elsewhere.test";
const PARTITIONED = "https://partitioned.elsewhere.test";
const hosts = await startHosts({
  signsIn: true,
  services: {
    "sso.example.test": "",
    // on another site than the app, which a pattern allows
    "sso.elsewhere.test": `store.url = "sqlite:cross.db"\nembed.parents = ["https://*.example.test"]`,
    "partitioned.elsewhere.test": `store.url = "sqlite:partitioned.db"\nsession.same_site = "none_partitioned"`,
  },
  more: ["evil.test"],
});
const browser = await startBrowser(hosts);
// browsers block third-party cookies in every non-persistent context, as in private windows
const start = (t, options) => open(t, hosts, browser, { who: null, ...options });
const LINK = { integration_id: "1121", display: "settings" };
const QUERY = String(new URLSearchParams(LINK));
const component = `<marketplace-frame integration-id="1121" display="settings"></marketplace-frame>`;
const bare = (sso) => `<iframe src="${sso}/pandium-sso?${QUERY}" width="300" height="400" title="Integrations"></iframe>`;
const inComponent = (tab) => tab.getByRole("button", { name: "Sign in" });
const inFrame = (tab) => tab.frameLocator("iframe").getByRole("link", { name: "Sign in" });
const subjects = (signOns) => signOns.map(({ token }) => verified(token, SECRET).sub);

/** Clicks, and signs in with the pop-up, which closes itself. */
async function signIn(context, button, who = "Ada") {
  const [popup] = await Promise.all([context.waitForEvent("page"), button.click()]);
  await closeAtProvider(popup, who);
}

/** Signs in with a pop-up that is open. */
async function closeAtProvider(popup, who = "Ada") {
  await popup.waitForURL(`${ISSUER}/interaction/**`);
  await clickToClose(popup, popup.getByRole("button", { name: who }));
}

/** Clicks, and waits for the pop-up to close itself: the user is logged in at the provider already. */
async function signInAgain(context, button) {
  const [popup] = await Promise.all([context.waitForEvent("page"), button.click()]);
  if (!popup.isClosed()) await popup.waitForEvent("close");
}

for (const [where, from] of [["on the same site", SSO], ["on another site", CROSS], ["on another site, with a partitioned cookie", PARTITIONED]]) {
  test(`a pop-up signs in for the component ${where}`, async (t) => {
    const { tab, context, state, signOns, event, ready } = await start(t, { from, markup: component });
    assert.deepEqual(await event("unauthenticated"), { reason: "unauthenticated" });
    await state("signed-out");
    await signIn(context, inComponent(tab));
    await ready(1);
    assert.deepEqual(signOns().map(({ link }) => link), [LINK]);
    assert.deepEqual(subjects(signOns()), ["ada"]);
  });

  test(`a pop-up signs in for a bare frame ${where}`, async (t) => {
    const { tab, context, marketplace, signOns } = await start(t, { from, markup: bare(from) });
    await signIn(context, inFrame(tab));
    await marketplace();
    assert.deepEqual(signOns().map(({ link }) => link), [LINK]);
    assert.deepEqual(subjects(signOns()), ["ada"]);
  });
}

for (const [where, from] of [["on the same site", SSO], ["with a partitioned cookie", PARTITIONED]]) {
  test(`the session serves the component's next load ${where}`, async (t) => {
    const { tab, context, state, element, signOns, ready } = await start(t, { from });
    await state("signed-out");
    await signIn(context, inComponent(tab));
    await ready(1);
    await element.evaluate((node) => node.reload());
    await ready(2);
    assert.deepEqual(subjects(signOns()), ["ada", "ada"]);
  });
}

test("on another site, the next load asks for a sign-in again", async (t) => {
  const { tab, context, state, element, signOns, ready } = await start(t, { from: CROSS });
  await state("signed-out");
  await signIn(context, inComponent(tab));
  await ready(1);
  await element.evaluate((node) => node.reload());
  await state("signed-out");
  await signInAgain(context, inComponent(tab));
  await ready(2);
  assert.equal(signOns().length, 2);
});

test("the service's own page with the component signs in by pop-up", async (t) => {
  const { tab, context, state, signOns, ready } = await start(t, { url: `${SSO}/embed?${QUERY}` });
  await state("signed-out");
  await signIn(context, inComponent(tab));
  await ready(1);
  assert.deepEqual(signOns().map(({ link }) => link), [LINK]);
});

const blocked = () => {
  window.open = (address, target) => (target === "_top" ? Object.assign(window.top.location, { href: address }) : null);
};

test("with pop-ups blocked, the component signs in at the top level", async (t) => {
  const { tab, state, address, signOns, ready } = await start(t, { markup: component, init: blocked });
  await state("signed-out");
  await inComponent(tab).click();
  await atProvider(tab, "Ada");
  await tab.waitForURL(address);
  await ready(1);
  assert.deepEqual(signOns().map(({ link }) => link), [LINK]);
});

test("with pop-ups blocked, a bare frame signs in at the top level", async (t) => {
  const { tab, signOns } = await start(t, { markup: bare(SSO), init: blocked });
  await inFrame(tab).click();
  await atProvider(tab, "Ada");
  await tab.waitForURL(`${MARKET}/**`);
  assert.deepEqual(signOns().map(({ link }) => link), [LINK]);
});

for (const [what, markup, button] of [["the component", component, inComponent], ["a bare frame", bare(SSO), inFrame]]) {
  test(`${what} stays usable when the pop-up is closed`, async (t) => {
    const { tab, context, marketplace, signOns } = await start(t, { markup });
    const [popup] = await Promise.all([context.waitForEvent("page"), button(tab).click()]);
    await popup.waitForURL(`${ISSUER}/interaction/**`);
    // the frame is loaded again, which could lose a click
    await Promise.all([tab.waitForEvent("framenavigated"), popup.close()]);
    await signIn(context, button(tab));
    await marketplace();
    assert.equal(signOns().length, 1);
  });

  test(`${what} stays usable when the sign-in is cancelled`, async (t) => {
    const { tab, context, marketplace, signOns } = await start(t, { markup });
    const [popup] = await Promise.all([context.waitForEvent("page"), button(tab).click()]);
    await atProvider(popup, "Cancel");
    await popup.getByRole("link", { name: "Use another account" }).click();
    await closeAtProvider(popup);
    await marketplace();
    assert.equal(signOns().length, 1);
  });
}

test("a sign-out at the provider is seen by the frame's next load", async (t) => {
  const { tab, context, state, element, signOns, ready } = await start(t);
  await state("signed-out");
  await signIn(context, inComponent(tab));
  await ready(1);
  const other = await context.newPage();
  await other.goto(`${ISSUER}/session/end`);
  await other.getByText("Signed out at the provider").waitFor();
  await other.close();
  await element.evaluate((node) => node.reload());
  await state("signed-out");
  await signIn(context, inComponent(tab), "Bob");
  await ready(2);
  assert.deepEqual(subjects(signOns()), ["ada", "bob"]);
});

test("a foreign opener gets no message", async (t) => {
  const { tab, context } = await start(t, {
    at: "https://evil.test", markup: `<button onclick="window.open('${CROSS}/auth/pandium-sso/login?mode=popup&ticket=1')">Go</button>`,
    init: () => addEventListener("message", ({ data }) => (window.told ??= []).push(data)),
  });
  const [popup] = await Promise.all([context.waitForEvent("page"), tab.getByRole("button", { name: "Go" }).click()]);
  await closeAtProvider(popup);
  assert.equal(await tab.evaluate(() => window.told), undefined);
});

test("a message that the pop-up did not send changes nothing", async (t) => {
  const { tab, state, signOns } = await start(t, { markup: bare(SSO) });
  await inFrame(tab).waitFor();
  const ticket = `${SSO}/l/${"A".repeat(43)}`;
  await tab.evaluate((ticket) => frames[0].postMessage({ type: "marketplace-sso:signed-in", ticket }, "*"), ticket);
  await tab.frames()[1].evaluate((ticket) => new Promise((resolve) => {
    addEventListener("message", () => setTimeout(resolve));
    postMessage({ type: "marketplace-sso:signed-in", ticket }, "*");
  }), ticket);
  assert.equal(await inFrame(tab).isVisible(), true);
  assert.equal(state && signOns().length, 0);
});

test("the signed-out bare frame passes axe-core", async (t) => {
  const { tab } = await start(t, { markup: bare(SSO) });
  await inFrame(tab).waitFor();
  assert.deepEqual(await accessibility(tab, tab.frames()[1]), []);
  await picture(tab, "oidc-frame-signed-out");
});
