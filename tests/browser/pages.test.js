// The pages of refusals: four languages, small and large, light and dark; and the pages of the
// playground.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { accessibility, open, picture, signIn, startBrowser } from "./support/browser.js";
import { APP, SSO, startHosts } from "./support/hosts.js";
import { signInToPlayground, startPlayground } from "./support/playground.js";
import { until } from "./support/waiting.js";

const art = await mkdtemp(join(tmpdir(), "marketplace-sso-logo-"));
after(() => rm(art, { recursive: true, force: true }));
const logo = join(art, "logo.svg");
await writeFile(logo, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 40" width="160" height="40"><rect width="40" height="40" rx="9" fill="#b8322a"/>
<text x="52" y="29" font-family="sans-serif" font-size="26" font-weight="700" fill="#b8322a">Acme</text></svg>`);
const BEARER = `
[entrances.by_token]
path = "/by-token/pandium-sso"
[entrances.by_token.identity]
kind = "bearer"
issuer = "https://login.example.test/"
audience = "marketplace-sso"
cookie = "token"
`;

const now = () => Math.floor(Date.now() / 1000);
const hosts = await startHosts({
  services: {
    "sso.example.test": `${BEARER}
algorithms = ["HS256"]
shared_secret = "what-the-issuer-signs-with-0123456789"`,
    // an issuer that is unreachable
    "keys.example.test": `${BEARER}
jwks_url = "https://127.0.0.1:9/keys"`,
    "acme.example.test": `branding.name = "Acme"
branding.color = "#b8322a"
branding.logo_file = "${logo}"`,
    "yellow.example.test": `branding.name = "Yellow"
branding.color = "#ffd400"
pandium.max_location_bytes = 1000`,
  },
});
const browser = await startBrowser(hosts);
const start = (t, options) => open(t, hosts, browser, options);
const SIZES = [["small", 300, 400], ["large", 1280, 800]];
/** Of the pictures that are kept. */
const PICTURES = [[360, 640], [768, 600], [1280, 800]];

/** Whether the page fits: no scrolling, and all buttons are visible. */
const fit = (tab) => tab.evaluate(() => {
  const seen = (node) => {
    const { top, bottom, left, right } = node.getBoundingClientRect();
    return top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth;
  };
  return {
    sideways: document.documentElement.scrollWidth > innerWidth,
    down: document.documentElement.scrollHeight > innerHeight,
    hidden: [...document.querySelectorAll("h1, .button")].filter((node) => !seen(node)).map((node) => node.textContent),
  };
});

const jwt = (claims, alg = "HS256") => `${Buffer.from(JSON.stringify({ alg, kid: "k" })).toString("base64url")}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.AAAA`;
const REASONS = {
  unauthenticated: { url: `${SSO}/pandium-sso` },
  not_allowed: { who: "bob", url: `${SSO}/pandium-sso` },
  bad_link: { who: "ada", url: `${SSO}/pandium-sso?integration_id=x` },
  not_found: { who: "ada", url: `${SSO}/pandium-sso/nothing` },
  token_too_large: { who: "long", url: "https://yellow.example.test/pandium-sso" },
  invalid_token: { url: `${SSO}/by-token/pandium-sso`, token: jwt({}) },
  keys_unavailable: {
    url: "https://keys.example.test/by-token/pandium-sso",
    token: jwt({ iss: "https://login.example.test/", aud: "marketplace-sso", sub: "u-1", iat: now(), exp: now() + 300 }, "RS256"),
  },
};
const LANGUAGES = ["en", "de", "fr", "es"];

for (const lang of LANGUAGES) {
  test(`the pages of refusals in ${lang} fit 300 × 400 and pass axe-core`, async (t) => {
    const blank = hosts.app.put(`${APP}/blank`, "<!doctype html><title>Blank</title>");
    const { tab, context } = await start(t, { who: null, url: blank, context: { locale: lang } });
    for (const [reason, { who, token, url }] of Object.entries(REASONS)) {
      await context.clearCookies();
      if (who) await signIn(hosts, context, who);
      if (token) await context.addCookies([{ name: "token", value: token, domain: ".example.test", path: "/", secure: true }]);
      const answer = await tab.goto(url);
      assert.ok(answer.status() >= 400, reason);
      assert.match(answer.headers()["content-security-policy"], /default-src 'none'.*frame-ancestors/);
      assert.equal(await tab.locator("html").getAttribute("lang"), lang);
      assert.equal(await tab.locator("dd").first().textContent(), reason);
      assert.equal(await tab.locator("#request-id").textContent(), answer.headers()["x-request-id"]);
      await tab.setViewportSize({ width: 300, height: 400 });
      assert.deepEqual(await fit(tab), { sideways: false, down: false, hidden: [] }, reason);
      assert.deepEqual(await accessibility(tab), [], reason);
      for (const colorScheme of ["dark", "light"]) {
        await tab.emulateMedia({ colorScheme });
        for (const [width, height] of PICTURES) {
          await tab.setViewportSize({ width, height });
          await picture(tab, `refusal-${reason}-${lang}-${width}-${colorScheme}`);
        }
      }
      if (lang === "en") assert.deepEqual(await accessibility(tab), [], reason);
    }
  });
}

test("the page is the same in a frame of 300 × 400", async (t) => {
  const { tab } = await start(t, { who: null, markup: `<iframe src="${SSO}/pandium-sso" width="300" height="400" title="Integrations"></iframe>` });
  await tab.frameLocator("iframe").getByRole("link", { name: "Sign in" }).waitFor();
  assert.deepEqual(await accessibility(tab, tab.frames()[1]), []);
  await picture(tab, "refusal-in-a-frame");
});

test("the button copies the request id", async (t) => {
  const { tab, context } = await start(t, { who: "bob", url: `${SSO}/pandium-sso` });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: SSO });
  await tab.getByRole("button", { name: "Copy" }).click();
  await tab.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await tab.evaluate(() => navigator.clipboard.readText()), await tab.locator("#request-id").textContent());
  await picture(tab, "refusal-copied");
});

for (const [what, allow, result] of [["that may", "clipboard-write", "Copied"], ["that may not", "", null]]) {
  test(`in a frame ${what}, the copy button ${result ? "works" : "is hidden, and the id is selectable"}`, async (t) => {
    const { tab, context } = await start(t, { who: "bob", markup: `<iframe allow="${allow}" src="${SSO}/pandium-sso" width="300" height="400"></iframe>` });
    if (allow) await context.grantPermissions(["clipboard-write"], { origin: SSO });
    const frame = tab.frameLocator("iframe");
    await frame.getByRole("button", { name: "Copy" }).click();
    if (result) return frame.getByRole("button", { name: result }).waitFor();
    await frame.locator(".copy").waitFor({ state: "hidden" });
    await frame.locator("#request-id").click();
    assert.equal(await tab.frames()[1].evaluate(() => getSelection().toString().trim()), await frame.locator("#request-id").textContent());
    return undefined;
  });
}

for (const [host, name, color] of [["acme", "Acme", "rgb(184, 50, 42)"], ["yellow", "Yellow", "rgb(255, 212, 0)"]]) {
  test(`the pages of ${name} have its name, colour and logo`, async (t) => {
    const origin = `https://${host}.example.test`;
    const { tab } = await start(t, { who: null, url: `${origin}/pandium-sso` });
    assert.ok((await tab.title()).endsWith(` · ${name}`));
    const button = tab.getByRole("link", { name: "Sign in" });
    assert.equal(await button.evaluate((node) => getComputedStyle(node).backgroundColor), color);
    if (host === "acme") {
      await tab.waitForFunction(() => document.querySelector(".logo").naturalWidth === 160);
      assert.equal(await tab.locator(".logo").getAttribute("alt"), name);
    }
    for (const [size, width, height] of SIZES) {
      await tab.setViewportSize({ width, height });
      assert.deepEqual(await accessibility(tab), []);
      assert.deepEqual(await fit(tab), { sideways: false, down: false, hidden: [] });
      for (const colorScheme of ["light", "dark"]) {
        await tab.emulateMedia({ colorScheme });
        await picture(tab, `brand-${host}-${size}-${colorScheme}`);
      }
    }
    await tab.goto(`${origin}/embed`);
    await tab.getByRole("button", { name: "Sign in" }).waitFor();
    assert.equal(await tab.getByRole("button", { name: "Sign in" }).evaluate((node) => getComputedStyle(node).backgroundColor), color);
    assert.deepEqual(await accessibility(tab), []);
    await picture(tab, `brand-${host}-embed`);
  });
}

for (const [name, options] of Object.entries({
  ready: {},
  "signed-out": { who: null },
  refused: { markup: `<marketplace-frame entrance="/nothing"></marketplace-frame>` },
  popup: { markup: `<marketplace-frame mode="popup"></marketplace-frame>` },
})) {
  test(`the component in state ${name} passes axe-core in the app`, async (t) => {
    const { tab, state } = await start(t, { ...options, head: `<meta name="color-scheme" content="light dark">` });
    await state(name);
    assert.deepEqual(await accessibility(tab), []);
    for (const colorScheme of ["light", "dark"]) {
      await tab.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await picture(tab, `component-${name}-${colorScheme}`);
    }
  });
}

const playground = await startPlayground();

test("the playground's login page passes axe-core and its policy", async (t) => {
  const { tab } = await start(t, { who: null, url: playground });
  for (const [size, width, height] of [["large", 1280, 800], ["small", 400, 800]]) {
    await tab.setViewportSize({ width, height });
    assert.deepEqual(await accessibility(tab, tab, { iframes: false }), [], size);
    for (const colorScheme of ["light", "dark"]) {
      await tab.emulateMedia({ colorScheme });
      await picture(tab, `playground-login-${size}-${colorScheme}`);
    }
  }
});

test("the playground's marketplace passes axe-core in the frame", async (t) => {
  const { tab } = await start(t, { who: null, url: playground });
  await signInToPlayground(tab, "Ada Winter");
  const frame = await until(() => tab.frames().find((one) => one.url().includes("tenant=")));
  await frame.waitForLoadState();
  assert.deepEqual(await accessibility(tab, frame), []);
});
