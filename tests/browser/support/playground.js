// The playground.

import { createInterface } from "node:readline";
import { after } from "node:test";
import { inTime, PROGRAM, spawn, stop } from "./hosts.js";

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
