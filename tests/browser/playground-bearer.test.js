// `playground --as bearer`: an app whose page sends a token of an issuer that rotates its keys.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessibility, open, picture, startBrowser } from "./support/browser.js";
import { startHosts } from "./support/hosts.js";
import { loadWithRefusedToken, startPlayground } from "./support/playground.js";

const hosts = await startHosts({ services: {} });
const browser = await startBrowser(hosts);
const playground = await startPlayground("--as", "bearer");

test("a person is chosen first, and after a key rotation no user is refused", async (t) => {
  const { tab, said } = await open(t, hosts, browser, { who: null, url: playground });
  const button = (name) => tab.getByRole("button", { name });
  const keys = tab.locator("#keys li");
  await tab.getByText("Choose a person above.").waitFor();
  await tab.locator("#state").getByText("empty").waitFor();
  await keys.getByText("signs").waitFor();
  assert.equal(await keys.count(), 1);
  await button("Ben Okafor").click();
  await tab.locator("#marketplace").contentFrame().getByText("Signed on as Ben Okafor Pro").waitFor();
  await button("Rotate the keys").click();
  await tab.getByText("key-2 signs now. Ben Okafor is signed on.").waitFor();
  assert.equal(await button("Open again").count(), 1);
  await tab.locator("#state").getByText("framed").waitFor();
  await button("Ada Winter").click();
  await tab.getByText("Ada Winter is signed on.").waitFor();
  assert.equal(await tab.locator("#keys-said").textContent(), "");
  for (const width of [1280, 360]) {
    await tab.setViewportSize({ width, height: 800 });
    assert.deepEqual(await accessibility(tab), [], `at ${width}`);
    assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    await picture(tab, `playground-bearer-${width}`, { fullPage: true });
  }
  assert.deepEqual(said, []);
});

test("the badge says that the marketplace refuses", async (t) => {
  const { tab } = await open(t, hosts, browser, { who: null, url: playground });
  await tab.getByRole("button", { name: "Ben Okafor" }).click();
  await tab.locator("#state").getByText("framed").waitFor();
  await loadWithRefusedToken(tab);
  await tab.locator("#state").getByText("refused").waitFor();
  await picture(tab, "playground-bearer-refused", { fullPage: true });
  await tab.getByRole("button", { name: "Open again" }).click();
  await tab.locator("#state").getByText("framed").waitFor();
});

test("an earlier answer about the keys does not replace a later one", async (t) => {
  const { tab } = await open(t, hosts, browser, { who: null, url: playground });
  const status = tab.locator("#keys-status");
  await status.getByText("key server up").waitFor();
  let release;
  const released = new Promise((resolve) => (release = resolve));
  await tab.route("**/platform/keys", async (route) => {
    const response = await route.fetch();
    await released;
    await route.fulfill({ response });
  }, { times: 1 });
  const held = tab.waitForRequest("**/platform/keys");
  await tab.getByRole("button", { name: "Ben Okafor" }).click();
  await held;
  await tab.getByRole("button", { name: "Take the key server down" }).click();
  await status.getByText("key server down").waitFor();
  await tab.getByText("Ben Okafor is signed on.").last().waitFor();
  release();
  await (await (await held).response()).finished();
  // the page has read it
  await tab.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
  assert.equal(await status.textContent(), "key server down");
  await tab.getByRole("button", { name: "Bring the key server back" }).click();
  await status.getByText("key server up").waitFor();
});
