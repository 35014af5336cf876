// `playground --as mittwald`: a stand-in mStudio, which opens the extension in a frame.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessibility, open, picture, startBrowser } from "./support/browser.js";
import { startHosts } from "./support/hosts.js";
import { loadWithRefusedToken, startPlayground } from "./support/playground.js";

const hosts = await startHosts({ services: {} });
const browser = await startBrowser(hosts);
const playground = await startPlayground("--as", "mittwald");

test("the extension opens in a frame, and every button is answered", async (t) => {
  const { tab } = await open(t, hosts, browser, { who: null, url: playground });
  const named = (name) => tab.getByRole("button", { name, exact: true });
  const click = (name) => named(name).click();
  const webhook = (text) => tab.locator("#webhooks").getByText(text).first().waitFor();
  /** Clicks a button that sends a webhook, and waits until the buttons have been replaced. */
  const change = async (name, text) => {
    const button = await named(name).elementHandle();
    await button.click();
    await webhook(text);
    await button.waitForElementState("hidden");
  };
  const marketplace = tab.locator("#marketplace").contentFrame();
  await webhook("ExtensionAddedToContext: 204");
  await tab.locator("#state").getByText("empty").waitFor();
  await click("Open");
  await marketplace.getByText("Signed on as Ada Winter").first().waitFor();
  await tab.locator("#state").getByText("framed").waitFor();
  await click("Ben Okafor Okafor Cycles");
  await marketplace.getByText("Signed on as Ben Okafor").first().waitFor();
  await tab.locator("#state").getByText("framed").waitFor();
  await click("Access token");
  await tab.locator("#token").getByText("mstudio-token-").waitFor();
  const said = tab.getByRole("status");
  await said.getByText("Access token: the service answers 200. mstudio-token-").waitFor();
  for (const width of [360, 768, 1280]) {
    await tab.setViewportSize({ width, height: 800 });
    // the next result has the same text
    await said.evaluate((node) => node.replaceChildren());
    await click("Access token");
    await said.getByText("Access token: the service answers 200. ").waitFor();
    const { top, bottom } = await said.evaluate((node) => node.getBoundingClientRect().toJSON());
    assert.ok(top >= 0 && bottom <= 800, "the result is outside the window");
  }
  await tab.setViewportSize({ width: 360, height: 800 });
  const { y } = await said.boundingBox();
  const buttons = await tab.locator("#instances button").all();
  for (const box of await Promise.all(buttons.map((button) => button.boundingBox()))) {
    assert.ok(box.y + box.height <= y, "the result covers a button");
  }
  await tab.setViewportSize({ width: 1280, height: 800 });
  await change("Rotate the secret", "SecretRotated: 204");
  await change("Forge a removal", "Forged: InstanceRemovedFromContext: 401 invalid_token");
  await picture(tab, "playground-mittwald-1280", { fullPage: true });
  await tab.setViewportSize({ width: 360, height: 800 });
  assert.deepEqual(await accessibility(tab), []);
  assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  await picture(tab, "playground-mittwald-360", { fullPage: true });
  await loadWithRefusedToken(tab);
  await tab.locator("#state").getByText("refused").waitFor();
  await said.getByText("The marketplace refuses Ben Okafor: the frame says why.").waitFor();
  await click("Open");
  await tab.locator("#state").getByText("framed").waitFor();
  await change("Remove", /^InstanceRemovedFromContext: 204/);
  await click("Open");
  await marketplace.getByText("not_allowed").waitFor();
  await tab.locator("#state").getByText("refused").waitFor();
  await said.getByText("The service refuses to open the extension for Ben Okafor: not_allowed.").waitFor();
  await click("Access token");
  await said.getByText("Access token: the service answers 404. ").waitFor();
  assert.doesNotMatch(await said.textContent(), /Nothing is at this path/);
});
