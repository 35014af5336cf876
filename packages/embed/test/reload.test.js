// When the frame is loaded again, and what the page shows in the meantime.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, startBrowser, waitUntil } from "./stand-in.js";

const browser = await startBrowser();

test("reload() loads a new token", async (t) => {
  const { world, element, state, tab } = await openPage(t, browser);
  await state("ready");
  const before = await tab.evaluate(() => history.length);
  await element.evaluate((node) => node.reload());
  await state("ready");
  assert.equal(world.entries().length, 2);
  assert.equal(await tab.evaluate(() => history.length), before);
});

test("reload() shows the old frame until the next one has loaded, with its focus and height", async (t) => {
  const { world, tab, element, state, marketplace, event } = await openPage(t, browser);
  await state("ready");
  await (await marketplace()).evaluate(() => window.post({ message: "pandium-content-height-change", height: 700 }));
  await event("marketplace-height");
  const first = await tab.locator("iframe").elementHandle();
  await first.focus();
  let answer;
  world.patience = new Promise((resolve) => (answer = resolve));
  await element.evaluate((node) => (node.reload(), node.reload()));
  await state("loading");
  await waitUntil(() => world.seen.filter(({ host }) => host === "market").length >= 2);
  assert.equal(await tab.locator("iframe").count(), 2);
  assert.equal(await first.isVisible(), true);
  assert.equal(await tab.locator("[part~=panel]").isVisible(), false);
  assert.equal(await tab.locator("iframe").last().evaluate((node) => getComputedStyle(node).opacity), "0");
  // the old frame still works
  await (await marketplace()).evaluate(() => window.post({ message: "pandium-install-cancel" }));
  await event("marketplace-install-cancel");
  answer();
  await state("ready");
  assert.equal(await first.evaluate((node) => node.isConnected), false);
  assert.equal((await tab.locator("iframe").boundingBox()).height, 700);
  assert.equal(await tab.evaluate(() => document.activeElement.shadowRoot?.activeElement?.localName), "iframe");
});

test("a reload that is refused or signed out removes the old frame", async (t) => {
  const { world, tab, element, state } = await openPage(t, browser);
  for (const [change, wanted, frames] of [[{ entranceStatus: 403 }, "refused", 1], [{ entranceStatus: 200, isSignedIn: false }, "signed-out", 0]]) {
    Object.assign(world, { entranceStatus: 200, isSignedIn: true });
    await element.evaluate((node) => node.reload());
    await state("ready");
    Object.assign(world, change);
    await element.evaluate((node) => node.reload());
    await state(wanted);
    assert.equal(await tab.locator("iframe").count(), frames);
  }
});

test("the last height of a link is remembered for the tab", async (t) => {
  const { tab, state, marketplace, event } = await openPage(t, browser, {
    markup: `<marketplace-frame link-from="hash"></marketplace-frame>`, path: "/#integration_id=1",
  });
  await state("ready");
  await (await marketplace()).evaluate(() => window.post({ message: "pandium-content-height-change", height: 700 }));
  await event("marketplace-height");
  await tab.reload();
  await tab.waitForFunction(() => document.querySelector("marketplace-frame").offsetHeight === 700);
  const stored = await tab.evaluate(() => ({ ...sessionStorage }));
  assert.deepEqual(stored, { "marketplace-frame:/pandium-sso?integration_id=1": "700" });
});

test("the page can prevent the reload after a long sleep", async (t) => {
  const { world, tab, state, events } = await openPage(t, browser, {
    clock: true, init: () => addEventListener("marketplace-beforereload", (event) => window.isTyping && event.preventDefault()),
  });
  await state("ready");
  await tab.evaluate(() => (window.isTyping = true));
  await tab.clock.fastForward("40:00");
  assert.equal((await events("marketplace-beforereload")).length, 1);
  assert.equal(world.entries().length, 1);
  await tab.evaluate(() => (window.isTyping = false));
  await tab.clock.fastForward("40:00");
  await waitUntil(() => world.entries().length === 2);
  await state("ready");
});

test("a long sleep loads a new token, a short one does not", async (t) => {
  const { world, tab, state, element } = await openPage(t, browser, { clock: true });
  await state("ready");
  await tab.clock.fastForward("20:00");
  assert.equal(await element.evaluate((node) => node.state), "ready");
  await tab.clock.fastForward("32:00");
  await waitUntil(() => world.entries().length === 2);
  await state("ready");
});

test("max-age sets when a token is renewed, and 0 disables it", async (t) => {
  const { world, tab, state, element } = await openPage(t, browser, { clock: true, markup: `<marketplace-frame max-age="60"></marketplace-frame>` });
  await state("ready");
  await tab.clock.fastForward("02:00");
  await waitUntil(() => world.entries().length === 2);
  await state("ready");
  await element.evaluate((node) => node.setAttribute("max-age", "0"));
  await tab.clock.fastForward("01:00:00");
  assert.equal(await element.evaluate((node) => node.state), "ready");
  assert.equal(world.entries().length, 2);
});

test("a page shown after a long time loads a new token", async (t) => {
  const { world, tab, state } = await openPage(t, browser, { clock: true });
  await state("ready");
  const hide = (isHidden) => tab.evaluate((isHidden) => {
    Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
  await hide(true);
  await tab.clock.fastForward("40:00");
  assert.equal(world.entries().length, 1);
  await hide(false);
  await waitUntil(() => world.entries().length === 2);
});
