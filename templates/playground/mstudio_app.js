(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const { serviceOrigin, marketplaceOrigin } = document.body.dataset;
  const frame = byId("marketplace");
  const people = [...document.querySelectorAll("[data-person]")];
  let person = people[0];
  let opened = null;
  /** What the badge says of the frame; null while it loads. */
  let shown = null;

  {% include "frame.js" %}
  onMessage(frame, (origin, data) => {
    if (origin === marketplaceOrigin) {
      if (fitHeight(frame, data) && stateOf(data) !== shown) showMarketplace(stateOf(data));
    } else if (origin === serviceOrigin && String(data.type).startsWith("marketplace-sso:")) {
      showResult("refused", `The service refuses to open the extension for ${person.dataset.name}: ${data.reason}.`, "bad");
    }
  });

  // Shows the result next to the buttons; the details are further below.
  function say(text, className) {
    byId("said").textContent = text;
    byId("said").className = `said near ${className}`;
  }

  function showMarketplace(state) {
    if (state === "framed") showResult(state, `The extension is open for ${person.dataset.name}. The key of its URL works once.`, "ok");
    else showResult(state, `The marketplace refuses ${person.dataset.name}: the frame says why.`, "bad");
  }

  // What the page in the frame has reported.
  function showResult(state, text, className) {
    shown = state;
    byId("state").textContent = state;
    byId("state").className = `badge ${className}`;
    say(text, className);
  }

  const pretty = (value) => JSON.stringify(value, null, 2);
  const quality = (status) => (status < 300 ? "ok" : "bad");

  async function request(path, body) {
    const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const response = await fetch(path, options);
    if (!response.ok) throw new Error(await response.text());
    return response.json();
  }

  function log(text, className) {
    const line = document.createElement("li");
    const said = document.createElement("span");
    said.className = `badge ${className}`;
    said.textContent = text;
    line.append(said);
    byId("webhooks").querySelector(".empty")?.remove();
    byId("webhooks").prepend(line);
  }

  // the first instance is installed by the page
  async function start() {
    const { instances } = await request("/mstudio");
    await (instances.length ? show() : change({ do: "install" }));
  }

  async function show() {
    const { instances, known } = await request("/mstudio");
    byId("known").textContent = pretty(known);
    const focused = document.activeElement?.dataset.do;
    const focusedId = document.activeElement?.closest("[data-id]")?.dataset.id;
    byId("instances").replaceChildren(...instances.map(item));
    if (focused) byId("instances").querySelector(`[data-id="${focusedId}"] [data-do="${focused}"]:enabled`)?.focus();
  }

  function item({ id, enabled, variant, is_removed: isRemoved }) {
    const line = byId("instance").content.firstElementChild.cloneNode(true);
    line.dataset.id = id;
    line.querySelector("code").textContent = id.slice(0, 8);
    line.querySelector("[data-is=variant]").textContent = variant;
    const state = line.querySelector("[data-is=state]");
    state.textContent = isRemoved ? "removed" : enabled ? "enabled" : "disabled";
    state.className = enabled && !isRemoved ? "badge ok" : "badge bad";
    line.querySelector("[data-do=toggle]").textContent = enabled ? "Disable" : "Enable";
    for (const button of line.querySelectorAll("[data-do]")) {
      const what = button.dataset.do;
      button.disabled = isRemoved && what !== "open" && what !== "token";
      button.addEventListener("click", () => attempt(() => act(what, id)));
    }
    return line;
  }

  async function act(what, id) {
    if (what === "open") return open(id);
    await (what === "token" ? requestToken(id) : change({ do: what, instance: id }));
    // on a small screen it is below the buttons
    byId("said").scrollIntoView({ block: "nearest" });
    return undefined;
  }

  async function requestToken(id) {
    const { status, body } = await request("/mstudio/access-token", { instance: id });
    byId("token-status").textContent = status;
    byId("token-status").className = `badge ${quality(status)}`;
    byId("token").textContent = pretty(body);
    say(`Access token: the service answers ${status}. ${body?.access_token ?? body?.detail ?? ""}`, quality(status));
  }

  async function change(what) {
    const { kind, status, body } = await request("/mstudio/change", what);
    const sent = `${what.do === "forge" ? "Forged: " : ""}${kind}`;
    const answer = `${status}${body ? ` ${body.reason}` : ""}`;
    log(`${sent}: ${answer}`, quality(status));
    say(`${sent} was sent, and the service answers ${answer}.`, quality(status));
    await show();
  }

  // each time with another key, which works once
  async function open(id) {
    opened = id;
    const { url } = await request("/mstudio/open", { instance: id, person: person.dataset.person });
    byId("address").textContent = url.replace(/(atrek=.{8}).*/u, "$1…");
    byId("nothing").hidden = true;
    frame.hidden = false;
    shown = null;
    byId("state").textContent = "loading";
    byId("state").className = "badge";
    say(`The extension is opening for ${person.dataset.name}.`, "");
    frame.src = url;
    const stage = byId("stage");
    if (stage.getBoundingClientRect().top > 0.7 * window.innerHeight) stage.scrollIntoView();
  }

  function choose(other) {
    person = other;
    for (const each of people) each.setAttribute("aria-pressed", String(each === person));
  }

  const attempt = (work) => Promise.resolve(work()).catch((error) => say(`No answer: ${error.message}`, "bad"));

  byId("install").addEventListener("click", () => attempt(() => change({ do: "install" })));
  for (const each of people) {
    each.addEventListener("click", () => {
      choose(each);
      if (opened) attempt(() => open(opened));
    });
  }
  choose(person);
  attempt(start);
})();
