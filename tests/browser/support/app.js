// The app: a login form, a session cookie, the endpoint for auth_request, and pages for tests.

import { createServer } from "node:http";
import { makeHold } from "./waiting.js";

export const PEOPLE = {
  ada: { id: "u-ada", email: "ada@example.test", name: "Ada Lovelace", groups: "staff,ops", plan: "gold" },
  bob: { id: "u-bob", email: "bob@example.test", name: "Bob", groups: "blocked", plan: "free" },
  // more claims than fit
  long: { id: "u-long", email: "long@example.test", name: "L".repeat(250), groups: "staff", plan: "p".repeat(1000) },
};

/** Starts the app, which serves all of its hosts. */
export async function startApp(socket) {
  const sessions = new Map();
  const pages = new Map();
  const seen = [];
  let count = 0;
  let held;

  const signIn = (who) => {
    count += 1;
    sessions.set(`s${count}`, who);
    return `s${count}`;
  };
  const user = ({ headers }) => {
    const cookie = /(?:^|; )session=([^;]*)/.exec(headers.cookie ?? "")?.[1];
    return PEOPLE[sessions.get(cookie)];
  };

  const server = createServer(async (request, response) => {
    const { host } = request.headers;
    const { pathname: path, searchParams: query } = new URL(request.url, "http://x");
    const send = (status, body, headers = {}) => {
      response.writeHead(status, { "content-type": "text/html; charset=utf-8", ...headers });
      response.end(body);
    };
    if (path === "/internal/session") {
      await held?.wait();
      const who = user(request);
      if (!who) return send(401, "");
      return send(200, "", {
        "x-user-id": who.id, "x-user-email": who.email, "x-user-name": who.name, "x-user-groups": who.groups, "x-user-plan": who.plan,
      });
    }
    seen.push({ host, path, method: request.method, url: request.url, headers: request.headers });
    if (path === "/favicon.ico") return send(204, "");
    if (path === "/login" && request.method === "GET") {
      // as identity providers do
      return send(200, LOGIN(query.get("return_to")), { "x-frame-options": "DENY" });
    }
    if (path === "/login" && request.method === "POST") {
      let text = "";
      request.on("data", (data) => (text += data));
      request.on("end", () => {
        const form = new URLSearchParams(text);
        const back = form.get("return_to");
        const isOurs = /^https:\/\/app\.example\.test\//.test(back ?? "");
        send(303, "", { "set-cookie": cookieFor(host, signIn(form.get("who"))), location: isOurs ? back : "/signed-in" });
      });
      return undefined;
    }
    if (path === "/signed-in") return send(200, SIGNED_IN);
    const page = pages.get(host + path);
    if (!page) return send(404, "<!doctype html><title>Nothing here</title><p>Nothing here");
    return send(200, typeof page.body === "function" ? await page.body() : page.body, page.headers);
  });
  await new Promise((resolve) => server.listen(socket, resolve));
  return {
    seen, sessions, signIn,
    /** Ends every session. */
    signOutAll: () => sessions.clear(),
    /** Holds the responses of the session check, until they are released. */
    holdSession: () => (held = makeHold()),
    /** Ends what a test has changed. */
    reset: () => held?.release(),
    /** Serves a page at a URL: a text, or a function that makes it for each request. */
    put(address, body, headers = {}) {
      const { host, pathname } = new URL(address);
      pages.set(host + pathname, { body, headers });
      return address;
    },
    close: () => close(server),
  };
}

/** The session's cookie, as docs/embedding.md says: for the whole site, or from within another one. */
function cookieFor(host, id) {
  return host.endsWith(".example.test")
    ? `session=${id}; Domain=example.test; Path=/; Secure; HttpOnly; SameSite=Lax`
    : `session=${id}; Path=/; Secure; HttpOnly; SameSite=None`;
}

export function close(server) {
  return new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
}

const LOGIN = (back) => `<!doctype html><html lang="en"><title>Login</title><h1>Login</h1>
<form method="post" action="/login"><input type="hidden" name="return_to" value="${escape(back ?? "")}">
<input type="hidden" name="who" value="ada"><button>Log in</button></form></html>`;

// closes the pop-up
const SIGNED_IN = `<!doctype html><html lang="en"><title>Signed in</title><h1>Signed in</h1><script>window.close()</script></html>`;

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
