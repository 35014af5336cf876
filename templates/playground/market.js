(() => {
  "use strict";
  const app = document.body.dataset.appOrigin;
  if (window.parent === window) return;
  const tell = (message) => window.parent.postMessage(message, app);

  // what the playground's page sends, to show a token that has expired
  window.addEventListener("message", (event) => {
    if (event.origin === app && event.data?.message === "stand-in-reload") window.location.reload();
  });

  // what only the stand-in says: that its page is a refusal
  const more = document.querySelector(".refused") ? { stand_in_refuses: true } : {};
  const tellHeight = () => tell({
    message: "pandium-content-height-change",
    height: Math.ceil(document.querySelector(".market").getBoundingClientRect().height),
    ...more,
  });
  new ResizeObserver(tellHeight).observe(document.querySelector(".market"));
  window.addEventListener("load", tellHeight);

  const tenant = document.querySelector("[data-tenant-id]")?.dataset;
  const tellSaved = () => {
    tell({ message: "pandium-save-sync", tenant: { id: Number(tenant.tenantId), name: tenant.tenantName } });
    document.getElementById("saved").hidden = false;
  };
  if (tenant?.saved === "true") tellSaved();
  document.getElementById("settings")?.addEventListener("submit", (event) => {
    event.preventDefault();
    tellSaved();
  });
  document.getElementById("cancel")?.addEventListener("click", () => tell({ message: "pandium-install-cancel" }));
})();
