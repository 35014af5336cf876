// A signed-out user, and an app that authenticates with a token.

import assert from "node:assert/strict";
import { test } from "node:test";
import { clickToClose, openPage, startBrowser, waitUntil } from "./stand-in.js";

const browser = await startBrowser();
const last = (list) => list.at(-1);
const signedOut = { isSignedIn: false };
const signIn = (tab) => tab.getByRole("button", { name: "Sign in" });

test("after a sign-in in the pop-up, the same integration is shown", async (t) => {
  const { world, tab, state, event, events, context } = await openPage(t, browser, {
    world: signedOut, markup: `<marketplace-frame integration-id="1121"></marketplace-frame>`,
  });
  assert.deepEqual(await event("marketplace-unauthenticated"), { reason: "unauthenticated" });
  assert.equal(await tab.locator("iframe").count(), 0);
  const [popup] = await Promise.all([context.waitForEvent("page"), signIn(tab).click()]);
  await popup.waitForURL(`${world.app}/login`);
  assert.equal(await popup.evaluate(() => window.opener), null);
  world.isSignedIn = true;
  await popup.close();
  await state("ready");
  assert.equal(last(world.entries()).search, "?integration_id=1121");
  assert.equal((await events("marketplace-unauthenticated")).length, 1);
});

test("a second click focuses the same pop-up", async (t) => {
  const { tab, context, world, state } = await openPage(t, browser, { world: signedOut });
  await state("signed-out");
  const [popup] = await Promise.all([context.waitForEvent("page"), signIn(tab).click()]);
  await popup.waitForURL(`${world.app}/login`);
  await signIn(tab).click();
  assert.equal(context.pages().length, 2);
});

for (const [what, target, type] of [["gets the focus", "window", "focus"], ["is seen again", "document", "visibilitychange"]]) {
  test(`a page that ${what} retries, and keeps the button meanwhile`, async (t) => {
    const { world, tab, state } = await openPage(t, browser, { world: signedOut });
    await state("signed-out");
    const button = await signIn(tab).elementHandle();
    const again = () => tab.evaluate(([target, type]) => window[target].dispatchEvent(new Event(type)), [target, type]);
    await again();
    await waitUntil(() => world.entries().length === 2);
    await tab.waitForFunction(() => document.querySelector("marketplace-frame").shadowRoot.querySelector('[aria-busy="false"]'));
    assert.equal(await button.evaluate((node) => node.isConnected), true);
    world.isSignedIn = true;
    await again();
    await state("ready");
  });
}

test("an idle page sends no requests", async (t) => {
  const { world, tab, state } = await openPage(t, browser, { world: signedOut, clock: true });
  await state("signed-out");
  await tab.clock.fastForward("45:00");
  await tab.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal(world.entries().length, 1);
});

test("the top-level sign-in gets the return URL", async (t) => {
  const { world, tab, state } = await openPage(t, browser, {
    world: signedOut, path: "/#integration_id=1",
    markup: `<marketplace-frame sign-in="top" return-parameter="return_to"></marketplace-frame>`,
  });
  await state("signed-out");
  await signIn(tab).click();
  await tab.waitForURL(`${world.app}/login?return_to=${encodeURIComponent(`${world.app}/#integration_id=1`)}`);
});

test("the top-level sign-in gets no parameter by default", async (t) => {
  const { world, tab, state } = await openPage(t, browser, { world: signedOut, markup: `<marketplace-frame sign-in="top"></marketplace-frame>` });
  await state("signed-out");
  await signIn(tab).click();
  await tab.waitForURL(`${world.app}/login`);
});

test("with pop-ups blocked, the page navigates to the sign-in", async (t) => {
  const { world, tab, state, said } = await openPage(t, browser, {
    world: signedOut,
    init: () => {
      const { open } = window;
      window.open = (address, ...more) => (address ? open.call(window, address, ...more) : null);
    },
  });
  await state("signed-out");
  await signIn(tab).click();
  await tab.waitForURL(`${world.app}/login`);
  assert.match(said.join(), /The pop-up is blocked/);
});

test("a login URL that is not http(s) is not opened", async (t) => {
  for (const loginUrl of [() => null, () => "javascript:alert(1)"]) {
    const { world, tab, state } = await openPage(t, browser, { world: { ...signedOut, loginUrl } });
    await state("signed-out");
    world.isSignedIn = true;
    await tab.getByRole("button", { name: "Try again" }).click();
    await state("ready");
  }
});

// the service signs users in itself
const own = (ticket, mode = "popup") => ({ isSignedIn: false, loginUrl: ({ sso }) => `${sso}/auth/pandium-sso/login?mode=${mode}${ticket}` });
const install = `<marketplace-frame install="7" params="a=b"></marketplace-frame>`;

test("the service's own sign-in gets the path that was asked for", async (t) => {
  const { tab, context, world, state } = await openPage(t, browser, { world: own(""), markup: install });
  await state("signed-out");
  const [popup] = await Promise.all([context.waitForEvent("page"), signIn(tab).click()]);
  await popup.waitForURL(`${world.sso}/auth/pandium-sso/login?mode=popup&return=${encodeURIComponent("/pandium-sso/install/7?a=b")}`);
  assert.equal(await popup.evaluate(() => window.opener), null);
  world.isSignedIn = true;
  await clickToClose(popup, popup.getByRole("button"));
  await state("ready");
  assert.equal(last(world.entries()).path, "/pandium-sso/install/7");
});

test("at the top level, the service's own sign-in returns to the app, without the fragment", async (t) => {
  const { tab, world, state } = await openPage(t, browser, {
    world: own("&ticket=1"), path: "/#x", markup: `<marketplace-frame sign-in="top"></marketplace-frame>`,
  });
  await state("signed-out");
  await signIn(tab).click();
  await tab.waitForURL(`${world.sso}/auth/pandium-sso/login?return=${encodeURIComponent(`${world.app}/`)}`);
});

test("where no pop-up helps, the service's own sign-in is at the top level", async (t) => {
  const { tab, context, world, state } = await openPage(t, browser, { world: own("", "top"), markup: install });
  await state("signed-out");
  await signIn(tab).click();
  await tab.waitForURL(`${world.sso}/auth/pandium-sso/login?return=${encodeURIComponent(`${world.app}/`)}`);
  assert.equal(context.pages().length, 1);
});

test("the ticket of the pop-up is loaded into the frame", async (t) => {
  const { tab, context, world, state, marketplace } = await openPage(t, browser, { world: own("&ticket=1") });
  await state("signed-out");
  const [popup] = await Promise.all([context.waitForEvent("page"), signIn(tab).click()]);
  await clickToClose(popup, popup.getByRole("button"));
  await state("ready");
  assert.match((await marketplace()).url(), /tenant=secret-token/);
  assert.equal(world.seen.filter(({ path }) => path === "/l/ticket-1").length, 1);
});

test("a ticket is taken from the pop-up and the service only", async (t) => {
  const { tab, context, world, state } = await openPage(t, browser, { world: own("&ticket=1") });
  await state("signed-out");
  const [popup] = await Promise.all([context.waitForEvent("page"), signIn(tab).click()]);
  const told = (ticket) => ({ type: "marketplace-sso:signed-in", ticket });
  await tab.evaluate((told) => window.postMessage(told, "*"), told(`${world.sso}/l/forged`));
  await popup.getByRole("button").waitFor();
  await popup.evaluate((told) => opener.postMessage(told, "*"), told("javascript:alert(1)"));
  await popup.evaluate((told) => opener.postMessage(told, "*"), told(`${world.market}/l/forged`));
  await Promise.all([popup.waitForURL(`${world.app}/login`), popup.evaluate((url) => (location.href = url), `${world.app}/login`)]);
  await popup.evaluate((told) => opener.postMessage(told, "*"), told(`${world.sso}/l/forged`));
  await tab.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
  assert.equal(await tab.locator("marketplace-frame").evaluate((node) => node.state), "signed-out");
  assert.equal(world.seen.filter(({ path }) => path === "/l/forged").length, 0);
});

test("a button of the app can open the sign-in", async (t) => {
  const { world, tab, state, context } = await openPage(t, browser, {
    world: signedOut,
    markup: `<marketplace-frame></marketplace-frame><button id="own">Own</button>`,
  });
  await state("signed-out");
  await tab.evaluate(() => (document.querySelector("#own").onclick = () => document.querySelector("marketplace-frame").openSignIn()));
  const [popup] = await Promise.all([context.waitForEvent("page"), tab.locator("#own").click()]);
  await popup.waitForURL(`${world.app}/login`);
});

test("the console explains an opener policy that breaks the pop-up", async (t) => {
  const { world, tab, state, said } = await openPage(t, browser, {
    world: { ...signedOut, loginUrl: (origin) => `${origin.market}/login` },
    page: { headers: { "cross-origin-opener-policy": "same-origin" } },
  });
  // the pop-up is in front, and cut off at once; Playwright emulates the focus for each page, and holds the pop-up
  // until it has attached to it
  await tab.evaluate(() => {
    document.hasFocus = () => false;
    Date.now = () => 0;
  });
  await state("signed-out");
  await signIn(tab).click();
  await waitUntil(() => said.join().includes("Cross-Origin-Opener-Policy: same-origin-allow-popups"));
  world.isSignedIn = true;
  await tab.evaluate(() => window.dispatchEvent(new Event("focus")));
  await state("ready");
});

test("focus moves to the button only from inside the element", async (t) => {
  const { world, tab, state, element } = await openPage(t, browser, { markup: `<input><marketplace-frame></marketplace-frame>` });
  const focused = () => tab.evaluate(() => (document.activeElement.shadowRoot?.activeElement ?? document.activeElement).localName);
  await state("ready");
  world.isSignedIn = false;
  await tab.locator("input").focus();
  await element.evaluate((node) => node.reload());
  await state("signed-out");
  assert.equal(await focused(), "input");
  world.isSignedIn = true;
  await tab.evaluate(() => window.dispatchEvent(new Event("focus")));
  await state("ready");
  assert.equal(await focused(), "input");
  await tab.locator("iframe").focus();
  world.isSignedIn = false;
  await element.evaluate((node) => node.reload());
  await state("signed-out");
  assert.equal(await focused(), "button");
  world.isSignedIn = true;
  // the removed frame has returned the focus, so the element may be retrying already
  await tab.locator('section[aria-busy="false"]').waitFor();
  await tab.evaluate(() => window.dispatchEvent(new Event("focus")));
  await state("ready");
  assert.equal(await focused(), "iframe");
});

// the app's page has a provider that records its calls
const provider = (body) => (world) => `<marketplace-frame></marketplace-frame><script type="module">
  window.asked = [];
  document.querySelector("marketplace-frame").tokenProvider = async (ask) => { window.asked.push(ask); ${body} };
</script>`;
const proof = { proofHeader: "MP-Authorization", proofScheme: "Bearer", isSignedIn: false };
const good = provider(`return ask.refresh ? "fresh" : "first";`);

test("with a tokenProvider, only the frame gets the signed URL", async (t) => {
  const { world, tab, state, marketplace, said } = await openPage(t, browser, { world: proof, markup: good });
  const before = await tab.evaluate(() => history.length);
  await state("ready");
  assert.match((await marketplace()).url(), /tenant=secret-token/);
  const { headers } = last(world.entries());
  assert.equal(headers["mp-authorization"], "Bearer first");
  assert.equal(headers.accept, "application/json");
  assert.deepEqual(await tab.evaluate(() => window.asked), [{ refresh: false }]);
  assert.equal(await tab.evaluate(() => history.length), before);
  const html = await tab.evaluate(() => document.querySelector("marketplace-frame").shadowRoot.innerHTML);
  assert.doesNotMatch(html + said.join(), /secret-token|first/);
});

test("an expired token is requested once more", async (t) => {
  const { world, tab, state } = await openPage(t, browser, {
    world: { ...proof, answer: (token) => (token === "Bearer fresh" ? undefined : "expired_token") }, markup: good,
  });
  await state("ready");
  assert.deepEqual(await tab.evaluate(() => window.asked), [{ refresh: false }, { refresh: true }]);
  assert.equal(world.entries().filter(({ headers }) => headers["mp-authorization"]).length, 2);
});

for (const [reason, times] of [["expired_token", 2], ["invalid_token", 1]]) {
  test(`a token that stays rejected (${reason}) shows the sign-in`, async (t) => {
    const { tab, event, state } = await openPage(t, browser, { world: { ...proof, answer: () => reason }, markup: good });
    assert.deepEqual(await event("marketplace-unauthenticated"), { reason });
    await state("signed-out");
    assert.equal(await tab.evaluate(() => window.asked.length), times);
  });
}

for (const [what, url] of [["at another origin", "https://evil.example/?tenant=secret-token"], ["of another kind", "javascript:alert('secret-token')"], ["that is none", "secret-token"]]) {
  test(`a URL ${what} is not framed`, async (t) => {
    const { tab, event, said } = await openPage(t, browser, { world: { ...proof, answer: () => ({ url }) }, markup: good });
    assert.equal((await event("marketplace-error")).code, "wrong_origin");
    assert.equal(await tab.locator("iframe").count(), 0);
    assert.doesNotMatch(said.join(), /secret-token/);
  });
}

for (const [what, body] of [["none", "return '';"], ["an error", "throw new Error('secret-token');"]]) {
  test(`a provider that returns ${what} is an error without details`, async (t) => {
    const { event, said } = await openPage(t, browser, { world: proof, markup: provider(body) });
    assert.equal((await event("marketplace-error")).code, "token_provider");
    assert.doesNotMatch(said.join(), /secret-token/);
  });
}

test("a replaced provider loads nothing, a first one does", async (t) => {
  const { world, tab, state, element } = await openPage(t, browser, { world: { ...proof, isSignedIn: true } });
  await state("ready");
  const set = () => element.evaluate((node) => { node.tokenProvider = async () => "first"; });
  await set();
  await waitUntil(() => world.entries().some(({ headers }) => headers["mp-authorization"]));
  await state("ready");
  const { length } = world.entries();
  await set();
  await tab.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal(await element.evaluate((node) => node.state), "ready");
  assert.equal(world.entries().length, length);
});

test("a provider set before the element is defined is used", async (t) => {
  const { world, state } = await openPage(t, browser, {
    world: proof,
    page: { head: `<script>addEventListener("DOMContentLoaded", () => 0); document.addEventListener("readystatechange", () => {
      const node = document.querySelector("marketplace-frame");
      if (node && !customElements.get("marketplace-frame")) node.tokenProvider = () => "early";
    });</script>` },
  });
  await state("ready");
  assert.equal(world.entries().find(({ headers }) => headers["mp-authorization"]).headers["mp-authorization"], "Bearer early");
});
