// The service's own sign-in at an OpenID provider, at the top level: pages, attacks, sessions that end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessibility, open, picture, startBrowser } from "./support/browser.js";
import { APP, MARKET, SECRET, SSO, startHosts } from "./support/hosts.js";
import { verified } from "./support/marketplace.js";
import { atProvider, ISSUER } from "./support/provider.js";
import { inTime, until } from "./support/waiting.js";

const FRESH = "https://fresh.example.test";
const hosts = await startHosts({
  signsIn: true,
  services: {
    "sso.example.test": "",
    // has not requested anything of the provider yet
    "fresh.example.test": "",
  },
  more: ["evil.test"],
});
const browser = await startBrowser(hosts);
const start = (t, options) => open(t, hosts, browser, { who: null, markup: "", ...options });
const ENTRANCE = `${SSO}/pandium-sso`;
const LOGIN = `${SSO}/auth/pandium-sso/login`;
const isCallback = (url) => url.pathname === "/auth/pandium-sso/callback";
const signInLink = (tab) => tab.getByRole("link", { name: "Sign in" });
const atMarket = (tab) => tab.waitForURL(`${MARKET}/**`);
const session = async (context, origin = SSO) =>
  (await context.cookies(origin)).find(({ name }) => name.startsWith("__Host-sso-") && !name.startsWith("__Host-sso-login-"));
const logins = async (context) => (await context.cookies(SSO)).filter(({ name }) => name.startsWith("__Host-sso-login-"));

/** Signs in at the top level. */
async function signIn(tab, who = "Ada", url = ENTRANCE) {
  await tab.goto(url);
  await signInLink(tab).click();
  await atProvider(tab, who);
  await atMarket(tab);
}

/** Signs in up to the provider's response, whose URL is returned instead of opened. */
async function stolenCallback(tab, who) {
  await tab.goto(LOGIN);
  const stolen = new Promise((resolve) => {
    hosts.provider.onResponse = (url) => {
      resolve(url);
      return true;
    };
  });
  await atProvider(tab, who);
  const url = await inTime(stolen, "the provider has not responded");
  hosts.provider.onResponse = () => false;
  return url;
}

test("a sign-in leads to the page that was asked for", async (t) => {
  const { tab, context, signOns, records } = await start(t, { url: `${ENTRANCE}?integration_id=1121&display=settings` });
  await signInLink(tab).click();
  await atProvider(tab, "Ada");
  await atMarket(tab);
  const [signOn, ...more] = signOns();
  assert.deepEqual(more, []);
  assert.deepEqual(signOn.link, { integration_id: "1121", display: "settings" });
  const claims = verified(signOn.token, SECRET);
  assert.equal(claims.sub, "ada");
  assert.equal(claims.ti.uem, "ada@example.test");
  const { httpOnly, secure, sameSite, path, domain } = await session(context);
  assert.deepEqual({ httpOnly, secure, sameSite, path, domain }, { httpOnly: true, secure: true, sameSite: "Lax", path: "/", domain: "sso.example.test" });
  assert.deepEqual(await logins(context), []);
  await until(() => records().some(({ outcome }) => outcome === "handed_off"));
  assert.ok(records().some(({ outcome }) => outcome === "signed_in"));
});

test("a session suffices for the next visit", async (t) => {
  const { tab, signOns } = await start(t);
  await signIn(tab);
  // the service may fetch configuration and keys at any time
  const seen = () => hosts.provider.seen.filter((request) => !/well-known|jwks/.test(request));
  const before = seen();
  await tab.goto(`${ENTRANCE}/install/7`);
  await atMarket(tab);
  assert.equal(signOns().length, 2);
  assert.deepEqual(seen(), before);
});

test("the back button after a sign-in leads on", async (t) => {
  const { tab, signOns } = await start(t);
  await signIn(tab);
  await tab.goBack({ waitUntil: "commit" });
  await tab.waitForURL(`${ISSUER}/**`);
  await tab.goBack({ waitUntil: "commit" }).catch(() => {});
  await until(() => signOns().length === 2 || signInLink(tab).isVisible());
  await tab.goto(ENTRANCE);
  await atMarket(tab);
});

test("a callback that is opened again shows a page that leads on", async (t) => {
  const { tab, context } = await start(t);
  const [callback] = await Promise.all([tab.waitForRequest((request) => isCallback(new URL(request.url()))), signIn(tab)]);
  const before = await session(context);
  const answer = await tab.goto(callback.url());
  assert.equal(answer.status(), 200);
  assert.deepEqual((await session(context)).value, before.value);
  await tab.getByRole("link", { name: "Continue" }).click();
  await atMarket(tab);
  await context.clearCookies();
  const again = await tab.goto(callback.url());
  assert.equal(again.status(), 401);
  assert.deepEqual(await session(context), undefined);
  await signInLink(tab).click();
  await atProvider(tab, "Ada");
  await atMarket(tab);
});

test("a foreign response signs no user in", async (t) => {
  const attacker = await start(t);
  const url = await stolenCallback(attacker.tab, "Bob");
  const { tab, context, signOns } = await start(t);
  const answer = await tab.goto(url);
  assert.equal(answer.status(), 401);
  assert.equal(await session(context), undefined);
  await signIn(tab);
  const before = await session(context);
  await tab.goto(url);
  assert.equal((await session(context)).value, before.value);
  assert.deepEqual(signOns().map(({ token }) => verified(token, SECRET).sub), ["ada"]);
});

test("a planted session is replaced by the sign-in", async (t) => {
  const attacker = await start(t);
  await signIn(attacker.tab, "Bob");
  const planted = await session(attacker.context);
  const { tab, context, signOns } = await start(t);
  await context.addCookies([planted]);
  await tab.goto(LOGIN);
  await atProvider(tab, "Ada");
  await atMarket(tab);
  assert.notEqual((await session(context)).value, planted.value);
  assert.deepEqual(signOns().map(({ token }) => verified(token, SECRET).sub), ["ada"]);
});

test("a session that was made up counts as none", async (t) => {
  const { tab, context } = await start(t);
  await signIn(tab);
  const own = await session(context);
  await context.addCookies([{ ...own, value: `${own.value.slice(0, -8)}AAAAAAAA` }]);
  const answer = await tab.goto(ENTRANCE);
  assert.equal(answer.status(), 401);
});

test("two tabs sign in at the same time", async (t) => {
  const { tab, context, signOns } = await start(t, { url: `${ENTRANCE}?integration_id=1` });
  await signInLink(tab).click();
  await tab.waitForURL(`${ISSUER}/**`);
  const other = await context.newPage();
  await other.goto(`${ENTRANCE}?integration_id=2`);
  await signInLink(other).click();
  await other.waitForURL(`${ISSUER}/**`);
  assert.equal((await logins(context)).length, 2);
  await atProvider(other, "Ada");
  await atMarket(other);
  await atProvider(tab, "Ada");
  await atMarket(tab);
  assert.deepEqual(signOns().map(({ link }) => link.integration_id), ["2", "1"]);
});

/** Signs in with a pause at the provider, of which only the service's clock knows. */
async function signInFor(t, minutes) {
  const opened = await start(t, { url: `${ENTRANCE}?integration_id=7` });
  const { tab } = opened;
  const logins = hosts.provider.holdLogins();
  await signInLink(tab).click();
  const wait = async () => {
    await logins.reached();
    await hosts.setClock(minutes * 60);
    logins.release();
  };
  await Promise.all([atProvider(tab, "Ada"), wait()]);
  return opened;
}

test("a sign-in may take ten minutes", async (t) => {
  const { tab, signOns } = await signInFor(t, 10);
  await atMarket(tab);
  assert.deepEqual(signOns().map(({ link }) => link), [{ integration_id: "7" }]);
});

test("a sign-in that takes sixteen minutes is begun again", async (t) => {
  const { tab, context, signOns } = await signInFor(t, 16);
  await tab.waitForURL(isCallback);
  assert.equal(await session(context), undefined);
  await picture(tab, "oidc-late");
  await signInLink(tab).click();
  await atMarket(tab);
  assert.equal(signOns().length, 1);
});

test("a cancelled sign-in can be started again", async (t) => {
  const { tab, context } = await start(t, { url: ENTRANCE });
  await signInLink(tab).click();
  await atProvider(tab, "Cancel");
  await tab.waitForURL(isCallback);
  assert.equal(await session(context), undefined);
  assert.deepEqual(await accessibility(tab), []);
  await picture(tab, "oidc-cancelled");
  await tab.getByRole("link", { name: "Use another account" }).click();
  await atProvider(tab, "Ada");
  await atMarket(tab);
});

test("another account signs in where the provider knows the user", async (t) => {
  const { tab, signOns } = await start(t);
  await signIn(tab);
  await tab.goto(`${LOGIN}?account=other`);
  await atProvider(tab, "Bob");
  await atMarket(tab);
  assert.deepEqual(signOns().map(({ token }) => verified(token, SECRET).sub), ["ada", "bob"]);
});

test("a provider that is down before the sign-in is reported", async (t) => {
  hosts.provider.isDown = true;
  const { tab } = await start(t, { url: `${FRESH}/pandium-sso` });
  await signInLink(tab).click();
  await tab.getByText("upstream_unavailable").waitFor();
  assert.deepEqual(await accessibility(tab), []);
  await picture(tab, "oidc-provider-down");
  hosts.provider.isDown = false;
  // a failed discovery is not repeated immediately
  await hosts.setClock(10);
  await tab.getByRole("link", { name: "Try again" }).click();
  await tab.waitForURL(`${ISSUER}/**`);
  await hosts.setClock(0);
  await atProvider(tab, "Ada");
  await atMarket(tab);
});

test("a provider that is down during the sign-in is reported", async (t) => {
  const { tab, context } = await start(t, { url: ENTRANCE });
  await signInLink(tab).click();
  await tab.waitForURL(`${ISSUER}/**`);
  hosts.provider.onResponse = () => {
    hosts.provider.isDown = true;
    return false;
  };
  await atProvider(tab, "Ada");
  await tab.getByText("upstream_unavailable").waitFor();
  assert.equal(await session(context), undefined);
  hosts.provider.isDown = false;
  hosts.provider.onResponse = () => false;
  await tab.goto(ENTRANCE);
  await signInLink(tab).click();
  await atMarket(tab);
});

test("an expired session asks for a sign-in, which needs no password", async (t) => {
  const { tab, signOns } = await start(t);
  await signIn(tab);
  await hosts.setClock(3700);
  await tab.goto(ENTRANCE);
  await tab.getByText("expired_token").waitFor();
  assert.equal(signOns().length, 1);
  await hosts.setClock(0);
  await signInLink(tab).click();
  await atMarket(tab);
  assert.equal(signOns().length, 2);
});

const signOutForm = `<form method="post" action="${SSO}/auth/pandium-sso/logout"><button>Sign out</button></form>`;

test("a sign-out ends the session here and at the provider", async (t) => {
  const { tab, context, address } = await start(t, { markup: signOutForm });
  await signIn(tab);
  await tab.goto(address);
  await tab.getByRole("button", { name: "Sign out" }).click();
  await tab.getByText("Signed out at the provider").waitFor();
  assert.equal(await session(context), undefined);
  const answer = await tab.goto(ENTRANCE);
  assert.equal(answer.status(), 401);
  await signInLink(tab).click();
  await tab.getByRole("button", { name: "Ada" }).waitFor();
});

test("a foreign page signs no user out", async (t) => {
  const { tab, context, address } = await start(t, { at: "https://evil.test", markup: signOutForm });
  await signIn(tab);
  await tab.goto(address);
  await tab.getByRole("button", { name: "Sign out" }).click();
  await tab.waitForURL(`${SSO}/**`);
  assert.notEqual(await session(context), undefined);
  await tab.goto(ENTRANCE);
  await atMarket(tab);
});

test("a sign-out at the provider ends the session here", async (t) => {
  const { tab } = await start(t);
  await signIn(tab);
  await tab.goto(`${ISSUER}/session/end`);
  await tab.getByText("Signed out at the provider").waitFor();
  assert.deepEqual(hosts.provider.refusedLogouts, []);
  const answer = await tab.goto(ENTRANCE);
  assert.equal(answer.status(), 401);
});

for (const [what, url] of [
  ["a foreign origin", "https://evil.test/"], ["a URL without a scheme", "//evil.test"], ["backslashes", "/\\evil.test"],
  ["a user in the URL", "https://app.example.test@evil.test/"], ["another path", "/livez"],
]) {
  test(`a return address with ${what} is ignored`, async (t) => {
    const { tab } = await start(t, { url: `${LOGIN}?return=${encodeURIComponent(url)}` });
    await atProvider(tab, "Ada");
    await atMarket(tab);
  });
}

test("a return address at a listed parent is used", async (t) => {
  const { tab, context, address } = await start(t);
  await tab.goto(`${LOGIN}?return=${encodeURIComponent(address)}`);
  await atProvider(tab, "Ada");
  await tab.waitForURL(address);
  assert.notEqual(await session(context), undefined);
});

test("the sign-in and signed-in pages pass axe-core at every size", async (t) => {
  const { tab, context } = await start(t, { url: ENTRANCE });
  const look = async (name) => {
    for (const width of [1280, 360]) {
      await tab.setViewportSize({ width, height: 700 });
      assert.deepEqual(await accessibility(tab), [], `${name} at ${width}`);
    }
  };
  await look("sign-in");
  // without an opener, the page stays
  await tab.goto(`${LOGIN}?mode=popup`);
  await atProvider(tab, "Ada");
  await tab.waitForURL(isCallback);
  await look("signed-in");
  for (const locale of ["en", "de", "fr", "es"]) {
    const other = await browser.newContext({ locale, storageState: await context.storageState() });
    t.after(() => other.close());
    const page = await other.newPage();
    await page.goto(tab.url());
    assert.equal(await page.locator("html").getAttribute("lang"), locale);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      for (const width of [1280, 768, 360]) {
        await page.setViewportSize({ width, height: 700 });
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
        await picture(page, `oidc-signed-in-${locale}-${width}-${colorScheme}`);
      }
    }
  }
});
