// Makes the pictures at the top of README.md from the playground's page: `make pictures`.

import { test } from "node:test";
import { open, startBrowser } from "./support/browser.js";
import { ROOT, startHosts } from "./support/hosts.js";
import { signInToPlayground, startPlayground } from "./support/playground.js";

const hosts = await startHosts({ services: {} });
const browser = await startBrowser(hosts);
const playground = await startPlayground();

test("the pictures of the README", async (t) => {
  const { tab } = await open(t, hosts, browser, { who: null, url: playground, context: { viewport: { width: 1280, height: 780 } } });
  await signInToPlayground(tab, "Ben Okafor");
  // the first request is slower than those after it
  await tab.getByRole("link", { name: "Integrations", exact: true }).click();
  await tab.locator(".step").nth(3).getByText("shows the list").waitFor();
  await tab.locator(".step").nth(2).getByText("took").waitFor();
  await tab.locator("#state").getByText("framed").waitFor();
  await tab.mouse.move(0, 0);
  await tab.evaluate(() => document.activeElement.blur());
  for (const colorScheme of ["light", "dark"]) {
    await tab.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await tab.screenshot({ path: new URL(`docs/images/playground-${colorScheme}.png`, ROOT).pathname, animations: "disabled" });
  }
});
