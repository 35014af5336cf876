// The cause of a blocked frame is explained in the console and in an event.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, startBrowser, waitUntil } from "./stand-in.js";

const browser = await startBrowser();

const policy = (change = {}) => (world) => {
  const directives = {
    "default-src": "'none'",
    "script-src": world.sso,
    "connect-src": world.sso,
    "frame-src": `${world.sso} ${world.market}`,
    "style-src": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
    ...(typeof change === "function" ? change(world) : change),
  };
  const header = Object.entries(directives).map((directive) => directive.join(" ")).join("; ");
  return { headers: { "content-security-policy": header } };
};
const collect = () => {
  window.violations = [];
  document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => window.violations.push(effectiveDirective));
};

test("a page with a strict policy and Trusted Types has no violation", async (t) => {
  const { tab, state, marketplace, event, said } = await openPage(t, browser, { page: policy(), init: collect });
  await state("ready");
  await (await marketplace()).evaluate(() => window.post({ message: "pandium-content-height-change", height: 700 }));
  await event("marketplace-height");
  assert.equal((await tab.locator("iframe").boundingBox()).height, 700);
  assert.deepEqual(await tab.evaluate(() => window.violations), []);
  assert.deepEqual(said, []);
});

test("signing in causes no violation either", async (t) => {
  const { tab, state, context, world } = await openPage(t, browser, { page: policy(), init: collect, world: { isSignedIn: false } });
  await state("signed-out");
  const [popup] = await Promise.all([context.waitForEvent("page"), tab.getByRole("button").click()]);
  await popup.waitForURL(`${world.app}/login`);
  assert.deepEqual(await tab.evaluate(() => window.violations), []);
});

for (const [what, change] of [
  ["frame-src without the marketplace", (world) => ({ "frame-src": world.sso })],
  ["frame-src without the service", (world) => ({ "frame-src": world.market })],
  ["no frame-src at all", { "frame-src": "'none'" }],
]) {
  test(`the console explains a policy with ${what}`, async (t) => {
    const { world, event, events, said, tab } = await openPage(t, browser, { page: policy(change) });
    const { code, message } = await event("marketplace-error");
    assert.equal(code, "csp");
    const words = `Content-Security-Policy (frame-src) blocks. Add: frame-src ${world.sso} ${world.market}; connect-src ${world.sso}`;
    assert.equal(message, words);
    assert.ok(said.includes(`error: <marketplace-frame>: ${words}`));
    await tab.getByRole("alert").waitFor();
    assert.equal((await events("marketplace-error")).length, 1);
    assert.doesNotMatch(said.join(), /secret-token/);
  });
}

test("the console explains a policy without connect-src, once", async (t) => {
  const { world, tab, event, events, state } = await openPage(t, browser, { page: policy({ "connect-src": "'none'" }) });
  const { code, message } = await event("marketplace-error");
  assert.equal(code, "csp");
  assert.match(message, new RegExp(`\\(connect-src\\) blocks.*connect-src ${world.sso}$`));
  await state("error");
  await tab.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal((await events("marketplace-error")).length, 1);
});

test("a policy that only reports is a warning, and the frame loads", async (t) => {
  const { said, state } = await openPage(t, browser, {
    page: () => ({ headers: { "content-security-policy-report-only": "frame-src 'none'" } }),
  });
  await state("ready");
  await waitUntil(() => said.some((line) => line.startsWith("warning: <marketplace-frame>: Content-Security-Policy")));
});

test("a violation by another frame is ignored", async (t) => {
  const { said, state, tab } = await openPage(t, browser, {
    page: policy(), init: collect,
    markup: `<iframe src="http://other.localhost/"></iframe><marketplace-frame></marketplace-frame>`,
  });
  await state("ready");
  await waitUntil(() => tab.evaluate(() => window.violations.length));
  assert.equal(said.some((line) => line.includes("<marketplace-frame>")), false);
});

test("the console explains a Cross-Origin-Embedder-Policy", async (t) => {
  const { event, said } = await openPage(t, browser, {
    page: () => ({ headers: { "cross-origin-embedder-policy": "require-corp" } }),
    markup: "",
    pages: {},
  }).then(async (opened) => {
    // this policy allows modules of the app's origin, or with Cross-Origin-Resource-Policy
    const { tab, world } = opened;
    await tab.evaluate(async ([module, base]) => {
      await import(module);
      const node = document.createElement("marketplace-frame");
      node.setAttribute("base", base);
      document.body.append(node);
    }, [`${world.app}/package/embed.js`, world.sso]);
    return opened;
  });
  const { code, message } = await event("marketplace-error");
  assert.equal(code, "coep");
  assert.match(message, /Cross-Origin-Embedder-Policy/);
  assert.ok(said.some((line) => line.includes("Cross-Origin-Embedder-Policy blocks frames")));
});

test("a timeout shows a retry button; a late load is shown", async (t) => {
  let answer;
  const patience = new Promise((resolve) => (answer = resolve));
  const { event, state, tab, said } = await openPage(t, browser, {
    world: { patience }, markup: `<marketplace-frame timeout="0.3"></marketplace-frame>`,
  });
  assert.deepEqual(await event("marketplace-error"), { code: "timeout", message: "Nothing has loaded within 0.3 s." });
  await tab.getByRole("button", { name: "Try again" }).waitFor();
  assert.ok(said.join().includes("Nothing has loaded"));
  answer();
  await state("ready");
});

test("the load timeout is 20 seconds by default, and 0 disables it", async (t) => {
  for (const [timeout, isLate] of [[null, true], ["0", false]]) {
    const { tab, event, element, world } = await openPage(t, browser, {
      clock: true, world: { patience: new Promise(() => {}) },
      markup: `<marketplace-frame ${timeout ? `timeout="${timeout}"` : ""}></marketplace-frame>`,
    });
    await waitUntil(() => world.seen.some(({ host }) => host === "market"));
    // the clock also runs by itself: 10 s are left for a busy machine
    await tab.clock.fastForward(10000);
    assert.equal(await element.evaluate((node) => node.state), "loading");
    await tab.clock.fastForward(11000);
    if (isLate) assert.match((await event("marketplace-error")).message, /^Nothing has loaded within 20 s\./);
    else assert.equal(await element.evaluate((node) => node.state), "loading");
  }
});

for (const [status, isTemporary] of [[404, false], [503, true]]) {
  test(`a refusal of the settings with ${status} is reported with reason and request id`, async (t) => {
    const { world, tab, event, events, state, said } = await openPage(t, browser, { world: { settingsStatus: status } });
    const detail = { reason: "a_reason", request_id: "request-7" };
    assert.deepEqual(await event("marketplace-refused"), detail);
    assert.deepEqual(await event("marketplace-statechange"), { state: "refused", ...detail });
    assert.equal(await tab.locator("small").textContent(), "a_reason · Request ID request-7");
    assert.ok(said.includes("error: <marketplace-frame>: The service refuses: a_reason. request-7"));
    assert.deepEqual([...(await events("marketplace-ready")), ...(await events("marketplace-error"))], []);
    const button = tab.getByRole("button", { name: "Try again" });
    assert.equal(await button.count(), Number(isTemporary));
    if (!isTemporary) return;
    world.settingsStatus = 200;
    await button.click();
    await state("ready");
  });
}

test("an unreachable service is an error with a retry button", async (t) => {
  const { event, said } = await openPage(t, browser, { markup: `<marketplace-frame base="http://nowhere.localhost:1"></marketplace-frame>` });
  const { code, message } = await event("marketplace-error");
  assert.equal(code, "unreachable");
  assert.match(message, /No response from http:\/\/nowhere\.localhost:1\/embed\.json\. Is base right, and http:\/\/app\.localhost:\d+ in embed\.parents\?/);
  assert.ok(said.some((line) => line.includes(message)));
});

test("an error page of the service is shown unchanged, and is not ready", async (t) => {
  const { world, tab, state, event, events } = await openPage(t, browser, { world: { entranceStatus: 403 } });
  const detail = { reason: "reason_403", request_id: "request-8" };
  assert.deepEqual(await event("marketplace-refused"), detail);
  assert.deepEqual(await event("marketplace-statechange"), { state: "refused", ...detail });
  await state("refused");
  const again = tab.frameLocator("iframe").getByRole("link", { name: "Try again" });
  await again.waitFor();
  assert.equal(await tab.locator("[part~=panel]").isVisible(), false);
  // the load event of the page follows its message
  await tab.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
  assert.deepEqual(await events("marketplace-ready"), []);
  world.entranceStatus = 200;
  await again.click();
  await state("ready");
  assert.deepEqual((await events("marketplace-error")), []);
});

for (const [site, isLocal] of [["localhost", true], ["example.test", false]]) {
  test(`the panel on ${site} ${isLocal ? "says the remedy" : "has the code only"}, and no button`, async (t) => {
    const small = async (options) => {
      const { tab, event } = await openPage(t, browser, { ...options, world: { site } });
      const { code, message } = await event("marketplace-error");
      assert.equal(await tab.locator("[part~=panel]").getByRole("button").count(), 0);
      const shown = await tab.locator("small").textContent();
      assert.equal(shown, isLocal ? message : code);
      return message;
    };
    assert.match(await small({ page: policy({ "frame-src": "'none'" }) }), /Add: frame-src http:/);
    assert.match(await small({ markup: `<marketplace-frame entrance="x"></marketplace-frame>` }), /Write base=/);
  });
}
