// `playground --as oidc`: an app whose users the service signs in at a stand-in provider.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { accessibility, open, picture, startBrowser } from "./support/browser.js";
import { startHosts } from "./support/hosts.js";
import { startPlayground } from "./support/playground.js";

const hosts = await startHosts({ services: {} });
const browser = await startBrowser(hosts);
const playground = await startPlayground("--as", "oidc");
const start = (t) => open(t, hosts, browser, { who: null, url: playground });
const button = (tab, name) => tab.getByRole("button", { name });

// a failed test may have taken the provider down
afterEach(async () => {
  const headers = { origin: new URL(playground).origin, "content-type": "application/json" };
  const { status } = await fetch(new URL("/provider", playground), { method: "POST", headers, body: `{"do":"up"}` });
  assert.equal(status, 200);
});

/** Opens the provider's login page. */
async function openPopup(context, tab) {
  const [popup] = await Promise.all([context.waitForEvent("page"), button(tab, "Sign in").click()]);
  await popup.getByRole("heading", { name: "Sign in" }).waitFor();
  return popup;
}

/** Signs in in the pop-up, up to the provider's response. */
async function popupOf(context, tab, who = "Ada Winter") {
  const popup = await openPopup(context, tab);
  await popup.getByRole("button", { name: who }).click();
  return popup;
}

const marketplace = (tab) => tab.locator("marketplace-frame iframe").contentFrame();

test("a pop-up signs in, and the marketplace is shown", async (t) => {
  const { tab, context, state } = await start(t);
  await state("signed-out");
  await popupOf(context, tab, "Ben Okafor");
  await state("ready");
  await marketplace(tab).getByText("Signed on as Ben Okafor Pro").first().waitFor();
  await button(tab, "Load again").click();
  await state("ready");
});

test("the console has nothing but the statuses of refusals", async (t) => {
  const { tab, context, state, said } = await start(t);
  await state("signed-out");
  await popupOf(context, tab);
  await state("ready");
  await button(tab, "Sign out").click();
  await state("signed-out");
  // a pop-up that is closed immediately has not lost its opener
  const popup = await openPopup(context, tab);
  await Promise.all([
    tab.waitForResponse((response) => response.status() === 401 && response.url().includes("/pandium-sso")),
    popup.close(),
  ]);
  await popupOf(context, tab);
  await state("ready");
  assert.deepEqual(said.filter((words) => !words.includes("status of 401")), []);
});

test("a user of another group is refused", async (t) => {
  const { tab, context, state } = await start(t);
  await state("signed-out");
  await popupOf(context, tab, "Dora Lindqvist");
  await state("refused");
  await marketplace(tab).getByText("not_allowed").waitFor();
});

test("a session that the provider ends also ends in the page", async (t) => {
  const { tab, context, state } = await start(t);
  await state("signed-out");
  await popupOf(context, tab);
  await state("ready");
  await button(tab, "End the sessions").click();
  await tab.getByText("the service answered 200").waitFor();
  await state("signed-out");
});

test("a sign-out asks for the next sign-in", async (t) => {
  const { tab, context, state } = await start(t);
  await state("signed-out");
  await popupOf(context, tab);
  await state("ready");
  await button(tab, "Sign out").press("Enter");
  await tab.getByText("Signed out.").waitFor();
  await state("signed-out");
  assert.equal(await tab.evaluate(() => document.activeElement.textContent), "The session");
  assert.ok(await button(tab, "Sign out").isDisabled() && await button(tab, "Load again").isDisabled());
  await popupOf(context, tab);
  await state("ready");
  assert.equal(await tab.locator("#said").textContent(), "");
});

test("users are told that the provider is down, and sign in when it is back", async (t) => {
  const { tab, context, state } = await start(t);
  await state("signed-out");
  await button(tab, "Take the provider down").click();
  await tab.getByText("Sessions go on.").waitFor();
  const popup = await popupOf(context, tab);
  await popup.getByText("upstream_unavailable").waitFor();
  await popup.close();
  await button(tab, "Bring the provider back").click();
  await tab.getByText("Users can sign in again.").waitFor();
  await popupOf(context, tab);
  await state("ready");
});

test("a rotation of the keys is not noticed by users", async (t) => {
  const { tab, context, state } = await start(t);
  await state("signed-out");
  await button(tab, "Rotate the keys").click();
  await tab.getByText("A new key signs now.").waitFor();
  await popupOf(context, tab);
  await state("ready");
});

test("the page passes axe-core, and fits a small screen", async (t) => {
  const { tab, context, state } = await start(t);
  await state("signed-out");
  const popup = await openPopup(context, tab);
  assert.deepEqual(await accessibility(popup), []);
  assert.equal(await popup.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  await picture(popup, "playground-oidc-popup", { fullPage: true });
  await popup.close();
  for (const width of [1280, 360]) {
    await tab.setViewportSize({ width, height: 800 });
    assert.deepEqual(await accessibility(tab), [], `at ${width}`);
    assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    for (const colorScheme of ["light", "dark"]) {
      await tab.emulateMedia({ colorScheme });
      await picture(tab, `playground-oidc-${width}-${colorScheme}`, { fullPage: true });
    }
  }
});
