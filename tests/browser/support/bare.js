// Chromium by the DevTools protocol, without Playwright, since a controlled page is not prerendered.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { CHROMIUM, flagsFor } from "./browser.js";
import { spawn, stop } from "./hosts.js";
import { inTime } from "./waiting.js";

/** Starts a browser, and returns a page with `send` for commands and `on` for events. */
export async function startBareBrowser(hosts) {
  const profile = await mkdtemp(join(tmpdir(), "marketplace-sso-chromium-"));
  const child = spawn(CHROMIUM, [
    "--headless", `--user-data-dir=${profile}`, "--remote-debugging-pipe", "--password-store=basic", ...flagsFor(hosts), "about:blank",
  ], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  after(async () => {
    await stop(child);
    await rm(profile, { recursive: true, force: true, maxRetries: 10 });
  });
  const [, , , to, from] = child.stdio;
  const waiting = new Map();
  const listeners = [];
  let last = 0;
  let text = "";
  from.setEncoding("utf8").on("data", (data) => {
    const messages = (text + data).split("\0");
    text = messages.pop();
    for (const { id, method, params, result, error } of messages.map(JSON.parse)) {
      if (!id) listeners.forEach((listener) => listener(method, params));
      else if (error) waiting.get(id).reject(new Error(error.message));
      else waiting.get(id).resolve(result);
    }
  });
  child.once("exit", () => waiting.forEach(({ reject }) => reject(new Error("the browser has ended"))));
  const send = (method, params = {}, sessionId) => inTime(new Promise((resolve, reject) => {
    last += 1;
    waiting.set(last, { resolve, reject });
    to.write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
  }), `no response to ${method}`);
  // attached to the tab: attaching to the page would prevent the browser from replacing it
  const { targetId } = await send("Target.createTarget", { url: "about:blank", forTab: true });
  const { sessionId: tab } = await send("Target.attachToTarget", { targetId, flatten: true });
  const attached = new Promise((resolve) => listeners.push((method, { sessionId }) => method === "Target.attachedToTarget" && resolve(sessionId)));
  await send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: true }, tab);
  const sessionId = await inTime(attached, "the page is not attached");
  return {
    send: (method, params) => send(method, params, sessionId),
    on: (listener) => listeners.push(listener),
  };
}
