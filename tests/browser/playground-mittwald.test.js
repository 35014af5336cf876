// `playground --as mittwald`: a stand-in mStudio, which opens the extension in a frame.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessibility, open, picture, startBrowser } from "./support/browser.js";
import { startHosts } from "./support/hosts.js";
import { startPlayground } from "./support/playground.js";

const hosts = await startHosts({ services: {} });
const browser = await startBrowser(hosts);
const playground = await startPlayground("--as", "mittwald");

test("the extension opens in a frame, and every button is answered", async (t) => {
  const { tab } = await open(t, hosts, browser, { who: null, url: playground });
  const click = (name) => tab.getByRole("button", { name, exact: true }).click();
  const webhook = (text) => tab.locator("#webhooks").getByText(text).first().waitFor();
  const marketplace = tab.locator("#marketplace").contentFrame();
  await webhook("ExtensionAddedToContext: 204");
  await tab.locator("#state").getByText("empty").waitFor();
  await click("Open");
  await marketplace.getByText("Signed on as Ada Winter").first().waitFor();
  await tab.locator("#state").getByText("framed").waitFor();
  await click("Ben Okafor Okafor Cycles");
  await marketplace.getByText("Signed on as Ben Okafor").first().waitFor();
  await click("Access token");
  await tab.locator("#token").getByText("mstudio-token-").waitFor();
  const said = tab.getByRole("status");
  await said.getByText("Access token: the service answers 200. mstudio-token-").waitFor();
  for (const width of [360, 768, 1280]) {
    await tab.setViewportSize({ width, height: 800 });
    await click("Access token");
    await tab.waitForFunction(() => {
      const { top, bottom } = document.getElementById("said").getBoundingClientRect();
      return top >= 0 && bottom <= 800;
    });
  }
  await tab.setViewportSize({ width: 360, height: 800 });
  const { y } = await said.boundingBox();
  const buttons = await tab.locator("#instances button").all();
  for (const box of await Promise.all(buttons.map((button) => button.boundingBox()))) {
    assert.ok(box.y + box.height <= y, "the result covers a button");
  }
  await tab.setViewportSize({ width: 1280, height: 800 });
  await click("Rotate the secret");
  await webhook("SecretRotated: 204");
  await click("Forge a removal");
  await webhook("Forged: InstanceRemovedFromContext: 401 invalid_token");
  await picture(tab, "playground-mittwald-1280", { fullPage: true });
  await tab.setViewportSize({ width: 360, height: 800 });
  assert.deepEqual(await accessibility(tab), []);
  assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  await picture(tab, "playground-mittwald-360", { fullPage: true });
  await click("Remove");
  await webhook(/^InstanceRemovedFromContext: 204/);
  await click("Open");
  await marketplace.getByText("not_allowed").waitFor();
  await tab.locator("#state").getByText("refused").waitFor();
  await said.getByText("The service refuses to open the extension for Ben Okafor: not_allowed.").waitFor();
  await click("Access token");
  await said.getByText("Access token: the service answers 404. ").waitFor();
  assert.doesNotMatch(await said.textContent(), /Nothing is at this path/);
});
