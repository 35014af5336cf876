(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const { otherOrigin } = document.body.dataset;
  const marketplace = byId("marketplace");
  const links = document.querySelectorAll(".side nav a");

  {% include "story.js" %}

  // ---- the frame ----

  const STATES = { ready: "framed", loading: "loading", "signed-out": "signed out", error: "refused" };
  let isElsewhere = false;
  let isRefused = false;
  const showState = () => {
    const state = marketplace.state === "ready" && isRefused ? "error" : marketplace.state;
    byId("state").textContent = isElsewhere ? "refused" : STATES[state] ?? "";
  };
  for (const name of ["ready", "unauthenticated", "error"]) marketplace.addEventListener(`marketplace-${name}`, showState);

  marketplace.addEventListener("marketplace-message", ({ detail }) => {
    // only the stand-in says whether it refuses
    if (detail?.message === "pandium-content-height-change") isRefused = detail.stand_in_refuses === true;
    showState();
    const item = document.createElement("li");
    item.append(make("code", String(detail?.message ?? detail?.type)), make("span", JSON.stringify(detail)));
    byId("messages").prepend(item);
    while (byId("messages").children.length > 20) byId("messages").lastElementChild.remove();
    byId("count").textContent = Number(byId("count").textContent) + 1;
  });
  marketplace.addEventListener("marketplace-save-sync", ({ detail }) => {
    byId("saved").textContent = `${detail.tenant.name} is saved and will sync.`;
    byId("saved").hidden = false;
  });

  /** Shows the marketplace, or the page of another site in its place. */
  function show(elsewhere) {
    isElsewhere = elsewhere;
    byId("said").textContent = "";
    byId("saved").hidden = true;
    marketplace.hidden = elsewhere;
    byId("elsewhere").hidden = !elsewhere;
    if (elsewhere) byId("other-site").src = `${otherOrigin}/`;
    else byId("other-site").removeAttribute("src");
    showState();
    showFrame();
  }

  function markCurrent() {
    for (const link of links) {
      if (new URL(link.href).hash === window.location.hash.replace("#plan", "")) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (window.location.hash === "#plan") document.querySelector("#plan :checked")?.focus();
  }
  // the component follows the address by itself, but not a click on the same one
  for (const link of links) {
    link.addEventListener("click", () => {
      show(false);
      if (new URL(link.href).hash === window.location.hash) marketplace.reload();
    });
  }
  window.addEventListener("hashchange", markCurrent);
  markCurrent();

  // ---- the user ----

  let user = null;

  function showUser(current) {
    // a sign-in makes the last message out of date
    if (user === null && current !== null) byId("said").textContent = "";
    user = current;
    byId("me").hidden = user === null;
    byId("signed-out").hidden = user !== null;
    for (const input of document.querySelectorAll("#plan input")) {
      input.disabled = user === null;
      input.checked = input.value === user?.plan;
    }
    if (user === null) return;
    const avatar = byId("me").querySelector(".avatar");
    avatar.className = `avatar hue-${user.hue}`;
    avatar.textContent = user.initials;
    byId("me").querySelector(".names strong").textContent = user.name;
    byId("me").querySelector(".names span").textContent = user.organization;
  }

  // ---- what can be tried ----

  async function post(path, body = {}) {
    const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    return (await (await fetch(path, options)).json()).said;
  }

  const tries = {
    async forge() {
      const forged = { Accept: "application/json", "X-Auth-Request-Email": "carla@mendes-trading.example" };
      await fetch("/pandium-sso", { headers: forged });
      return post("/playground/forge");
    },
    async end() {
      await fetch("/logout", { method: "POST", redirect: "manual" });
      marketplace.reload();
      return "The app has no session now, so its proxy adds no identity.";
    },
    async expire() {
      const said = await post("/playground/expire");
      // only the stand-in knows this message: it loads its page, with the same token, again
      [...marketplace.shadowRoot.querySelectorAll("iframe")].at(-1)?.contentWindow.postMessage({ message: "stand-in-reload" }, "*");
      return said;
    },
    embed() {
      if (user === null) return "Sign in again first: without a session, the service refuses every site.";
      show(true);
      return `${otherOrigin} is not in embed.parents, so the service refuses.`;
    },
    rotate: () => post("/playground/rotate"),
    async json() {
      const response = await fetch("/pandium-sso", { headers: { Accept: "application/json" } });
      return `The service answered ${response.status}, in JSON: see the third step.`;
    },
  };

  const buttons = document.querySelectorAll("[data-try]");
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      if (isElsewhere) show(false);
      for (const other of buttons) other.disabled = true;
      byId("said").textContent = "…";
      try {
        byId("said").textContent = await tries[button.dataset.try]();
      } catch (error) {
        byId("said").textContent = `No answer: ${error.message}`;
      }
      for (const other of buttons) other.disabled = false;
      button.focus();
    });
  }
  byId("return").addEventListener("click", () => {
    show(false);
    marketplace.reload();
  });
  byId("plan").addEventListener("change", async ({ target }) => {
    const said = await post("/playground/plan", { plan: target.value });
    show(false);
    byId("said").textContent = said;
    marketplace.reload();
  });

  // ---- the trace ----

  async function follow() {
    for (let version = 0; ;) {
      try {
        const response = await fetch(`/playground/trace?after=${version}`);
        const changes = await response.json();
        version = changes.version;
        showUser(changes.user);
        showStories(changes.stories);
        showState();
      } catch {
        // the playground was restarted, and its trace is empty
        version = 0;
        stories.clear();
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
  }
  void follow();
})();
