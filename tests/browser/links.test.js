// Links into the marketplace: by attribute, URL and fragment; history navigation; messages of the
// marketplace, and forged ones.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open, startBrowser } from "./support/browser.js";
import { APP, MARKET, SSO, startHosts } from "./support/hosts.js";
import { until } from "./support/waiting.js";

const hosts = await startHosts();
const browser = await startBrowser(hosts);
const start = (t, options) => open(t, hosts, browser, options);
const links = (signOns) => signOns.map(({ path, link }) => [path, link]);
const last = (list) => list.at(-1);

test("a link by attributes shows its integration", async (t) => {
  const { state, signOns } = await start(t, {
    markup: `<marketplace-frame integration-id="1121" display="settings" integration-settings="a b&c"></marketplace-frame>`,
  });
  await state("ready");
  assert.deepEqual(links(signOns()), [["/acme", { integration_id: "1121", display: "settings", integration_settings: "a b&c" }]]);
});

test("an install link shows the install page", async (t) => {
  const { state, signOns } = await start(t, { markup: `<marketplace-frame install="1121"></marketplace-frame>` });
  await state("ready");
  assert.deepEqual(links(signOns()), [["/acme/tenants/create/1121", {}]]);
});

for (const [address, expected] of [
  ["/pandium-sso?integration_id=7&display=settings", ["/acme", { integration_id: "7", display: "settings" }]],
  ["/pandium-sso/install/7", ["/acme/tenants/create/7", {}]],
]) {
  test(`${address} shows its page, at the top level and in a plain frame`, async (t) => {
    const top = await start(t, { url: SSO + address });
    await top.tab.waitForURL(`${MARKET}/**`);
    assert.deepEqual(links(top.signOns()), [expected]);
    const framed = await start(t, { markup: `<iframe src="${SSO}${address.replace("&", "&amp;")}"></iframe>` });
    await framed.marketplace();
    assert.deepEqual(links(framed.signOns()), [expected]);
  });
}

test("a fragment survives the redirect, in a frame and at the top level", async (t) => {
  const framed = await start(t, { markup: `<iframe src="${SSO}/pandium-sso#/settings/7"></iframe>` });
  const frame = await framed.marketplace();
  assert.equal(await frame.evaluate(() => location.hash), "#/settings/7");
  const { tab } = await start(t, { url: `${SSO}/pandium-sso#/settings/7` });
  await tab.waitForURL(`${MARKET}/**`);
  assert.equal(await tab.evaluate(() => location.hash), "#/settings/7");
});

test("the fragment of the app's page selects the integration", async (t) => {
  const { tab, state, signOns } = await start(t, {
    suffix: "#integration_id=11&display=settings", markup: `<marketplace-frame link-from="hash" integration-id="1"></marketplace-frame>`,
  });
  await state("ready");
  const before = await tab.evaluate(() => history.length);
  await tab.evaluate(() => (location.hash = "integration_id=12"));
  await until(() => signOns().length === 2);
  await state("ready");
  await tab.evaluate(() => (location.hash = "install=13"));
  await until(() => signOns().length === 3);
  await state("ready");
  assert.deepEqual(links(signOns()), [
    ["/acme", { integration_id: "11", display: "settings" }], ["/acme", { integration_id: "12" }], ["/acme/tenants/create/13", {}],
  ]);
  // the page's own two entries, and none of the frame
  assert.equal(await tab.evaluate(() => history.length), before + 2);
});

test("a fragment cannot set the user", async (t) => {
  const { state, signOns } = await start(t, {
    suffix: "#integration_id=11&tenant=eve", markup: `<marketplace-frame link-from="hash" params="tenant=eve"></marketplace-frame>`,
  });
  await state("ready");
  assert.deepEqual(links(signOns()), [["/acme", { integration_id: "11" }]]);
  assert.equal(signOns()[0].tokens, 1);
});

test("a changed attribute changes the page, without a history entry", async (t) => {
  const { tab, state, element, signOns, marketplace } = await start(t);
  await state("ready");
  const before = await tab.evaluate(() => history.length);
  await element.evaluate((node) => {
    node.setAttribute("integration-id", "8");
    node.setAttribute("display", "settings");
  });
  await until(() => signOns().length === 2);
  await state("ready");
  assert.match((await marketplace()).url(), /integration_id=8/);
  assert.deepEqual(last(signOns()).link, { integration_id: "8", display: "settings" });
  assert.equal(await tab.evaluate(() => history.length), before);
});

test("back and forward load the page again, with a new token each", async (t) => {
  const { tab, state, signOns, address } = await start(t, { markup: `<marketplace-frame integration-id="4"></marketplace-frame>` });
  await state("ready");
  await tab.goto(hosts.app.put(`${APP}/elsewhere`, "<!doctype html><title>Elsewhere</title>"));
  await tab.goBack();
  assert.equal(tab.url(), address);
  await state("ready");
  await tab.goForward();
  assert.equal(tab.url(), `${APP}/elsewhere`);
  await tab.goBack();
  await state("ready");
  const tokens = signOns().map(({ token }) => token);
  assert.ok(tokens.length >= 2);
  assert.equal(new Set(tokens).size, tokens.length);
  assert.ok(signOns().every(({ link }) => link.integration_id === "4"));
});

test("navigation inside the marketplace needs no new token", async (t) => {
  const { tab, state, marketplace, signOns } = await start(t);
  await state("ready");
  const frame = await marketplace();
  const before = await tab.evaluate(() => history.length);
  await frame.evaluate(() => history.pushState(null, "", "/acme/integrations/2"));
  // the frame is in another process
  await tab.waitForFunction((length) => history.length === length, before + 1);
  await tab.evaluate(() => history.back());
  await until(() => frame.url().startsWith(`${MARKET}/acme?`));
  assert.equal(await tab.evaluate(() => document.querySelector("marketplace-frame").state), "ready");
  assert.equal(signOns().length, 1);
});

test("a reload of the page loads a new token", async (t) => {
  const { tab, state, signOns } = await start(t);
  await state("ready");
  await tab.reload({ waitUntil: "domcontentloaded" });
  await state("ready");
  const [first, second, ...more] = signOns();
  assert.deepEqual(more, []);
  assert.notEqual(first.token, second.token);
});

test("two frames on a page are independent", async (t) => {
  const { tab, state, marketplace, signOns, element } = await start(t, {
    markup: `<marketplace-frame id="one" integration-id="1"></marketplace-frame><marketplace-frame id="two" integration-id="2"></marketplace-frame>`,
  });
  const two = tab.locator("#two");
  await Promise.all([state("ready"), state("ready", two)]);
  assert.deepEqual(signOns().map(({ link }) => link.integration_id).sort(), ["1", "2"]);
  const frames = [await marketplace(0), await marketplace(1)];
  const second = frames.find((frame) => frame.url().includes("integration_id=2"));
  await second.evaluate(() => post({ message: "pandium-content-height-change", height: 900 }));
  await tab.waitForFunction(() => document.querySelector("#two").offsetHeight === 900);
  assert.equal(await element.evaluate((node) => node.offsetHeight), 320);
  assert.deepEqual(await tab.evaluate(() => window.events.filter(({ type }) => type === "marketplace-height").map(({ id }) => id)), ["two"]);
});

test("the marketplace's messages become events, and set the height", async (t) => {
  const { tab, state, marketplace, event, events } = await start(t);
  await state("ready");
  const frame = await marketplace();
  const height = () => tab.locator("iframe").evaluate((node) => node.offsetHeight);
  await frame.evaluate(() => post({ message: "pandium-content-height-change", height: 700 }));
  assert.deepEqual(await event("height"), { height: 700 });
  assert.equal(await height(), 700);
  await frame.evaluate(() => post({ message: "pandium-content-height-change", height: "1000000px" }));
  await tab.waitForFunction(() => window.events.filter(({ type }) => type === "marketplace-height").length === 2);
  assert.deepEqual(await event("height"), { height: 20000 });
  await frame.evaluate(() => post({ message: "pandium-save-sync", tenant: { id: 9, name: "Acme", secret: "x" } }));
  assert.deepEqual(await event("save-sync"), { tenant: { id: 9, name: "Acme" } });
  await frame.evaluate(() => post({ message: "pandium-install-cancel" }));
  await event("install-cancel");
  await frame.evaluate(() => post({ message: "something-new" }));
  await until(async () => (await events("message")).length === 5);
});

test("messages from another origin, another frame or another window are ignored", async (t) => {
  const forger = (address) => hosts.app.put(address, `<!doctype html><title>Forger</title><script>
    window.forge = (to) => {
      for (const data of [{ type: "marketplace-sso:unauthenticated", reason: "unauthenticated" },
        { message: "pandium-content-height-change", height: 5000 }, { message: "pandium-install-cancel" }]) to.postMessage(data, "*");
    };
  </script>`);
  const forged = forger("https://evil.test/forger");
  const { tab, context, state, marketplace, element, event, events } = await start(t, {
    markup: `<marketplace-frame></marketplace-frame><iframe id="evil" src="${forged}"></iframe><iframe id="market" src="${MARKET}/other"></iframe>`,
  });
  await state("ready");
  const evil = await until(() => tab.frames().find((frame) => frame.url() === forged));
  await evil.waitForFunction(() => window.forge);
  // another frame to the page, the page to itself, another window
  await evil.evaluate(() => forge(parent));
  await tab.evaluate(() => {
    postMessage({ type: "marketplace-sso:unauthenticated", reason: "unauthenticated" }, "*");
    postMessage({ message: "pandium-content-height-change", height: 5000 }, "*");
  });
  const [popup] = await Promise.all([context.waitForEvent("page"), tab.evaluate((url) => void window.open(url), forged)]);
  await popup.waitForFunction(() => window.forge);
  await popup.evaluate(() => forge(opener));
  // the marketplace's own origin, in a frame that is not the element's
  const other = await until(() => tab.frames().find((frame) => frame.url() === `${MARKET}/other`));
  await other.waitForFunction(() => window.post);
  await other.evaluate(() => post({ message: "pandium-content-height-change", height: 5000 }));
  // the marketplace may not report a signed-out user: only the service may
  const frame = await until(() => tab.frames().find((frame) => frame.url().startsWith(`${MARKET}/acme`)));
  await frame.evaluate(() => post({ type: "marketplace-sso:unauthenticated", reason: "unauthenticated" }));
  // another page in the element's own frame
  await frame.evaluate((url) => location.assign(url), forged);
  const turned = await until(() => tab.frames().filter((one) => one.url() === forged)[1]);
  await turned.waitForFunction(() => window.forge);
  await turned.evaluate(() => forge(parent));
  // messages are ordered: when this one was received, so were all others
  await tab.evaluate(() => new Promise((resolve) => {
    addEventListener("message", ({ data }) => data === "last" && resolve());
    postMessage("last", "*");
  }));
  assert.equal(await element.evaluate((node) => node.state), "ready");
  assert.equal(await element.evaluate((node) => node.offsetHeight), 320);
  for (const type of ["height", "install-cancel", "unauthenticated"]) assert.deepEqual(await events(type), [], type);
  // only the message of the element's own marketplace was accepted
  assert.deepEqual((await events("message")).map(({ type }) => type), ["marketplace-sso:unauthenticated"]);
});
