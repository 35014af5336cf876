(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const element = document.querySelector("marketplace-frame");
  const { logoutUrl } = document.body.dataset;
  let isDown = false;
  let isSignedOut = true;

  const say = (text) => (byId("said").textContent = text);
  element.addEventListener("marketplace-statechange", ({ detail: { state } }) => {
    byId("state").textContent = state;
    if (state === "loading") return;
    const wasSignedOut = isSignedOut;
    isSignedOut = state === "signed-out";
    const focused = document.activeElement;
    byId("sign-out").disabled = byId("reload").disabled = isSignedOut;
    // a disabled button loses the focus
    if (focused.disabled) byId("session-title").focus({ preventScroll: true });
    // a sign-in makes the last message out of date
    if (wasSignedOut && !isSignedOut) say("");
  });

  async function change(what) {
    const body = JSON.stringify({ do: what });
    const response = await fetch("/provider", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (!response.ok) throw new Error(await response.text());
    return (await response.json()).logout_tokens;
  }

  const actions = {
    async "sign-out"() {
      // a form would leave the page; the service checks the origin, which needs this policy without CORS
      await fetch(logoutUrl, { method: "POST", mode: "no-cors", credentials: "include", referrerPolicy: "strict-origin" });
      element.reload();
      say("Signed out. The next sign-in leads to the provider again.");
    },
    reload() {
      say("");
      element.reload();
    },
    async end() {
      const statuses = await change("end");
      element.reload();
      say(statuses.length
        ? `The provider sent ${statuses.length} logout token${statuses.length > 1 ? "s" : ""}; the service answered ${statuses.join(", ")}.`
        : "No user is signed in at the provider.");
    },
    async down() {
      await change(isDown ? "up" : "down");
      isDown = !isDown;
      byId("down").textContent = isDown ? "Bring the provider back" : "Take the provider down";
      byId("provider-status").textContent = isDown ? "down" : "up";
      byId("provider-status").className = isDown ? "badge bad" : "badge ok";
      say(isDown ? "Sessions go on. Sign out, and sign in again, to see what users are told." : "Users can sign in again.");
    },
    async rotate() {
      await change("rotate");
      say("A new key signs now. The service fetches it with the next sign-in.");
    },
  };

  for (const [id, act] of Object.entries(actions)) {
    byId(id).addEventListener("click", () => Promise.resolve(act()).catch((error) => say(`No answer: ${error.message}`)));
  }
})();
