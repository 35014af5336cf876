// Appearance and accessibility: languages, slots, parts, roles. axe-core checks each state.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { openPage, startBrowser } from "./stand-in.js";

const browser = await startBrowser();
const axe = await readFile(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const signedOut = { isSignedIn: false };
const loading = { world: { patience: new Promise(() => {}) }, markup: `<marketplace-frame timeout="0"></marketplace-frame>` };

const states = {
  loading,
  ready: {},
  "signed-out": { world: signedOut },
  error: { markup: `<marketplace-frame base="http://nowhere.localhost:1"></marketplace-frame>` },
  refused: { world: { settingsStatus: 503 } },
  popup: { markup: `<marketplace-frame mode="popup"></marketplace-frame>` },
};
for (const [name, options] of Object.entries(states)) {
  test(`state ${name} passes axe-core and sets aria-busy correctly`, async (t) => {
    const { tab, state } = await openPage(t, browser, options);
    await state(name);
    await tab.evaluate(axe);
    const { violations } = await tab.evaluate(() => window.axe.run(document, { iframes: false }));
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
    assert.equal(await tab.locator("section").getAttribute("aria-busy"), String(name === "loading"));
    const role = /error|refused/.test(name) ? "alert" : "status";
    assert.equal(await tab.locator("p[part=message]").getAttribute("role"), role);
    assert.equal(await tab.locator(`[part~=panel]`).getAttribute("part"), `panel ${name}`);
  });
}

const languages = {
  en: ["Integrations", "Loading…", "Sign in", "Try again", "Open integrations"],
  de: ["Integrationen", "Wird geladen …", "Anmelden", "Erneut versuchen", "Integrationen öffnen"],
  fr: ["Intégrations", "Chargement…", "Se connecter", "Réessayer", "Ouvrir le catalogue d’intégrations"],
  es: ["Integraciones", "Cargando…", "Iniciar sesión", "Reintentar", "Abrir el catálogo de integraciones"],
};
for (const [lang, [title, loading, signIn, again, open]] of Object.entries(languages)) {
  test(`its texts are in ${lang}`, async (t) => {
    const page = { lang: `${lang}-XX` };
    const shown = async (name) => {
      const { tab, state } = await openPage(t, browser, { ...states[name], page });
      await state(name);
      assert.equal(await tab.locator("section").getAttribute("lang"), lang);
      return tab;
    };
    assert.equal(await (await shown("ready")).locator("iframe").getAttribute("title"), title);
    await (await shown("loading")).getByText(loading, { exact: true }).waitFor();
    await (await shown("signed-out")).getByRole("button", { name: signIn, exact: true }).waitFor();
    await (await shown("error")).getByRole("button", { name: again, exact: true }).waitFor();
    await (await shown("popup")).getByRole("link", { name: open, exact: true }).waitFor();
  });
}

test("language: nearest lang, page, browser, then English", async (t) => {
  const near = (markup, lang, locale = "es-ES") => openPage(t, browser, {
    markup, world: signedOut, page: { lang }, context: { locale },
  });
  const element = "<marketplace-frame></marketplace-frame>";
  const cases = [
    [`<div lang="de-AT">${element}</div>`, "fr", undefined, "Anmelden"],
    [element, "fr", undefined, "Se connecter"],
    [element, "", undefined, "Iniciar sesión"],
    [element, "", "it-IT", "Sign in"],
    [element, "it", "de-DE", "Sign in"],
  ];
  for (const [markup, lang, locale, label] of cases) {
    const { tab } = await near(markup, lang, locale);
    await tab.getByRole("button", { name: label }).waitFor();
  }
});

test("a changed lang attribute applies at once", async (t) => {
  const { tab, state, element, world } = await openPage(t, browser, { world: signedOut });
  await state("signed-out");
  await element.evaluate((node) => (node.lang = "de"));
  await tab.getByRole("button", { name: "Anmelden" }).waitFor();
  assert.equal(world.entries().length, 1);
});

const slots = { loading: "loading", "signed-out": "sign-in", error: "error", refused: "error", popup: "open" };
for (const [name, slot] of Object.entries(slots)) {
  test(`the page's content fills the slots of ${name}`, async (t) => {
    const mode = { loading: `timeout="0"`, popup: `mode="popup"`, error: `base="http://nowhere.localhost:1"` }[name] ?? "";
    const { tab, state } = await openPage(t, browser, {
      ...states[name],
      markup: `<marketplace-frame ${mode}><b slot="${slot}">Our words</b><span slot="${slot}-button">Our button</span></marketplace-frame>`,
    });
    await state(name);
    if (name !== "popup") await tab.getByText("Our words").waitFor();
    if (name === "loading") return;
    const button = tab.getByRole(name === "popup" ? "link" : "button", { name: "Our button" });
    assert.equal(await button.isVisible(), true);
  });
}

test("parts and custom properties style it", async (t) => {
  const { world, tab, state } = await openPage(t, browser, {
    world: signedOut,
    page: { head: `<style>
      marketplace-frame { --marketplace-frame-accent: rgb(1, 2, 3); --marketplace-frame-on-accent: rgb(250, 251, 252);
        --marketplace-frame-radius: 9px; --marketplace-frame-min-height: 432px; --marketplace-frame-background: rgb(7, 8, 9) }
      marketplace-frame::part(button) { letter-spacing: 5px }
      marketplace-frame::part(message) { letter-spacing: 6px }
      marketplace-frame::part(panel) { letter-spacing: 7px }
      marketplace-frame::part(loading) { outline: 3px solid }
      marketplace-frame::part(frame) { outline: 2px solid }</style>` },
  });
  await state("signed-out");
  const style = (selector, name) => tab.locator(selector).evaluate((node, name) => getComputedStyle(node)[name], name);
  assert.equal(await style("button", "backgroundColor"), "rgb(1, 2, 3)");
  assert.equal(await style("button", "color"), "rgb(250, 251, 252)");
  assert.equal(await style("button", "borderRadius"), "9px");
  assert.equal(await style("button", "letterSpacing"), "5px");
  assert.equal(await style("[part=message]", "letterSpacing"), "6px");
  assert.equal(await style("[part~=panel]", "letterSpacing"), "7px");
  assert.equal((await tab.locator("marketplace-frame").boundingBox()).height, 432);
  world.isSignedIn = true;
  await tab.locator("marketplace-frame").evaluate((node) => node.reload());
  await state("ready");
  assert.equal(await style("iframe", "outlineWidth"), "2px");
  assert.equal(await style("iframe", "backgroundColor"), "rgb(7, 8, 9)");
});

test("the panel's part is loading while it loads", async (t) => {
  const { tab, state } = await openPage(t, browser, {
    ...loading, page: { head: "<style>marketplace-frame::part(loading) { letter-spacing: 4px }</style>" },
  });
  await state("loading");
  assert.equal(await tab.locator("p[part=message]").evaluate((node) => getComputedStyle(node).letterSpacing), "4px");
});

test("the spinner is shown after 200 ms, near the top of a high element", async (t) => {
  const { tab, state, marketplace, element } = await openPage(t, browser);
  await state("ready");
  await (await marketplace()).evaluate(() => window.post({ message: "pandium-content-height-change", height: 2000 }));
  await tab.waitForFunction(() => document.querySelector("marketplace-frame").offsetHeight === 2000);
  // an element that loads for the first time has no earlier frame to show
  await tab.route("**/pandium-sso**", () => {});
  // one that has ended is no longer among the animations
  await tab.addStyleTag({ content: "marketplace-frame::part(panel) { animation-play-state: paused; }" });
  await element.evaluate((node) => node.setAttribute("display", "list"));
  await state("loading");
  const spinner = () => tab.locator("[part~=panel]").evaluate((node) => {
    const [animation] = node.getAnimations();
    const shown = [0, 199, 201].map((ms) => {
      animation.currentTime = ms;
      return getComputedStyle(node).visibility;
    });
    return [shown, getComputedStyle(node).alignContent, node.getBoundingClientRect().height];
  });
  assert.deepEqual(await spinner(), [["hidden", "hidden", "visible"], "start", 2000]);
});

for (const [appearance, colorScheme, isDark] of [["light", "dark", false], ["dark", "light", true], ["auto", "dark", true], ["auto", "light", false]]) {
  test(`with appearance ${appearance}, in a ${colorScheme} system, the element is ${isDark ? "dark" : "light"}`, async (t) => {
    const { tab, state, element } = await openPage(t, browser, {
      markup: `<marketplace-frame appearance="${appearance}"></marketplace-frame>`, context: { colorScheme },
    });
    await state("ready");
    const colour = await tab.locator("section").evaluate((node) => getComputedStyle(node).backgroundColor);
    assert.equal(colour === "rgb(255, 255, 255)", !isDark);
    await element.evaluate((node) => node.removeAttribute("appearance"));
    assert.equal(await tab.locator("section").evaluate((node) => getComputedStyle(node).backgroundColor), "rgba(0, 0, 0, 0)");
  });
}

test("pages in the frame follow its appearance", async (t) => {
  const { state, marketplace } = await openPage(t, browser, {
    markup: `<marketplace-frame appearance="dark"></marketplace-frame>`,
    // an emulated scheme would hold in every frame
    context: { colorScheme: null },
  });
  await state("ready");
  assert.equal(await (await marketplace()).evaluate(() => matchMedia("(prefers-color-scheme: dark)").matches), true);
});

for (const [motion, animation] of [["reduce", "none"], ["no-preference", "turn"]]) {
  test(`with prefers-reduced-motion ${motion}, the animation is ${animation}`, async (t) => {
    const { tab, state } = await openPage(t, browser, { ...loading, context: { reducedMotion: motion } });
    await state("loading");
    const name = await tab.locator("[part~=panel]").evaluate((node) => getComputedStyle(node, "::before").animationName);
    assert.equal(name, animation);
  });
}

test("the button has a border in forced colours", async (t) => {
  const { tab, state } = await openPage(t, browser, { world: signedOut, context: { forcedColors: "active" } });
  await state("signed-out");
  const colour = await tab.locator("button").evaluate((node) => getComputedStyle(node).borderTopColor);
  assert.doesNotMatch(colour, /^rgba\(.*, 0\)$|transparent/);
});

test("a hidden element is not displayed", async (t) => {
  const { element } = await openPage(t, browser, { markup: "<marketplace-frame hidden></marketplace-frame>" });
  assert.equal(await element.isVisible(), false);
});
