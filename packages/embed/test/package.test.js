// The package: its examples run, its types compile, it is small, and its README is complete.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { openPage, startBrowser, waitUntil } from "./stand-in.js";

const browser = await startBrowser();
const run = promisify(execFile);
const folder = new URL("../", import.meta.url);
const read = (name) => readFile(new URL(name, folder), "utf8");

const hasRuby = (() => {
  try {
    execFileSync("ruby", ["--version"]);
    return true;
  } catch {
    return false;
  }
})();

// substitutes the one variable as Rails would
async function renderErb(source, sso) {
  if (!hasRuby) return source.replace(/<%#.*?%>/g, "").replaceAll("<%= @marketplace_sso %>", sso);
  const program = `require "erb"; @marketplace_sso = ARGV[0]; print ERB.new(STDIN.read).result(binding)`;
  const running = run("ruby", ["-e", program, sso]);
  running.child.stdin.end(source);
  return (await running).stdout;
}

for (const name of ["plain.html", "react.html", "vue.html", "rails.html.erb"]) {
  test(`the example ${name} runs`, async (t) => {
    const source = await read(`examples/${name}`);
    assert.doesNotMatch(source.replaceAll("https://sso.app.example.com", ""), /https?:/, "an example needs no other host");
    const { world, tab, event, said, marketplace } = await openPage(t, browser, { path: "/prepare", pages: { "/prepare": () => ({ body: "<title>x</title>" }) } });
    const body = name.endsWith(".erb")
      ? `<!doctype html><title>App</title>${await renderErb(source, world.sso)}`
      : source.replaceAll("https://sso.app.example.com", world.sso);
    world.pages["/example"] = { body };
    await tab.goto(`${world.app}/example`);
    await tab.locator("marketplace-frame").waitFor({ state: "attached" });
    const isReady = () => tab.waitForFunction(() => document.querySelector("marketplace-frame").state === "ready");
    await isReady();
    const links = () => world.entries().map(({ search }) => search);
    assert.deepEqual(links(), ["?integration_id=1121&display=settings"]);
    if (/react|vue/.test(name)) {
      await tab.getByRole("button", { name: "Another" }).click();
      await waitUntil(() => links().includes("?integration_id=7&display=settings"));
      await isReady();
    }
    if (name.includes("react")) {
      await tab.getByRole("button", { name: "Reload" }).click();
      await waitUntil(() => links().length === 3);
      await isReady();
      assert.equal(await tab.locator("marketplace-frame").getAttribute("class"), "marketplace");
    }
    await (await marketplace()).evaluate(() => window.post({ message: "pandium-save-sync", tenant: { id: 1, name: "Acme" } }));
    await event("marketplace-save-sync");
    // React's handler sees the latest rendering
    if (!name.endsWith(".erb")) await tab.locator("#saved").getByText(name.includes("react") ? "7: Acme" : "Acme").waitFor();
    assert.deepEqual(said, []);
  });
}

const reactPage = (world, script) => ({
  body: `<!doctype html><html lang="en"><title>App</title><script type="importmap">{ "imports": { "react": "/vendor/react.js",
    "react-dom/client": "/vendor/react-dom-client.js", "wrapper": "/package/react.js" } }</script><main id="app"></main>
    <script type="module">
      import { createElement as h, StrictMode, useState } from "react";
      import { createRoot } from "react-dom/client";
      import { MarketplaceFrame } from "wrapper";
      const base = "${world.sso}";
      ${script}
    </script></html>`,
});

test("the wrapper requests once with the token, in spite of renders", async (t) => {
  const { world, tab, state } = await openPage(t, browser, {
    path: "/react", world: { proofHeader: "Authorization", isSignedIn: false },
    pages: { "/react": (world) => reactPage(world, `
      function App() {
        const [count, setCount] = useState(0);
        window.again = () => setCount(count + 1);
        return h(MarketplaceFrame, { base, title: "Round " + count, tokenProvider: async () => "token-" + count });
      }
      createRoot(document.querySelector("#app")).render(h(StrictMode, null, h(App)));`) },
  });
  await tab.locator("marketplace-frame").waitFor({ state: "attached" });
  await state("ready");
  assert.deepEqual(world.entries().map(({ headers }) => headers.authorization).filter(Boolean), ["token-0"]);
  await tab.evaluate(() => window.again());
  await tab.locator('iframe[title="Round 1"]').waitFor();
  assert.equal(await tab.locator("marketplace-frame").evaluate((node) => node.state), "ready");
  await tab.locator("marketplace-frame").evaluate((node) => node.reload());
  await waitUntil(() => world.entries().some(({ headers }) => headers.authorization === "token-1"));
});

test("every event has its prop in the wrapper", async (t) => {
  const names = ["onStateChange", "onReady", "onRefused", "onBeforeReload", "onError", "onUnauthenticated", "onInstallCancel", "onSaveSync", "onHeight", "onMessage"];
  const { tab } = await openPage(t, browser, {
    path: "/react",
    pages: { "/react": (world) => reactPage(world, `
      window.heard = [];
      const props = Object.fromEntries(${JSON.stringify(names)}.map((name) => [name, ({ type }) => window.heard.push(name + " " + type)]));
      createRoot(document.querySelector("#app")).render(h(MarketplaceFrame, { base, mode: "popup", ...props }));`) },
  });
  await tab.locator("marketplace-frame").waitFor({ state: "attached" });
  await tab.waitForFunction(() => document.querySelector("marketplace-frame").state === "popup");
  assert.deepEqual(await tab.evaluate(() => window.heard.splice(0)), ["onStateChange marketplace-statechange"]);
  const types = ["statechange", "ready", "refused", "beforereload", "error", "unauthenticated", "install-cancel", "save-sync", "height", "message"].map((name) => `marketplace-${name}`);
  await tab.evaluate((types) => types.forEach((type) => document.querySelector("marketplace-frame").dispatchEvent(new CustomEvent(type))), types);
  assert.deepEqual(await tab.evaluate(() => window.heard), names.map((name, n) => `${name} ${types[n]}`));
});

test("the wrapper loads in server-side rendering", async () => {
  const program = `import { renderToString } from "react-dom/server"; import { createElement } from "react";
    import { MarketplaceFrame } from "@marketplace-sso/embed/react";
    console.log(renderToString(createElement(MarketplaceFrame, { integrationId: 1121, className: "a", onReady() {} })));`;
  const { stdout, stderr } = await run("node", ["--input-type=module", "-e", program], { cwd: folder.pathname });
  assert.equal(stdout.trim(), `<marketplace-frame integration-id="1121" class="a"></marketplace-frame>`);
  assert.equal(stderr, "");
});

test("the types compile, and reject invalid uses", async () => {
  await run("node", ["node_modules/typescript/bin/tsc", "-p", "."], { cwd: folder.pathname }).catch((error) => assert.fail(error.stdout));
});

test("embed.js is what npm run build makes of src, and at most 6 kB compressed", async () => {
  const { scripts } = JSON.parse(await read("package.json"));
  const build = scripts.build.replace("--outfile=embed.js ", "");
  const { stdout } = await run("sh", ["-c", `node_modules/.bin/${build}`], { cwd: folder.pathname });
  const shipped = await read("embed.js");
  assert.equal(shipped, stdout, "run npm run build");
  const size = gzipSync(shipped, { level: 9 }).length;
  console.log(`embed.js: ${shipped.length} bytes, ${size} with gzip`);
  assert.ok(size <= 6000);
});

test("the package has all its files, and its lock file names no host", async () => {
  const { files, exports, private: isPrivate } = JSON.parse(await read("package.json"));
  assert.notEqual(isPrivate, true);
  for (const file of files) await read(file);
  for (const entry of Object.values(exports)) for (const file of [entry].flatMap((entry) => Object.values(entry))) {
    if (file.startsWith("./")) await read(file);
  }
  assert.doesNotMatch(await read("package-lock.json"), /https?:|resolved/);
});

test("the README names every attribute, member, event, part, property and slot", async () => {
  const readme = await read("README.md");
  const types = await read("embed.d.ts");
  const code = (await read("src/style.js")) + (await read("embed.css"));
  const attributes = types.match(/interface MarketplaceFrameAttributes \{([^]*?)\n\}/)[1].matchAll(/^ {2}"?([\w-]+)"?\?:/gm);
  const names = [
    ...Array.from(attributes, ([, name]) => name),
    ...Array.from(types.matchAll(/"(marketplace-[a-z-]+)": CustomEvent/g), ([, name]) => name),
    ...Array.from(code.matchAll(/--marketplace-frame-[a-z-]+/g), ([name]) => name),
    ...["state", "tokenProvider", "reload()", "openSignIn()"],
    ...["frame", "panel", "loading", "message", "button"],
    ...["loading", "sign-in", "sign-in-button", "error", "error-button", "open-button"],
    ...["configuration", "unreachable", "timeout", "csp", "coep", "token_provider", "wrong_origin"],
  ];
  assert.ok(names.length > 35);
  assert.deepEqual(names.filter((name) => !readme.includes(`\`${name}\``)), []);
});
