(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const marketplaceOrigin = document.body.dataset.marketplaceOrigin;
  const frame = byId("marketplace");

  {% include "frame.js" %}
  onMessage(frame, (origin, data) => {
    if (origin === marketplaceOrigin) fromMarketplace(data);
    else if (origin === window.location.origin) fromService(data);
  });

  function fromMarketplace(data) {
    switch (data.message) {
      case "pandium-content-height-change":
        if (fitHeight(frame, data)) log(data.message, `height ${Math.ceil(data.height)} px`);
        break;
      case "pandium-save-sync": {
        const tenant = data.tenant ?? {};
        log(data.message, `tenant ${tenant.id}, ${tenant.name}`);
        const hint = byId("saved-hint");
        hint.querySelector("span").textContent = `${tenant.name} is saved and will sync.`;
        hint.hidden = false;
        break;
      }
      case "pandium-install-cancel":
        log(data.message, "cancelled");
        byId("saved-hint").hidden = true;
        break;
    }
  }

  function fromService(data) {
    if (data.type !== "marketplace-sso:unauthenticated") return;
    log(data.type, `reason ${data.reason}`);
    frame.style.height = "420px";
    byId("saved-hint").hidden = true;
    byId("sign-in-hint").hidden = false;
  }

  function log(name, text) {
    const list = byId("log");
    list.querySelector(".empty")?.remove();
    const line = list.firstElementChild?.dataset.name === name ? list.firstElementChild : document.createElement("li");
    line.dataset.name = name;
    const code = document.createElement("code");
    code.textContent = name;
    const detail = document.createElement("span");
    detail.textContent = text;
    line.replaceChildren(code, detail);
    list.prepend(line);
    while (list.children.length > 20) list.lastElementChild.remove();
  }

  // The links target the frame, so the browser follows them; this marks the current one.
  const links = document.querySelectorAll("a[target=marketplace]");
  for (const link of links) {
    link.addEventListener("click", () => {
      for (const other of links) other.removeAttribute("aria-current");
      link.setAttribute("aria-current", "page");
      byId("address").textContent = `GET ${link.getAttribute("href")}`;
      byId("saved-hint").hidden = true;
    });
  }

  byId("show-json").addEventListener("click", async () => {
    const dialog = byId("json");
    const output = dialog.querySelector("pre");
    output.textContent = "…";
    dialog.showModal();
    try {
      const response = await fetch("/pandium-sso", { headers: { Accept: "application/json" } });
      const text = await response.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as text */ }
      output.textContent = `HTTP ${response.status}\n\n${shown}`;
    } catch (error) {
      output.textContent = `No answer: ${error.message}`;
    }
  });

  byId("end-session").addEventListener("click", async () => {
    await fetch("/logout", { method: "POST", redirect: "manual" });
    links[0].click();
  });
})();
