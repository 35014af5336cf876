(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const { entrance, marketplaceOrigin, header, gateway, reuseS } = document.body.dataset;
  const frame = byId("marketplace");
  const people = document.querySelectorAll("[data-person]");
  const unauthorized = byId("unauthorized");

  {% include "frame.js" %}
  onMessage(frame, (origin, data) => {
    if (origin === marketplaceOrigin) fitHeight(frame, data);
  });

  let current = people[0];
  let latest = 0;
  let kept = null;

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

  // The page brings the token. Where the platform says so, it brings one again as long as it is young.
  async function askWithToken(person) {
    const isYoung = kept !== null && kept.person === person && now() - kept.at < Number(reuseS);
    const token = isYoung ? kept.token : await newToken(person);
    kept = isYoung ? kept : { person, token, at: now() };
    showToken(token, isYoung);
    const headers = { Accept: "application/json", [header]: `Bearer ${token}` };
    byId("request").textContent = lines([`GET ${entrance}`, "Accept: application/json", `${header}: Bearer ${short(token)}`, `Origin: ${window.location.origin}`]);
    const answer = await fetch(entrance, { headers, credentials: "include" });
    // its key may be gone by now: whoever re-uses a token has to be ready for that
    if (isYoung && answer.status === 401) {
      kept = null;
      return askWithToken(person);
    }
    return answer;
  }

  function keepsToken() {
    return kept !== null && Number(reuseS) > 0;
  }

  async function newToken(person) {
    const answer = await post("/platform/token", { person: person.dataset.person, is_authorized: !unauthorized?.checked });
    return (await answer.json()).token;
  }

  // The platform's gateway brings the token; what it signed is shown here only because this is a playground.
  async function askGateway(person) {
    const headers = { Accept: "application/json", "X-Forward-To": entrance, "X-Project-Key": person.dataset.projectKey };
    byId("request").textContent = lines([`GET ${gateway}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)]);
    const answer = await fetch(gateway, { headers });
    const token = answer.headers.get("X-Stand-In-Token");
    if (token) {
      showToken(token, false);
      byId("forwarded").textContent = lines([`GET ${entrance}`, "Accept: application/json", `Authorization: Bearer ${short(token)}`, "X-MC-API-Cloud-Identifier: playground", "X-MC-API-Forward-To-Version: v2"]);
    }
    return answer;
  }

  function post(path, body) {
    return fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }

  async function open(person) {
    const own = (latest += 1);
    current = person;
    for (const other of people) other.setAttribute("aria-pressed", String(other === person));
    let answer;
    let text;
    try {
      answer = await (gateway ? askGateway(person) : askWithToken(person));
      text = await answer.text();
    } catch (error) {
      if (own === latest) show("bad", `No answer: ${error.message}`, null);
      return;
    }
    if (own !== latest) return;
    let told = null;
    try { told = JSON.parse(text); } catch { /* not JSON: shown as it came */ }
    byId("answer").textContent = shorten(told ? JSON.stringify(told, null, 2) : text);
    const status = byId("status");
    status.textContent = told?.reason ? `${answer.status} ${told.reason}` : answer.status;
    status.className = answer.ok ? "badge ok" : "badge bad";
    if (answer.ok && told?.url) show("good", `${person.dataset.name} is signed on.`, told.url);
    else show("bad", `${person.dataset.name} is refused: ${status.textContent}. ${told?.title ? `${told.title}.` : ""}`, null);
    void showKeys();
  }

  function show(kind, text, url) {
    const outcome = byId("outcome");
    outcome.className = `hint ${kind}`;
    outcome.hidden = false;
    outcome.querySelector("span").textContent = text;
    frame.hidden = url === null;
    byId("nothing").hidden = url !== null;
    byId("address").textContent = url === null ? marketplaceOrigin : shorten(url);
    if (url === null) frame.removeAttribute("src");
    else frame.src = url;
  }

  for (const person of people) person.addEventListener("click", () => open(person));
  unauthorized?.addEventListener("change", () => open(current));
  byId("again").addEventListener("click", () => open(current));

  const rotate = byId("rotate");
  const down = byId("down");
  const trying = byId("try");
  let isDown = false;

  async function showKeys(answer) {
    if (!rotate) return;
    const seen = await (answer ?? await fetch("/platform/keys")).json();
    isDown = seen.is_down;
    const status = byId("keys-status");
    status.textContent = isDown ? "server down" : "server up";
    status.className = isDown ? "badge bad" : "badge ok";
    down.textContent = isDown ? "Bring it back" : "Take the key server down";
    byId("keys").replaceChildren(...seen.published.map((id) => {
      const line = document.createElement("li");
      const name = document.createElement("code");
      name.textContent = id;
      const badge = document.createElement("span");
      badge.className = id === seen.signing ? "badge ok" : "badge";
      badge.textContent = id === seen.signing ? "signs" : "still published";
      line.append(name, badge);
      return line;
    }));
    return seen;
  }

  async function change(what, before, after) {
    const said = byId("keys-said");
    rotate.disabled = down.disabled = trying.disabled = true;
    said.textContent = before;
    try {
      const seen = await showKeys(await post("/platform/keys", { do: what }));
      said.textContent = after(seen);
    } catch (error) {
      said.textContent = `No answer: ${error.message}`;
    } finally {
      rotate.disabled = down.disabled = trying.disabled = false;
    }
  }

  rotate?.addEventListener("click", async () => {
    await change("rotate", "The new key is published; it signs in a moment.", (seen) => (seen.is_down
      ? `${seen.signing} signs now, and nobody could fetch it: tokens of it are refused until the server is back.`
      : `${seen.signing} signs now. ${keepsToken() ? "The token of before is still good; another person gets one of the new key." : "Open again: nobody is refused."}`));
    rotate.focus();
  });
  down?.addEventListener("click", async () => {
    await change(isDown ? "up" : "down", isDown ? "The key server comes back." : "", (seen) => (seen.is_down
      ? "The key server does not answer. Open again: the keys that are known still serve."
      : `The key server answers again. It was asked ${seen.asked} times so far.`));
    down.focus();
  });

  // the outcome stands far above, out of sight
  trying?.addEventListener("click", async () => {
    await open(current);
    byId("keys-said").textContent = byId("outcome").querySelector("span").textContent;
  });

  void open(current);
})();
