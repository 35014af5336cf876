// A real OpenID provider (npm oidc-provider), with a login page that no page may frame, and two users.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import { request as httpsRequest } from "node:https";
import { Provider } from "oidc-provider";
import { close } from "./app.js";
import { makeHold } from "./waiting.js";

export const ISSUER = "https://id.provider.test";
export const CLIENT_SECRET = "the-secret-of-the-client-at-the-provider-0123456789";

const HOUR_S = 3600;

/** The users, by their subject at the provider. */
export const USERS = {
  ada: { email: "ada@example.test", name: "Ada Lovelace" },
  bob: { email: "bob@example.test", name: "Bob" },
};

const LOGIN = (uid) => `<!doctype html><html lang="en"><head><title>Provider</title><meta name="viewport" content="width=device-width"></head>
<body><main><h1>Provider</h1><form method="post" action="/interaction/${uid}">
${Object.entries(USERS).map(([id, { name }]) => `<button name="who" value="${id}">Continue as ${name}</button>`).join("\n")}
<button name="who" value="">Cancel</button></form></main></body></html>`;

/**
 * Starts the provider on a socket. Each host of the service is a separate client. `reach` opens a TLS
 * connection to a host name, for logout tokens.
 */
export async function startProvider(socket, hosts, reach) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const provider = new Provider(ISSUER, {
    clients: hosts.map((host) => ({
      client_id: host,
      client_secret: CLIENT_SECRET,
      redirect_uris: [`https://${host}/auth/pandium-sso/callback`],
      post_logout_redirect_uris: [`https://${host}/auth/pandium-sso/signed-out`],
      grant_types: ["authorization_code", "refresh_token"],
      backchannel_logout_uri: `https://${host}/auth/pandium-sso/backchannel-logout`,
      backchannel_logout_session_required: true,
    })),
    claims: { openid: ["sub"], profile: ["name"], email: ["email"] },
    // the claims are in the ID token as well
    conformIdTokenClaims: false,
    cookies: { keys: ["the-key-of-the-provider's-cookies"] },
    features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true, logoutSource, postLogoutSuccessSource } },
    fetch: (url, options) => post(reach, url, options),
    findAccount: (_, id) => USERS[id] && { accountId: id, claims: () => ({ sub: id, ...USERS[id] }) },
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "first", use: "sig", alg: "RS256" }] },
    loadExistingGrant,
    pkce: { required: () => true },
    ttl: { AccessToken: HOUR_S, AuthorizationCode: 60, Grant: HOUR_S, IdToken: HOUR_S, Interaction: HOUR_S, RefreshToken: HOUR_S, Session: HOUR_S },
  });
  provider.proxy = true;
  let held;
  const state = {
    /** Its requests: method and path. */
    seen: [],
    /** Holds logins whose button was clicked, until they are released. */
    holdLogins: () => (held = makeHold()),
    /** Ends what a test has changed. */
    reset() {
      held?.release();
      Object.assign(state, {
        /** While true, the provider sends no responses. */
        isDown: false,
        /** Called with each URL of a response; if it returns true, the browser does not get that redirect. */
        onResponse: () => false,
        /** Logout tokens that the service did not accept. */
        refusedLogouts: [],
      });
    },
    close: () => close(server),
  };
  state.reset();
  provider.on("backchannel.error", (_, error) => state.refusedLogouts.push(error.message));
  const answer = provider.callback();
  const server = createServer(async (request, response) => {
    if (state.isDown) return request.socket.destroy();
    const { pathname: path } = new URL(request.url, ISSUER);
    // requested by the browser itself, at any time
    if (path === "/favicon.ico") return response.writeHead(404).end();
    state.seen.push(`${request.method} ${path}`);
    if (!path.startsWith("/interaction/")) {
      const { end } = response;
      response.end = (...body) => {
        const url = response.getHeader("location");
        if (url?.includes("/callback?") && state.onResponse(url)) {
          response.removeHeader("location");
          response.statusCode = 200;
        }
        return end.apply(response, body);
      };
      return answer(request, response);
    }
    const send = (status, body) => {
      response.writeHead(status, { "content-type": "text/html; charset=utf-8", "x-frame-options": "DENY" });
      response.end(body);
    };
    try {
      const { uid } = await provider.interactionDetails(request, response);
      if (request.method === "GET") return send(200, LOGIN(uid));
      const who = new URLSearchParams(await text(request)).get("who");
      await held?.wait();
      const result = who ? { login: { accountId: who } } : { error: "access_denied", error_description: "the user has cancelled" };
      return await provider.interactionFinished(request, response, result);
    } catch (error) {
      return send(400, error.message);
    }
  });
  await new Promise((resolve) => server.listen(socket, resolve));
  return state;
}

/** A proxy for the service's own requests: whatever their host, they are sent to nginx. */
export async function startProxy(port) {
  const server = createTcpServer((incoming) => {
    incoming.on("error", () => {});
    incoming.once("data", () => {
      const outgoing = connect(port(), "127.0.0.1", () => incoming.write("HTTP/1.1 200 OK\r\n\r\n"));
      outgoing.on("error", () => incoming.destroy());
      incoming.on("close", () => outgoing.destroy());
      incoming.pipe(outgoing).pipe(incoming);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** Clicks a button of the login page. */
export async function atProvider(tab, name) {
  await tab.waitForURL(`${ISSUER}/interaction/**`);
  await tab.getByRole("button", { name }).click();
}

/** All scopes are granted to these clients, without a question. */
async function loadExistingGrant({ oidc: { client, session, params, provider } }) {
  const grant = new provider.Grant({ accountId: session.accountId, clientId: client.clientId });
  grant.addOIDCScope(params.scope);
  await grant.save();
  return grant;
}

/** The confirmation of a sign-out, which a script submits. */
function logoutSource(ctx, form) {
  ctx.body = `<!doctype html><title>Provider</title>${form}<button name="logout" value="yes" form="op.logoutForm">Sign out</button>
<script>document.querySelector("button").click()</script>`;
}

function postLogoutSuccessSource(ctx) {
  ctx.body = `<!doctype html><title>Provider</title><h1>Signed out at the provider</h1>`;
}

async function text(stream) {
  let text = "";
  for await (const data of stream) text += data;
  return text;
}

async function post(reach, url, { method, headers, body }) {
  const { host, pathname } = new URL(url);
  const connection = await reach();
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest({ ...connection, servername: host, method, path: pathname, headers: { ...Object.fromEntries(headers), host } });
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve({ status: response.statusCode }));
    });
    outgoing.end(String(body));
  });
}
