// The playground: an app with a login, the component in its page, and next to it what happened.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessibility, clickToClose, open, picture, startBrowser } from "./support/browser.js";
import { startHosts } from "./support/hosts.js";
import { signInToPlayground, startPlayground } from "./support/playground.js";

const hosts = await startHosts({ services: {} });
const browser = await startBrowser(hosts);
const playground = await startPlayground();

const button = (tab, name) => tab.getByRole("button", { name });
const step = (tab, number) => tab.locator(".step").nth(number - 1);
// the old frame stays until the new one has loaded
const marketplace = (tab) => tab.locator("marketplace-frame iframe").last().contentFrame();

/** Opens the app, signed in. */
async function start(t, who = "Ben Okafor", options = {}) {
  const opened = await open(t, hosts, browser, { who: null, url: playground, ...options });
  await signInToPlayground(opened.tab, who);
  // the trace tells the page who the user is
  await step(opened.tab, 1).waitFor();
  return opened;
}

test("the four steps follow the frame, and open to what was sent", async (t) => {
  const { tab, said } = await start(t);
  await step(tab, 3).getByText("took").waitFor();
  await step(tab, 4).getByText("shows the list of integrations").waitFor();
  await marketplace(tab).getByRole("link", { name: "Ledgerline settings" }).click();
  await step(tab, 4).getByText("the same token again · shows Ledgerline settings").waitFor();
  assert.match(await tab.locator("#address").textContent(), /integration_id=1121/);
  await tab.getByRole("link", { name: "Install Helpwell" }).click();
  await step(tab, 1).getByText("GET /pandium-sso/install/1130").waitFor();
  await marketplace(tab).getByRole("heading", { name: "Install Helpwell" }).waitFor();
  // each of these renders the steps again
  await step(tab, 3).getByText("took").waitFor();
  await step(tab, 4).getByText("shows install Helpwell").waitFor();
  await step(tab, 3).click();
  const row = tab.getByRole("row", { name: "ti.xti.user_tier" });
  assert.match(await row.textContent(), /pro.*attributes\.plan/);
  assert.deepEqual(said, []);
});

test("a forged identity is refused, and the reason is shown", async (t) => {
  const { tab } = await start(t);
  await button(tab, "Forge an identity header").click();
  await step(tab, 3).getByText("untrusted_peer").waitFor();
  await marketplace(tab).getByText("Signed on as Ben Okafor").waitFor();
});

test("an expired token is refused in the frame, until the next one", async (t) => {
  const { tab } = await start(t);
  await button(tab, "Expire the token").click();
  await marketplace(tab).getByText("This token was refused").waitFor();
  await tab.locator("#state").getByText("refused").waitFor();
  await step(tab, 4).getByText("The marketplace refuses").waitFor();
  await tab.getByRole("link", { name: "Integrations", exact: true }).click();
  await marketplace(tab).getByText("Signed on as Ben Okafor").waitFor();
  await tab.locator("#state").getByText("framed").waitFor();
});

test("an ended session leaves no user, and a pop-up signs in again", async (t) => {
  const { tab, context, state } = await start(t);
  await button(tab, "Let the session end").click();
  await state("signed-out");
  await tab.getByText("Not signed in", { exact: true }).waitFor();
  await step(tab, 2).getByText("The proxy adds no identity").waitFor();
  for (const what of ["Expire the token", "Embed from another site"]) {
    await button(tab, what).click();
    await tab.locator("#said").getByText("Sign in again").waitFor();
    await button(tab, "Ask for JSON").click();
    await tab.locator("#said").getByText("answered 401").waitFor();
  }
  const [popup] = await Promise.all([context.waitForEvent("page"), tab.locator("marketplace-frame").getByRole("button").click()]);
  await popup.setViewportSize({ width: 520, height: 680 });
  const { y, height } = await button(popup, "Sign in").boundingBox();
  assert.ok(y + height <= 680, "the button is below the fold");
  await popup.getByText("Carla Mendes").click();
  await clickToClose(popup, button(popup, "Sign in"));
  await state("ready");
  await tab.getByRole("banner").getByText("Carla Mendes").waitFor();
  assert.equal(await tab.locator("#said").textContent(), "");
});

test("another site may not embed it", async (t) => {
  const { tab } = await start(t, "Ben Okafor", { expects: (words) => words.includes("frame-ancestors") });
  await button(tab, "Embed from another site").click();
  await step(tab, 3).getByText("embedding_not_allowed").waitFor();
  assert.equal(await tab.locator("#shown").textContent(), "Another site");
  await button(tab, "Back to Larkspur").click();
  assert.equal(await tab.locator("#said").textContent(), "");
  await marketplace(tab).getByText("Signed on as Ben Okafor").waitFor();
});

test("an upgrade leads to the plans, and the plan to the marketplace", async (t) => {
  const { tab } = await start(t, "Ada Winter");
  await marketplace(tab).getByRole("link", { name: "Upgrade to Pro for Parcelway" }).click();
  await tab.getByRole("radio", { name: "Free" }).and(tab.locator(":focus")).waitFor();
  await tab.locator("#plan").getByText("Enterprise").click();
  await marketplace(tab).getByText("1 of 50 installs used").waitFor();
});

test("everything is visible without scrolling, passes axe-core and fits a small screen", async (t) => {
  const { tab } = await start(t);
  await tab.setViewportSize({ width: 1280, height: 800 });
  await step(tab, 3).getByText("took").waitFor();
  for (const last of [step(tab, 4), button(tab, "Rotate the secret under load")]) {
    const { y, height } = await last.boundingBox();
    assert.ok(y + height < 800, "it is below the first screen");
  }
  for (const width of [1280, 768, 360]) {
    await tab.setViewportSize({ width, height: 800 });
    assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    for (const colorScheme of ["light", "dark"]) {
      await tab.emulateMedia({ colorScheme });
      await picture(tab, `playground-${width}-${colorScheme}`, { fullPage: true });
    }
  }
  assert.deepEqual(await accessibility(tab), []);
  await step(tab, 3).click();
  assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  assert.deepEqual(await accessibility(tab), []);
});
