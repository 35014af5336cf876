// The dashboard in Chromium: four widths, light and dark, keyboard and screen reader, without
// scripts, and a token explainer that sends and stores nothing.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { accessibility, picture, startBrowser } from "./support/browser.js";
import { PROGRAM, spawn, stop } from "./support/hosts.js";
import { inTime, PATIENCE_MS } from "./support/waiting.js";

const folder = await mkdtemp(join(tmpdir(), "marketplace-sso-dashboard-"));
const services = [];
after(async () => {
  await Promise.all(services.map(stop));
  await rm(folder, { recursive: true, force: true });
});

/** A service, and its addresses. */
async function startService(more) {
  const config = join(folder, `${Math.random()}.toml`);
  await writeFile(config, `
environment = "sandbox"
server.listen = "127.0.0.1:0"
server.admin_listen = "127.0.0.1:0"
server.public_url = "https://app.example.test"
server.hosts = ["dashboard.example.test"]
server.drain_delay_s = 0
server.workers = 1
pandium.account = "acme"
pandium.shared_secret = "the-secret-of-the-browser-suite-0123456789abcdef"
identity.preset = "auth_request"
identity.trusted_proxies = ["127.0.0.1/32"]
embed.parents = ["https://app.example.test"]
embed.login_url = "https://app.example.test/login"
${more}
[entrances.partners]
path = "/partners"
[entrances.partners.identity]
kind = "bearer"
issuer = "https://login.example.test/"
audience = "marketplace-sso"
algorithms = ["HS256"]
shared_secret = "what-the-issuer-signs-with-0123456789"`, { mode: 0o600 });
  const child = spawn(PROGRAM, ["serve", "--config", config], { stdio: ["ignore", "ignore", "pipe"], cwd: folder });
  services.push(child);
  const lines = [];
  const listening = new Promise((resolve, reject) => {
    child.on("exit", () => reject(new Error(`the service has ended:\n${lines.join("\n")}`)));
    createInterface({ input: child.stderr }).on("line", (line) => {
      lines.push(line);
      if (line.includes('"message":"listening"')) resolve(JSON.parse(line));
    });
  });
  const { listen, admin_listen: admin } = await inTime(listening, "the service does not start");
  return { listen, admin, config };
}

/** Sends a request with only these header fields, unlike fetch, and returns its id. */
const send = (url, headers = {}) => new Promise((resolve, reject) => {
  const sent = request(url, { headers: { "user-agent": "<b>agent</b>", ...headers } }, (response) => {
    response.resume().on("end", () => resolve(response.headers["x-request-id"]));
  });
  sent.on("error", reject).end();
});

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (claims) => `${base64url({ alg: "HS256", typ: "JWT" })}.${base64url(claims)}.c2lnbmF0dXJl`;
const now = Math.floor(Date.now() / 1000);

const service = await startService(`
store.url = "sqlite:${folder}/sso.db"
audit.durability = "commit"`);
for (const user of ["ada", "bob", "eve", "ada", "ada"]) await send(`${service.listen}/pandium-sso`, { "x-auth-request-email": `${user}@example.com` });
for (let n = 0; n < 24; n += 1) await send(`${service.listen}/pandium-sso`);
await send(`${service.listen}/partners`, { authorization: `Bearer ${jwt({ exp: 1 })}` });
await send(`${service.listen}/nothing`);
const refused = await send(`${service.listen}/pandium-sso?integration_id=x`, { "x-auth-request-email": "ada@example.com" });
const bare = await startService("");
await send(`${bare.listen}/pandium-sso`, { "x-auth-request-email": "ada@example.com" });

// `dashboard.example.test` is the admin listener, by a name that is not a loopback name
const browser = await startBrowser({ port: new URL(service.admin).port, certificate: "none" });
const REMOTE = "http://dashboard.example.test";

/** A tab that fails on console messages, violations of the policy, and requests to elsewhere. */
async function open(t, url, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const said = [];
  const requests = [];
  context.on("console", (message) => said.push(message.text()));
  context.on("weberror", (error) => said.push(String(error.error())));
  context.on("request", (one) => requests.push(one.url()));
  const tab = await context.newPage();
  const response = await tab.goto(url);
  t.after(async () => {
    await context.close();
    // and browsers ignore Cross-Origin-Opener-Policy without TLS
    const isExpected = (words) => /the server responded with a status of 40[14]|Opener-Policy header has been ignored/.test(words);
    assert.deepEqual(said.filter((words) => !isExpected(words)), []);
    assert.deepEqual(requests.filter((one) => !one.startsWith(new URL(url).origin) && !one.startsWith("data:")), []);
  });
  return { tab, context, requests, response };
}

const WIDTHS = [360, 768, 1280, 1920];
const PAGES = {
  overview: "/dashboard",
  "overview-30d": "/dashboard?range=30d",
  events: "/dashboard/events",
  "events-none": "/dashboard/events?q=nothing",
  request: `/dashboard/requests/${refused}`,
  "request-unknown": "/dashboard/requests/019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b",
  configuration: "/dashboard/configuration",
  token: "/dashboard/token",
};

/** The elements that do not fit into the width. */
const tooWide = (tab) => tab.evaluate(() => {
  const scrolls = (node) => node && (getComputedStyle(node).overflowX !== "visible" || scrolls(node.parentElement));
  const isWide = (node) => node.getBoundingClientRect().right > innerWidth + 1 && !scrolls(node.parentElement);
  return [
    ...(document.documentElement.scrollWidth > innerWidth ? ["the page"] : []),
    ...[...document.querySelectorAll("main *")].filter(isWide).map((node) => node.outerHTML.slice(0, 80)).slice(0, 5),
  ];
});

/** The lines that the entries of the navigation take. */
const navigationLines = (tab) => tab.evaluate(() => new Set([...document.querySelectorAll(".top nav a")].map(({ offsetTop }) => offsetTop)).size);

async function look(tab, name) {
  for (const width of WIDTHS) {
    await tab.setViewportSize({ width, height: 900 });
    assert.deepEqual(await tooWide(tab), [], `${width}`);
    assert.ok(await navigationLines(tab) <= 1, `${width}`);
    if (width === WIDTHS.at(0) || width === WIDTHS.at(-1)) assert.deepEqual(await accessibility(tab), [], `${width}`);
    for (const colorScheme of ["light", "dark"]) {
      await tab.emulateMedia({ colorScheme });
      await picture(tab, `dashboard-${name}-${width}-${colorScheme}`, { fullPage: true });
    }
  }
}

// first, since it looks at the last ten minutes
test("the overview shows plots, their numbers, and what is unusual", async (t) => {
  const { tab } = await open(t, service.admin);
  await tab.getByRole("img", { name: "Hand-offs by entrance" }).waitFor();
  const refusals = tab.getByRole("img", { name: "Refusals by reason" });
  assert.equal(await refusals.evaluate((node) => document.getElementById(node.getAttribute("aria-describedby")).textContent),
    "27 in this time: 24 unauthenticated, 1 bad_link, 1 invalid_token, 1 not_found.");
  await tab.getByRole("heading", { name: "27 refusals in the last ten minutes" }).waitFor();
  await tab.getByRole("heading", { name: "First hand-off at the entrance pandium-sso" }).waitFor();
  await tab.locator("figure", { has: refusals }).getByText("As a table").click();
  const cells = tab.getByRole("region", { name: "Refusals by reason, as a table" }).getByRole("cell");
  const sum = (await cells.allTextContents()).reduce((all, text) => all + Number(text), 0);
  assert.equal(sum, 27);
  await tab.getByRole("link", { name: "7 days" }).click();
  assert.equal(await tab.getByRole("link", { name: "7 days" }).getAttribute("aria-current"), "true");
});

for (const [name, path] of Object.entries(PAGES)) {
  test(`the page ${name} fits four widths and passes axe-core`, async (t) => {
    const { tab } = await open(t, service.admin + path);
    await tab.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
    await look(tab, name);
  });
}

for (const [name, path] of Object.entries({ overview: "/dashboard", events: "/dashboard/events" })) {
  test(`without a store, the page ${name} says what to set`, async (t) => {
    const { tab } = await open(t, bare.admin + path);
    await tab.getByText("There is no store.").waitFor();
    await look(tab, `bare-${name}`);
  });
}

test("a search by request id leads to the advice", async (t) => {
  const { tab } = await open(t, `${service.admin}/dashboard/events`);
  await tab.getByLabel("Request ID, subject or jti").fill(refused);
  await tab.keyboard.press("Enter");
  await tab.getByRole("link", { name: `Request ${refused}` }).click();
  await tab.getByText("The link parameters are not valid").waitFor();
  await tab.getByText("lists what is passed on").waitFor();
  assert.equal(await tab.getByText("<b>agent</b>").count(), 1);
  await tab.goto(`${service.admin}/dashboard/events?outcome=handed_off`);
  await tab.getByRole("link", { name: /^Events of / }).first().click();
  await tab.waitForURL("**/dashboard/events?subject=*");
  assert.equal(await tab.getByRole("link", { name: /^Request / }).count(), 3);
});

test("the keyboard reaches everything in order", async (t) => {
  const { tab } = await open(t, `${service.admin}/dashboard/events`);
  const focused = () => tab.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.id);
  const order = [];
  for (let n = 0; n < 12; n += 1) {
    await tab.keyboard.press("Tab");
    order.push(await focused());
    const outline = await tab.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(outline, "none", order.at(-1));
  }
  const selects = order.splice(6, 4);
  assert.deepEqual(order, ["Skip to the content", "Overview", "Events", "Configuration", "Token", "q", "Search", "Reset"]);
  assert.equal(selects.length, 4);
  await tab.goto(service.admin);
  await tab.keyboard.press("Tab");
  await tab.keyboard.press("Enter");
  await tab.keyboard.press("Tab");
  assert.equal(await focused(), "24 hours");
});

test("everything but the token explainer works without scripts", async (t) => {
  const { tab } = await open(t, service.admin, { javaScriptEnabled: false });
  await tab.getByRole("link", { name: /Show the events.*First hand-off/ }).click();
  await tab.waitForURL("**/dashboard/events?entrance=*");
  assert.ok(await tab.getByRole("link", { name: /^Request / }).count() >= 5);
  await tab.goto(`${service.admin}/dashboard/token`);
  await tab.getByText("This page needs JavaScript").waitFor();
});

test("the token explainer sends and stores nothing", async (t) => {
  const { tab, context, requests } = await open(t, `${service.admin}/dashboard/token`);
  const before = requests.length;
  const field = tab.getByRole("textbox", { name: "Token" });
  const claims = { iss: "https://login.example.test/", sub: "ada", iat: now - 60, exp: now - 2 * 3600, ti: { uem: "<img src=x>" } };
  await field.fill(`https://imp.sandbox.pandium.com/acme?tenant=${jwt(claims)}&display=grid`);
  const cell = (text) => tab.locator("#explained td", { hasText: text });
  await cell("2 hours ago: expired").waitFor();
  assert.equal(await cell("<img src=x>").count(), 1);
  assert.equal(await tab.locator("#explained tr", { hasText: "ti.uem" }).locator(".source").textContent(), "the user's e-mail");
  await tab.getByText("The signature was not verified").waitFor();
  assert.deepEqual(await tab.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), [0, 0, ""]);
  assert.deepEqual(await context.cookies(), []);
  await look(tab, "token-explained");
  assert.deepEqual(requests.slice(before), []);

  await field.fill("not a token");
  await tab.getByText("There is no token in this text").waitFor();
  await field.fill("a.b.c");
  await tab.getByText("The token cannot be decoded").waitFor();
  await field.fill(jwt(claims));
  await tab.goto(service.admin);
  await tab.goBack();
  assert.equal(await field.inputValue(), "");
  assert.equal(await tab.locator("#explained").textContent(), "");
});

test("from elsewhere, the dashboard asks for an API token", async (t) => {
  const { tab, response } = await open(t, `${REMOTE}/dashboard/configuration`);
  assert.equal(response.url(), `${REMOTE}/dashboard/login`);
  await look(tab, "login");
  await tab.getByLabel("API token").fill("mkt_wrong");
  await tab.getByRole("button", { name: "Sign in" }).click();
  await tab.getByRole("alert").waitFor();
  assert.equal(await tab.getByLabel("API token").inputValue(), "");
  await look(tab, "login-refused");
});

test("an API token opens a session, until the user signs out", async (t) => {
  const created = ["token", "create", "--config", service.config, "--name", "operator", "--scope", "audit:read"];
  const { stdout } = await promisify(execFile)(PROGRAM, created, { cwd: folder });
  const { tab, context } = await open(t, REMOTE);
  await tab.getByLabel("API token").fill(stdout.trim());
  await tab.keyboard.press("Enter");
  await tab.getByRole("heading", { name: "Overview" }).waitFor();
  assert.equal(tab.url(), `${REMOTE}/dashboard`);
  const [cookie] = await context.cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/dashboard"]);
  await look(tab, "session");
  await tab.getByRole("button", { name: "Sign out" }).click();
  await tab.getByRole("heading", { name: "Sign in" }).waitFor();
  await tab.goto(`${REMOTE}/dashboard`);
  assert.equal(tab.url(), `${REMOTE}/dashboard/login`);
});
