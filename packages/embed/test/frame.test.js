// The frame: its URL, the messages it accepts, when it reloads, and that a removed element leaves
// nothing behind.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, startBrowser, waitUntil } from "./stand-in.js";

const browser = await startBrowser();
const last = (list) => list.at(-1);

test("one element signs the user on to the marketplace", async (t) => {
  const { world, tab, state, marketplace, said } = await openPage(t, browser);
  await state("ready");
  assert.match((await marketplace()).url(), /acme\?tenant=secret-token/);
  const frame = tab.locator("iframe");
  assert.equal(await frame.getAttribute("title"), "Integrations");
  assert.equal(await frame.getAttribute("allow"), "clipboard-write; storage-access");
  assert.equal(await frame.getAttribute("referrerpolicy"), "strict-origin");
  assert.equal(await frame.getAttribute("sandbox"), null);
  assert.equal(last(world.entries()).headers.referer, `${world.app}/`);
  assert.deepEqual(said, []);
});

test("a page with no-referrer still sends its origin", async (t) => {
  const { world, state } = await openPage(t, browser, { page: { headers: { "referrer-policy": "no-referrer" } } });
  await state("ready");
  assert.equal(last(world.entries()).headers.referer, `${world.app}/`);
});

test("the title of the element is the title of the frame", async (t) => {
  const { tab, state, element } = await openPage(t, browser, { markup: `<marketplace-frame title="Apps"></marketplace-frame>` });
  await state("ready");
  assert.equal(await tab.locator("iframe").getAttribute("title"), "Apps");
  await element.evaluate((node) => (node.title = "More apps"));
  await tab.locator('iframe[title="More apps"]').waitFor();
});

const links = [
  ["an integration and its display", `integration-id="1121" display="settings"`, "/pandium-sso?integration_id=1121&display=settings"],
  ["an integration's settings by name", `integration-settings="my app"`, "/pandium-sso?integration_settings=my+app"],
  ["an install", `install="1121"`, "/pandium-sso/install/1121?"],
  ["another entrance", `entrance="/partners/sso"`, "/partners/sso?"],
  ["further parameters, and never a tenant", `params="a=1&tenant=x&Tenant=y&b=2"`, "/pandium-sso?a=1&b=2"],
  ["an attribute before a parameter of the same name", `params="display=list" display="settings"`, "/pandium-sso?display=settings"],
];
for (const [what, attributes, address] of links) {
  test(`attributes lead to ${what}`, async (t) => {
    const { world, state } = await openPage(t, browser, { markup: `<marketplace-frame ${attributes}></marketplace-frame>` });
    await state("ready");
    const sent = last(world.seen.filter(({ host, path }) => host === "sso" && !path.startsWith("/embed")));
    assert.equal(sent.path + (sent.search || "?"), address);
    const asked = world.seen.find(({ path }) => path === "/embed.json");
    assert.match(asked.search, /^\?entrance=%2F/);
  });
}

test("base sets the origin of entrance and settings", async (t) => {
  const { world, state } = await openPage(t, browser, {
    pages: { "/bundled": (world) => ({
      body: `<marketplace-frame base="${world.sso}/"></marketplace-frame><script type="module" src="/package/embed.js"></script>`,
    }) },
    path: "/bundled",
  });
  await state("ready");
  assert.equal(world.entries().length, 1);
});

for (const [what, attributes] of [["an entrance", `entrance="@evil.example/x"`], ["a base", `base="javascript:0"`]]) {
  test(`an invalid ${what} is a configuration error`, async (t) => {
    const { event, said, world } = await openPage(t, browser, { markup: `<marketplace-frame ${attributes}></marketplace-frame>` });
    assert.equal((await event("marketplace-error")).code, "configuration");
    assert.match(said.join(), /base is not a URL, or entrance is not a path/);
    assert.equal(world.entries().length, 0);
  });
}

test("attributes that change together load once, without history", async (t) => {
  const { world, tab, state, element } = await openPage(t, browser);
  await state("ready");
  const before = await tab.evaluate(() => history.length);
  for (const id of ["1", "2", "3"]) {
    await element.evaluate((node, id) => {
      node.setAttribute("integration-id", "9");
      node.setAttribute("integration-id", id);
      node.setAttribute("display", "settings");
    }, id);
    await state("ready");
    await tab.waitForFunction((id) => document.querySelector("marketplace-frame").shadowRoot.querySelector("iframe").src.includes(`id=${id}`), id);
  }
  await state("ready");
  assert.deepEqual(world.entries().map(({ search }) => search), [
    "", ...["1", "2", "3"].map((id) => `?integration_id=${id}&display=settings`),
  ]);
  assert.equal(await tab.evaluate(() => history.length), before);
});

test("setting an attribute to its value loads nothing", async (t) => {
  const { world, tab, state, element } = await openPage(t, browser, { markup: `<marketplace-frame display="list"></marketplace-frame>` });
  await state("ready");
  await element.evaluate((node) => node.setAttribute("display", "list"));
  await tab.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal(await element.evaluate((node) => node.state), "ready");
  assert.equal(world.entries().length, 1);
});

test("the page's fragment selects an integration, by known names", async (t) => {
  const { world, tab, state } = await openPage(t, browser, {
    path: "/#integration_id=1121&display=settings&tenant=x&other=y",
    markup: `<marketplace-frame link-from="hash" integration-id="5"></marketplace-frame>`,
  });
  await state("ready");
  assert.equal(last(world.entries()).search, "?integration_id=1121&display=settings");
  await tab.evaluate(() => (location.hash = "#install=7"));
  await tab.waitForFunction(() => document.querySelector("marketplace-frame").shadowRoot.querySelector("iframe").src.includes("install/7"));
  await tab.evaluate(() => (location.hash = "#elsewhere"));
  await tab.waitForFunction(() => document.querySelector("marketplace-frame").shadowRoot.querySelector("iframe").src.includes("integration_id=5"));
  await state("ready");
});

test("the fragment is ignored without link-from", async (t) => {
  const { world, state } = await openPage(t, browser, { path: "/#integration_id=1121" });
  await state("ready");
  assert.equal(last(world.entries()).search, "");
});

test("the marketplace's messages become events", async (t) => {
  const { state, marketplace, event, events } = await openPage(t, browser);
  await state("ready");
  const post = async (data) => (await marketplace()).evaluate((data) => window.post(data), data);
  await post({ message: "pandium-install-cancel" });
  assert.equal(await event("marketplace-install-cancel"), null);
  await post({ message: "pandium-save-sync", tenant: { id: 3, name: "Acme", more: 1 } });
  assert.deepEqual(await event("marketplace-save-sync"), { tenant: { id: 3, name: "Acme" } });
  await post({ message: "something-else", value: 1 });
  await post("a text");
  await post(null);
  await post({ message: "pandium-install-cancel" });
  await waitUntil(async () => (await events("marketplace-install-cancel")).length === 2);
  const all = await events("marketplace-message");
  assert.deepEqual(all.map(({ detail }) => detail?.message ?? detail), [
    "pandium-install-cancel", "pandium-save-sync", "something-else", "a text", null, "pandium-install-cancel",
  ]);
});

test("the frame has the marketplace's height, within limits", async (t) => {
  const { tab, state, marketplace, events } = await openPage(t, browser, {
    page: { head: "<style>.low { --marketplace-frame-min-height: 100px }</style>" },
    markup: `<marketplace-frame class="low"></marketplace-frame>`,
  });
  await state("ready");
  const heights = [[640, 640], ["700", 700], [50, 100], [-5, 100], [1e9, 20000]];
  for (const [told, high] of heights) {
    await (await marketplace()).evaluate((height) => window.post({ message: "pandium-content-height-change", height }), told);
    await tab.waitForFunction((high) => {
      const frame = document.querySelector("marketplace-frame").shadowRoot.querySelector("iframe");
      return frame.getBoundingClientRect().height === high;
    }, high);
  }
  for (const told of [null, "x", Number.NaN, Infinity, {}]) {
    await (await marketplace()).evaluate((height) => window.post({ message: "pandium-content-height-change", height }), told);
  }
  await waitUntil(async () => (await events("marketplace-message")).length === heights.length + 5);
  assert.deepEqual((await events("marketplace-height")).map(({ detail }) => detail.height), [640, 700, 50, 0, 20000]);
});

test("a height set by the page takes precedence", async (t) => {
  const { tab, state, marketplace, event } = await openPage(t, browser, {
    page: { head: "<style>marketplace-frame { height: 500px; --marketplace-frame-height: 100% }</style>" },
  });
  await state("ready");
  await (await marketplace()).evaluate(() => window.post({ message: "pandium-content-height-change", height: 900 }));
  await event("marketplace-height");
  assert.equal((await tab.locator("iframe").boundingBox()).height, 500);
});

test("messages of other origins are ignored", async (t) => {
  const { world, tab, state, frameAt, events } = await openPage(t, browser, {
    // frames of the marketplace's and the service's origin, neither of them the element's
    markup: (world) => `<marketplace-frame></marketplace-frame><iframe id="other" src="${world.market}/x"></iframe>
      <iframe id="service" src="${world.sso}/embed"></iframe>`,
  });
  await state("ready");
  const forged = [
    { message: "pandium-save-sync", tenant: { id: 1 } },
    { type: "marketplace-sso:unauthenticated", reason: "unauthenticated" },
  ];
  const other = await frameAt(`${world.market}/x`);
  const service = await frameAt(`${world.sso}/embed`);
  for (const data of forged) {
    await other.evaluate((data) => parent.postMessage(data, "*"), data);
    await service.evaluate((data) => parent.postMessage(data, "*"), data);
    await tab.evaluate((data) => postMessage(data, "*"), data);
  }
  // the element's frame, but not the service's origin
  const ours = await frameAt(`${world.market}/acme`);
  await ours.evaluate((data) => window.post(data), forged[1]);
  await ours.evaluate(() => window.post({ message: "the last" }));
  await waitUntil(async () => (await events("marketplace-message")).some(({ detail }) => detail.message === "the last"));
  assert.equal((await events("marketplace-save-sync")).length, 0);
  assert.equal((await events("marketplace-unauthenticated")).length, 0);
  assert.deepEqual((await events("marketplace-message")).length, 2);
});

test("messages of a frame that has navigated away are ignored", async (t) => {
  const { world, tab, state, marketplace, events } = await openPage(t, browser, {
    pages: { "/foreign": () => ({ body: "<p>foreign</p>" }) },
  });
  await state("ready");
  const frame = await marketplace();
  await frame.evaluate((address) => location.replace(address), `${world.app}/foreign`);
  await waitUntil(() => frame.url().endsWith("/foreign"));
  await frame.getByText("foreign").waitFor();
  await frame.evaluate(() => {
    parent.postMessage({ message: "pandium-install-cancel" }, "*");
    return new Promise((resolve) => setTimeout(resolve));
  });
  await tab.evaluate(() => new Promise(requestAnimationFrame));
  assert.deepEqual(await events("marketplace-message"), []);
});

test("two elements on a page are independent", async (t) => {
  const { tab, world, frameAt, events } = await openPage(t, browser, {
    markup: `<marketplace-frame id="a" integration-id="1"></marketplace-frame><marketplace-frame id="b" integration-id="2"></marketplace-frame>`,
  });
  await tab.waitForFunction(() => [...document.querySelectorAll("marketplace-frame")].every(({ state }) => state === "ready"));
  const second = await frameAt(`${world.market}/acme?tenant=secret-token&integration_id=2`);
  await second.evaluate(() => window.post({ message: "pandium-content-height-change", height: 777 }));
  await waitUntil(async () => (await events("marketplace-height")).length);
  assert.deepEqual((await events("marketplace-height")).map(({ id }) => id), ["b"]);
  assert.equal((await tab.locator("#b iframe").boundingBox()).height, 777);
  assert.notEqual((await tab.locator("#a iframe").boundingBox()).height, 777);
  await tab.locator("#a").evaluate((node) => node.reload());
  await tab.waitForFunction(() => document.querySelector("#a").state === "ready");
  assert.deepEqual(world.entries().map(({ search }) => search).sort(), ["?integration_id=1", "?integration_id=1", "?integration_id=2"]);
});

test("one event reports every state, before the state's own", async (t) => {
  const { world, tab, state, element } = await openPage(t, browser, { world: { isSignedIn: false } });
  await state("signed-out");
  world.isSignedIn = true;
  await element.evaluate((node) => node.reload());
  await state("ready");
  await element.evaluate((node) => node.setAttribute("mode", "popup"));
  await state("popup");
  await element.evaluate((node) => node.setAttribute("base", "http://nowhere.localhost:1"));
  await element.evaluate((node) => node.removeAttribute("mode"));
  await state("error");
  const all = await tab.evaluate(() => window.events.map(({ type, detail }) => [type, detail?.state ?? detail?.reason ?? detail?.code]));
  const change = (state) => ["marketplace-statechange", state];
  assert.deepEqual(all, [
    change("loading"), change("signed-out"), ["marketplace-unauthenticated", "unauthenticated"],
    change("loading"), change("ready"), ["marketplace-ready", undefined],
    change("popup"), change("loading"), change("error"), ["marketplace-error", "unreachable"],
  ]);
});

test("a page from the back-forward cache loads a new token", async (t) => {
  const { world, tab, state } = await openPage(t, browser);
  await state("ready");
  await tab.evaluate(() => window.dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  await waitUntil(() => world.entries().length === 2);
});

test("a prerendered page gets no token until it is shown", async (t) => {
  const { world, tab, element, state } = await openPage(t, browser, {
    init: () => Object.defineProperty(document, "prerendering", { value: true, configurable: true }),
  });
  await tab.evaluate(() => customElements.whenDefined("marketplace-frame"));
  assert.equal(await element.evaluate((node) => node.state), "idle");
  assert.equal(world.entries().length, 0);
  await tab.evaluate(() => {
    Object.defineProperty(document, "prerendering", { value: false, configurable: true });
    document.dispatchEvent(new Event("prerenderingchange"));
  });
  await state("ready");
});

test("a removed element leaves no listener, timer or frame", async (t) => {
  const { tab, state } = await openPage(t, browser, {
    init: () => {
      window.open_ = new Set();
      const { addEventListener } = EventTarget.prototype;
      EventTarget.prototype.addEventListener = function (type, listener, options) {
        if ((this === window || this === document) && options?.signal) {
          window.open_.add(listener);
          addEventListener.call(options.signal, "abort", () => window.open_.delete(listener));
        }
        return addEventListener.call(this, type, listener, options);
      };
      const { setInterval, clearInterval, setTimeout, clearTimeout } = window;
      window.setInterval = (...all) => { const id = setInterval(...all); window.open_.add(`i${id}`); return id; };
      window.clearInterval = (id) => { window.open_.delete(`i${id}`); clearInterval(id); };
      window.setTimeout = (does, ms) => { const id = setTimeout(does, ms); if (ms) window.open_.add(`t${id}`); return id; };
      window.clearTimeout = (id) => { window.open_.delete(`t${id}`); clearTimeout(id); };
    },
  });
  await state("ready");
  assert.ok((await tab.evaluate(() => window.open_.size)) > 5);
  const left = await tab.evaluate(() => {
    const node = document.querySelector("marketplace-frame");
    node.remove();
    return [window.open_.size, node.shadowRoot.querySelectorAll("iframe").length];
  });
  assert.deepEqual(left, [0, 0]);
});

test("a moved element signs on again", async (t) => {
  const { world, tab, state } = await openPage(t, browser);
  await state("ready");
  await tab.evaluate(() => document.body.append(document.querySelector("marketplace-frame")));
  await waitUntil(() => world.entries().length >= 2);
  await state("ready");
});

test("no token is in the document, the storage, the console or the page's history", async (t) => {
  const { tab, state, said } = await openPage(t, browser);
  await state("ready");
  const traces = await tab.evaluate(() => JSON.stringify([
    document.documentElement.outerHTML,
    document.querySelector("marketplace-frame").shadowRoot.innerHTML,
    { ...localStorage }, { ...sessionStorage }, history.state, location.href, document.cookie,
  ]));
  assert.doesNotMatch(traces + said.join(), /secret-token|tenant/);
});

test("popup mode opens the service's page without an opener", async (t) => {
  const { world, tab, state, context, element } = await openPage(t, browser, {
    markup: `<marketplace-frame mode="popup" integration-id="1121" install="7" params="tenant=x"></marketplace-frame>`,
  });
  await state("popup");
  assert.equal(world.seen.filter(({ path }) => path === "/embed.json").length, 0);
  const [opened] = await Promise.all([context.waitForEvent("page"), tab.getByRole("link", { name: "Open integrations" }).click()]);
  await opened.waitForLoadState();
  assert.equal(opened.url(), `${world.sso}/embed?entrance=%2Fpandium-sso&install=7&integration_id=1121`);
  assert.equal(await opened.evaluate(() => window.opener), null);
  await element.evaluate((node) => { node.reload(); node.removeAttribute("mode"); });
  await state("ready");
});

test("the module may be loaded twice", async (t) => {
  const { said, state, tab, world } = await openPage(t, browser);
  await state("ready");
  await tab.evaluate((address) => import(address), `${world.app}/package/embed.js`);
  assert.deepEqual(said, []);
});
