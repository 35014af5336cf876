// Pages of an app with strict policies; the service's pages under their own policy; the service's page with
// the component.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessibility, clickToClose, open, picture, startBrowser } from "./support/browser.js";
import { APP, MARKET, SSO, startHosts } from "./support/hosts.js";
import { until } from "./support/waiting.js";

const hosts = await startHosts();
const browser = await startBrowser(hosts);
const start = (t, options) => open(t, hosts, browser, options);

// exactly what docs/embedding.md requires
const STRICT = [
  "default-src 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
  `frame-src ${SSO} ${MARKET}`, `script-src ${SSO}`, `connect-src ${SSO}`,
].join("; ");
// without inline style or script, which such a policy blocks
const bare = (address, markup = "<marketplace-frame></marketplace-frame>", headers = {}) => hosts.app.put(`${APP}/${address}`, `<!doctype html>
<html lang="en"><head><title>Strict</title><script type="module" src="${SSO}/embed.js"></script></head>
<body><main><h1>Strict</h1>${markup}</main></body></html>`, { "content-security-policy": STRICT, ...headers });

test("the documented policy with Trusted Types shows the marketplace", async (t) => {
  const { state, marketplace, said } = await start(t, { url: bare("strict") });
  await state("ready");
  const frame = await marketplace();
  await frame.evaluate(() => post({ message: "pandium-content-height-change", height: 640 }));
  const { event, element } = await start(t, { url: bare("strict") });
  await event("ready");
  assert.equal(await element.evaluate((node) => getComputedStyle(node).display), "block");
  assert.deepEqual(said.filter((words) => words.startsWith("error")), []);
});

test("the documented policy allows panel, sign-in and return", async (t) => {
  const { tab, context, state } = await start(t, { who: null, url: bare("strict-out", undefined, { "cross-origin-opener-policy": "same-origin-allow-popups" }) });
  await state("signed-out");
  const [popup] = await Promise.all([context.waitForEvent("page"), tab.getByRole("button", { name: "Sign in" }).click()]);
  await popup.waitForURL(`${APP}/login`);
  await clickToClose(popup, popup.getByRole("button", { name: "Log in" }));
  await state("ready");
});

for (const [what, policy, expected] of [
  ["the marketplace", STRICT.replace(` ${MARKET}`, ""), /frame-src .*market\.other\.test/],
  ["the service", STRICT.replace(`frame-src ${SSO} `, "frame-src "), /frame-src https:\/\/sso\.example\.test/],
  ["the question", STRICT.replace(`connect-src ${SSO}`, "connect-src 'none'"), /connect-src https:\/\/sso\.example\.test/],
]) {
  test(`the console explains a policy without ${what}`, async (t) => {
    const { state, event, said } = await start(t, {
      url: bare("left-out", undefined, { "content-security-policy": policy }), expects: (words) => /(frame|connect)-src/.test(words),
    });
    await state("error");
    assert.equal((await event("error")).code, "csp");
    assert.match(said.filter((words) => words.includes("<marketplace-frame>")).join("\n"), expected);
  });
}

test("a cross-origin isolated page gets an explanation; a link works", async (t) => {
  const { tab, element, state, said, context, signOns } = await start(t, {
    markup: `<marketplace-frame timeout="5" integration-id="3"></marketplace-frame>`,
    headers: { "cross-origin-embedder-policy": "require-corp", "cross-origin-opener-policy": "same-origin" },
  });
  await state("error");
  assert.match(said.join("\n"), /Cross-Origin-Embedder-Policy/);
  await element.evaluate((node) => node.setAttribute("mode", "popup"));
  await state("popup");
  await picture(tab, "component-popup");
  const [opened] = await Promise.all([context.waitForEvent("page"), tab.getByRole("link", { name: "Open integrations" }).click()]);
  await opened.waitForURL(`${SSO}/embed?**`);
  await until(() => opened.frames().some((frame) => frame.url().startsWith(`${MARKET}/acme`)));
  assert.equal(await opened.evaluate(() => window.opener), null);
  assert.deepEqual(signOns().at(-1).link, { integration_id: "3" });
});

const EMBED = `${SSO}/embed?integration_id=1121&display=settings`;

test("/embed shows the marketplace without a policy violation", async (t) => {
  const { tab, state, marketplace, signOns, records, said } = await start(t, { url: EMBED });
  await state("ready");
  await (await marketplace()).waitForLoadState();
  assert.deepEqual(signOns()[0].link, { integration_id: "1121", display: "settings" });
  assert.equal(await tab.title(), "Integrations");
  await until(() => records().length);
  assert.equal(records()[0].outcome, "handed_off");
  assert.deepEqual(said, []);
  // as large as the window, without scrolling
  const { height, scrolls } = await tab.evaluate(() => ({
    height: document.querySelector("marketplace-frame").offsetHeight, scrolls: document.documentElement.scrollHeight > innerHeight,
  }));
  assert.deepEqual([height, scrolls], [720, false]);
  await picture(tab, "embed-ready");
});

test("/embed may be framed by the app only", async (t) => {
  const { tab, signOns } = await start(t, { markup: `<iframe src="${EMBED}"></iframe>` });
  await until(() => tab.frames().some((frame) => frame.url().startsWith(`${MARKET}/acme`)));
  assert.equal(signOns().length, 1);
  const evil = await start(t, { at: "https://evil.test", markup: `<iframe src="${EMBED}"></iframe>`, expects: (words) => words.includes("frame-ancestors") });
  await until(() => evil.tab.frames()[1]?.url().startsWith("chrome-error:"));
  assert.deepEqual(evil.signOns(), []);
});

test("/embed lets a user sign in, and shows the marketplace", async (t) => {
  const { tab, context, state, signOns } = await start(t, { url: EMBED, who: null });
  await state("signed-out");
  const [popup] = await Promise.all([context.waitForEvent("page"), tab.getByRole("button", { name: "Sign in" }).click()]);
  await popup.waitForURL(`${APP}/login`);
  await clickToClose(popup, popup.getByRole("button", { name: "Log in" }));
  await state("ready");
  assert.deepEqual(signOns().at(-1).link, { integration_id: "1121", display: "settings" });
});

for (const [name, { patience, ...options }] of Object.entries({
  loading: { patience: new Promise(() => {}) },
  ready: {},
  "signed-out": { who: null },
  refused: { who: "bob" },
})) {
  test(`/embed passes axe-core in state ${name}`, async (t) => {
    if (patience) hosts.market.patience = patience;
    const { tab, state, element } = await start(t, { ...options, url: EMBED });
    // the page has the component's default timeout
    if (patience) await element.evaluate((node) => (node.setAttribute("timeout", "0"), node.reload()));
    await state(name);
    for (const [size, width, height] of [["small", 300, 400], ["large", 1280, 800]]) {
      await tab.setViewportSize({ width, height });
      assert.deepEqual(await accessibility(tab), []);
      for (const colorScheme of ["light", "dark"]) {
        await tab.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        await picture(tab, `embed-${name}-${size}-${colorScheme}`);
      }
    }
  });
}

for (const lang of ["de", "fr", "es"]) {
  test(`/embed is in ${lang}`, async (t) => {
    const { tab, state } = await start(t, { url: EMBED, who: null, context: { locale: lang } });
    await state("signed-out");
    assert.equal(await tab.locator("html").getAttribute("lang"), lang);
    assert.ok(await tab.title() !== "Integrations");
    await picture(tab, `embed-signed-out-${lang}`);
  });
}
