(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const { entrance, marketplaceOrigin, header, gateway, reuseS } = document.body.dataset;
  const frame = byId("marketplace");
  const people = document.querySelectorAll("[data-person]");
  const unauthorized = byId("unauthorized");

  {% include "frame.js" %}
  onMessage(frame, (origin, data) => {
    if (origin === marketplaceOrigin && fitHeight(frame, data) && !frame.hidden) byId("state").textContent = stateOf(data);
  });

  let current = null;
  let latest = 0;
  let cached = null;

  const now = () => Math.floor(Date.now() / 1000);
  const lines = (all) => all.join("\n");
  const short = (token) => token.split(".").map((part) => (part.length > 14 ? `${part.slice(0, 10)}…` : part)).join(".");
  const shorten = (text) => text.replace(/[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/g, short);

  function decode(part) {
    const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  }

  function showToken(token, isReused) {
    const [head, body, signature] = token.split(".");
    const claims = decode(body);
    byId("token-header").textContent = JSON.stringify(decode(head), null, 2);
    byId("token-claims").textContent = JSON.stringify(claims, null, 2);
    byId("token-signature").textContent = `${signature.slice(0, 16)}… (${signature.length} characters)`;
    const age = Math.max(now() - claims.iat, 0);
    byId("token-said").textContent = isReused
      ? `Used again: signed ${age} s ago, good for ${claims.exp - now()} s more.`
      : `Signed for this request, good for ${claims.exp - claims.iat} s.`;
  }

  // Sends the token from the page; reuses it for `reuseS` seconds.
  async function fetchWithToken(person) {
    const isReused = cached !== null && cached.person === person && now() - cached.at < Number(reuseS);
    const token = isReused ? cached.token : await newToken(person);
    cached = isReused ? cached : { person, token, at: now() };
    showToken(token, isReused);
    const headers = { Accept: "application/json", [header]: `Bearer ${token}` };
    byId("request").textContent = lines([`GET ${entrance}`, "Accept: application/json", `${header}: Bearer ${short(token)}`, `Origin: ${window.location.origin}`]);
    const response = await fetch(entrance, { headers, credentials: "include" });
    // the key of a reused token may no longer be published
    if (isReused && response.status === 401) {
      cached = null;
      return fetchWithToken(person);
    }
    return response;
  }

  function reusesToken() {
    return cached !== null && Number(reuseS) > 0;
  }

  async function newToken(person) {
    const response = await post("/platform/token", { person: person.dataset.person, is_authorized: !unauthorized?.checked });
    return (await response.json()).token;
  }

  // The platform's gateway sends the token; only the playground's gateway reveals it.
  async function fetchThroughGateway(person) {
    const headers = { Accept: "application/json", "X-Forward-To": entrance, "X-Project-Key": person.dataset.projectKey };
    byId("request").textContent = lines([`GET ${gateway}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)]);
    const response = await fetch(gateway, { headers });
    const token = response.headers.get("X-Stand-In-Token");
    if (token) {
      showToken(token, false);
      byId("forwarded").textContent = lines([`GET ${entrance}`, "Accept: application/json", `Authorization: Bearer ${short(token)}`, "X-MC-API-Cloud-Identifier: playground", "X-MC-API-Forward-To-Version: v2"]);
    }
    return response;
  }

  function post(path, body) {
    return fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }

  // Returns whether its result is shown; otherwise another person was chosen meanwhile.
  async function open(person) {
    const attempt = (latest += 1);
    current = person;
    if (rotate) byId("keys-said").textContent = "";
    for (const other of people) other.setAttribute("aria-pressed", String(other === person));
    let response;
    let text;
    try {
      response = await (gateway ? fetchThroughGateway(person) : fetchWithToken(person));
      text = await response.text();
    } catch (error) {
      if (attempt === latest) show("bad", `No answer: ${error.message}`, null);
      return attempt === latest;
    }
    if (attempt !== latest) return false;
    let body = null;
    try { body = JSON.parse(text); } catch { /* not JSON: shown as text */ }
    byId("answer").textContent = shorten(body ? JSON.stringify(body, null, 2) : text);
    const status = byId("status");
    status.textContent = body?.reason ? `${response.status} ${body.reason}` : response.status;
    status.className = response.ok ? "badge ok" : "badge bad";
    if (response.ok && body?.url) show("good", `${person.dataset.name} is signed on.`, body.url);
    else show("bad", `${person.dataset.name} is refused: ${status.textContent}. ${body?.title ? `${body.title}.` : ""}`, null);
    if (rotate) void showKeys();
    return true;
  }

  function show(kind, text, url) {
    const outcome = byId("outcome");
    outcome.className = `hint ${kind}`;
    outcome.hidden = false;
    outcome.querySelector("span").textContent = text;
    frame.hidden = url === null;
    byId("state").textContent = url === null ? "empty" : "loading";
    byId("nothing").hidden = url !== null;
    byId("nothing").textContent = "Nothing is open: the service has returned no address.";
    byId("address").textContent = url === null ? marketplaceOrigin : shorten(url);
    if (url === null) frame.removeAttribute("src");
    else frame.src = url;
  }

  for (const person of people) person.addEventListener("click", () => open(person));
  unauthorized?.addEventListener("change", () => {
    if (current) void open(current);
  });
  byId("again").addEventListener("click", () => open(current));

  const rotate = byId("rotate");
  const down = byId("down");
  let isDown = false;
  let latestKeys = 0;

  // Shows the result of the latest request only: results may overtake each other.
  async function showKeys(request = fetch("/platform/keys")) {
    const number = (latestKeys += 1);
    const keyStatus = await (await request).json();
    if (number === latestKeys) showKeyStatus(keyStatus);
    return keyStatus;
  }

  function showKeyStatus(keyStatus) {
    isDown = keyStatus.is_down;
    const status = byId("keys-status");
    status.textContent = isDown ? "key server down" : "key server up";
    status.className = isDown ? "badge bad" : "badge ok";
    down.textContent = isDown ? "Bring the key server back" : "Take the key server down";
    byId("keys").replaceChildren(...keyStatus.published.map((id) => {
      const line = document.createElement("li");
      const name = document.createElement("code");
      name.textContent = id;
      const badge = document.createElement("span");
      badge.className = id === keyStatus.signing ? "badge ok" : "badge";
      const isWaiting = keyStatus.is_newest_waiting && id === keyStatus.published.at(-1);
      badge.textContent = id === keyStatus.signing ? "signs" : isWaiting ? "waits until it is fetched" : "still published";
      line.append(name, badge);
      return line;
    }));
  }

  // The outcome is above, outside the viewport, so it is repeated here.
  async function change(what, before, after) {
    const message = byId("keys-said");
    rotate.disabled = down.disabled = true;
    message.textContent = before;
    try {
      const said = after(await showKeys(post("/platform/keys", { do: what })));
      const isShown = current === null || await open(current);
      const outcome = current ? byId("outcome").querySelector("span").textContent : "Choose a person to see that no user is refused.";
      message.textContent = isShown ? `${said} ${outcome}` : said;
    } catch (error) {
      message.textContent = `No answer: ${error.message}`;
    } finally {
      rotate.disabled = down.disabled = false;
    }
  }

  rotate?.addEventListener("click", async () => {
    await change("rotate", "The new key is published; it signs once the service has fetched it.", (keyStatus) => (keyStatus.is_newest_waiting
      ? `${keyStatus.published.at(-1)} cannot be fetched yet, so ${keyStatus.signing} keeps signing.`
      : `${keyStatus.signing} signs now.${reusesToken() ? " The token of before is still good; another person gets one of the new key." : ""}`));
    rotate.focus();
  });
  down?.addEventListener("click", async () => {
    await change(isDown ? "up" : "down", isDown ? "The key server comes back." : "", (keyStatus) => (keyStatus.is_down
      ? "The key server does not answer; the service goes on with the keys that it knows."
      : `The key server answers again. It was asked ${keyStatus.requests} times so far.`));
    down.focus();
  });

  if (rotate) void showKeys();
})();
