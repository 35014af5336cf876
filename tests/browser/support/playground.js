// The playground.

import { createInterface } from "node:readline";
import { after } from "node:test";
import { PROGRAM, spawn, stop } from "./hosts.js";
import { inTime } from "./waiting.js";

/** Starts it with more arguments, and returns the URL that it prints. */
export async function startPlayground(...more) {
  const child = spawn(PROGRAM, ["playground", "--listen", "127.0.0.1:0", ...more], { stdio: ["ignore", "pipe", "ignore"] });
  after(() => stop(child));
  const lines = createInterface({ input: child.stdout });
  const found = new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const address = /http:\/\/[^\s]+/.exec(line);
      if (address) resolve(address[0]);
    });
    child.on("exit", () => reject(new Error("the playground has ended")));
  });
  return inTime(found, "the playground does not start");
}

/** Signs in to its app, and waits until the marketplace is shown. */
export async function signInToPlayground(tab, who) {
  await tab.getByText(who).click();
  await tab.getByRole("button", { name: "Sign in" }).click();
  await tab.locator("#state").getByText("framed").waitFor();
}

/** Loads the marketplace in the frame again, with a token that it refuses. */
export async function loadWithRefusedToken(tab) {
  const frame = tab.frames().find((other) => other.url().includes("tenant="));
  await frame.goto(frame.url().replace(/tenant=[^&]*/u, "tenant=refused"));
}
