// A stand-in for the marketplace: it records requests, and posts the messages of a test.

import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { close } from "./app.js";

/** Starts it. */
export async function startMarketplace(socket) {
  const state = {
    /** The requests, in order: path, link, token, headers. */
    signOns: [],
    /** Ends what a test has changed. */
    reset: () => Object.assign(state, {
      /** A promise that it waits for before it responds. */
      patience: null,
      /** A promise for which the page's script waits; this delays only the load event. */
      slowScript: null,
    }),
    close: () => close(server),
  };
  state.reset();
  const server = createServer(async (request, response) => {
    const { pathname: path, searchParams } = new URL(request.url, "http://x");
    if (path === "/favicon.ico") return response.writeHead(204).end();
    if (path === "/slow.js") {
      await state.slowScript;
      return response.writeHead(200, { "content-type": "text/javascript" }).end();
    }
    const link = Object.fromEntries(searchParams);
    delete link.tenant;
    state.signOns.push({ path, link, token: searchParams.get("tenant"), tokens: searchParams.getAll("tenant").length, headers: request.headers });
    await state.patience;
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    return response.end(PAGE(path, state.slowScript));
  });
  await new Promise((resolve) => server.listen(socket, resolve));
  return state;
}

/** The claims of a token, if it is signed with the secret and has the required claims. */
export function verified(token, secret) {
  const [header, claims, signature, ...more] = token.split(".");
  const expected = createHmac("sha256", secret).update(`${header}.${claims}`).digest("base64url");
  const read = (part) => JSON.parse(Buffer.from(part, "base64url"));
  if (more.length || signature !== expected || read(header).alg !== "HS256") throw new Error("the token is not valid");
  return read(claims);
}

const PAGE = (path, hasSlowScript) => `<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width"><title>Marketplace</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; color: #1c2330; background: #f4f6fa }</style></head>
<body><main><h1>Marketplace</h1><p>You are at ${path.replaceAll(/[<&]/g, "")}.</p></main>
${hasSlowScript ? `<script async src="/slow.js"></script>` : ""}<script>window.post = (data, to = parent) => to.postMessage(data, "*");</script></body></html>`;
