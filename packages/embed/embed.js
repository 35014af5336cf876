// <marketplace-frame>: the marketplace in an app's page. Served at /embed.js.

const NAMES = ["title", "loading", "sign-in", "error", "sign-in-button", "error-button", "open-button"];
const TEXTS = {
  en: [
    "Integrations",
    "Loading…",
    "Please sign in to go on.",
    "The integrations could not be loaded.",
    "Sign in",
    "Try again",
    "Open integrations",
  ],
  de: [
    "Integrationen",
    "Wird geladen …",
    "Bitte melden Sie sich an.",
    "Die Integrationen konnten nicht geladen werden.",
    "Anmelden",
    "Erneut versuchen",
    "Integrationen öffnen",
  ],
  fr: [
    "Intégrations",
    "Chargement…",
    "Veuillez vous connecter.",
    "Les intégrations n’ont pas pu être chargées.",
    "Se connecter",
    "Réessayer",
    "Ouvrir les intégrations",
  ],
  es: [
    "Integraciones",
    "Cargando…",
    "Inicie sesión para continuar.",
    "No se pudieron cargar las integraciones.",
    "Iniciar sesión",
    "Reintentar",
    "Abrir integraciones",
  ],
};

const STYLE = `
:host { display: block; min-height: var(--marketplace-frame-min-height, 20rem) }
:host([hidden]), .ready div { display: none }
section { display: grid; height: 100%; min-height: inherit }
section.loading, .ready { height: var(--marketplace-frame-height, var(--reported, 100%)) }
iframe, div { grid-area: 1 / 1 }
iframe { width: 100%; height: 100%; contain: size; border: 0; background: var(--marketplace-frame-background) }
:not(.ready) > iframe { visibility: hidden }
div { display: grid; gap: 1rem; place-content: center; justify-items: center; padding: 1rem; text-align: center }
p { margin: 0 }
small { display: block }
a, button { font: inherit; padding: .6rem 1.4rem; border: 1px solid transparent; text-decoration: none;
  border-radius: var(--marketplace-frame-radius, .5rem);
  background: var(--marketplace-frame-accent, #2f5bd8); color: var(--marketplace-frame-on-accent, #fff) }
.loading div::before { content: ""; padding: .6rem; border: 3px solid; border-radius: 50%; border-top-color: transparent }
@media (prefers-reduced-motion: no-preference) { ::before { animation: turn 1s linear infinite } }
@keyframes turn { to { rotate: 1turn } }
`;

const LINK = ["install", "integration-id", "display", "integration-settings"];
const SLOTS = { loading: "loading", "signed-out": "sign-in", error: "error", popup: "open" };
const TICK_MS = 30000;
const GRACE_MS = 50;

const ISOLATED = "Cross-Origin-Embedder-Policy blocks frames without one. Leave it out, or use mode=popup.";

let sheet;

const snake = (name) => name.replace("-", "_");
const make = (name, properties, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};
const originOf = (url) => {
  try {
    return new URL(url).origin;
  } catch {
    return "";
  }
};
const log = (level, text) => console[level](`<marketplace-frame>: ${text}`);

export class MarketplaceFrame extends (globalThis.HTMLElement ?? class {}) {
  static observedAttributes = LINK.concat("base,entrance,params,link-from,mode,title,lang".split(","));

  #box = make("section");
  #panel = make("div");
  #message = make("p", { part: "message" });
  #state = "idle";
  #provider = null;
  #button; #frame; #note; #rendered; #target; #key; #settingsRequest; #settings; #popup; #connected; #attempt;
  #hadFocus; #refused; #wasSevered; #lastSeen;

  constructor() {
    super();
    if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(STYLE);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(this.#box);
    this.#box.append(this.#panel);
    this.#panel.append(this.#message);
  }

  connectedCallback() {
    // a property set before the element was defined hides the accessor
    const { tokenProvider } = this;
    delete this.tokenProvider;
    this.tokenProvider = tokenProvider;
    const { signal } = (this.#connected = new AbortController());
    const on = (target, type, listener) => target.addEventListener(type, listener, { signal });
    on(window, "message", (event) => this.#receive(event));
    on(window, "hashchange", () => this.#schedule());
    on(window, "focus", () => this.#retry());
    // the session in the back-forward cache may have expired
    on(window, "pageshow", (event) => event.persisted && this.reload());
    on(document, "visibilitychange", () => (this.#wake(), this.#retry()));
    on(document, "prerenderingchange", () => this.#schedule());
    on(document, "securitypolicyviolation", (event) => /^(frame|connect)-/.test(event.effectiveDirective) && this.#blocked(event));
    const ticking = setInterval(() => this.#wake(), TICK_MS);
    const reports = window.ReportingObserver && new ReportingObserver((all) => all.forEach(({ body }) =>
      this.#blocked(body.toJSON())), { types: ["coep"] });
    reports?.observe();
    signal.onabort = () => {
      clearInterval(ticking);
      reports?.disconnect();
    };
    this.#lastSeen = Date.now();
    this.#schedule();
  }

  disconnectedCallback() {
    this.#connected.abort();
    this.#drop();
    this.#key = "";
  }

  attributeChangedCallback() {
    this.#schedule();
  }

  get state() {
    return this.#state;
  }

  get tokenProvider() {
    return this.#provider;
  }

  set tokenProvider(provider) {
    this.#provider = provider ?? null;
    this.#schedule();
  }

  reload() {
    if (this.#key && this.#state !== "popup") this.#open();
  }

  openSignIn() {
    const login = this.#login();
    if (!login) return this.reload();
    const query = login.searchParams;
    // the service's own sign-in returns to the page that was asked for
    const mode = query.get("mode");
    const isOwn = /^(popup|top)$/.test(mode);
    if (isOwn) query.set("return", this.#target.path);
    // mode=top: no pop-up helps a frame that gets neither a cookie nor a ticket
    if (mode !== "top" && this.getAttribute("sign-in") !== "top") {
      if (this.#popup && !this.#popup.closed) {
        // it may have navigated meanwhile
        this.#popup.location.replace(login);
        return this.#popup.focus();
      }
      // opened empty, so that opener can be removed and closing still be observed
      const popup = (this.#popup = window.open("", "", "popup,width=520,height=680"));
      if (popup) {
        // a ticket is posted to the opener
        if (!query.has("ticket")) popup.opener = null;
        popup.location.replace(login);
        const opened = Date.now();
        const watching = setInterval(() => {
          if (!popup.closed) return;
          clearInterval(watching);
          this.#wasSevered = Date.now() - opened < 2000;
          this.#retry();
        }, 250);
        return this.#connected.signal.addEventListener("abort", () => clearInterval(watching));
      }
      log("warn", "The pop-up is blocked.");
    }
    const name = this.getAttribute("return-parameter");
    // the service refuses a fragment
    if (isOwn) login.search = new URLSearchParams({ return: location.href.split("#")[0] });
    else if (name) query.set(name, location.href);
    window.open(login, "_top");
  }

  #login() {
    const login = this.#settings?.login_url;
    return /^http/.test(originOf(login)) && new URL(login);
  }

  #number(name, otherwise) {
    const number = parseFloat(this.getAttribute(name));
    return number >= 0 ? number : otherwise;
  }

  #emit(name, detail = null) {
    this.dispatchEvent(new CustomEvent("marketplace-" + name, { detail, bubbles: true, composed: true }));
  }

  #schedule() {
    queueMicrotask(() => {
      // a prerendered page gets no token
      if (this.isConnected && !document.prerendering) this.#update();
    });
  }

  #update() {
    const isPopup = this.getAttribute("mode") === "popup";
    this.#target = this.#links();
    const key = JSON.stringify([this.#target, isPopup, !this.#provider]);
    if (key === this.#key) return this.#show(this.#state, this.#note);
    this.#key = key;
    if (!isPopup || !this.#target.origin) return this.#open();
    this.#drop();
    if (this.#provider) {
      return this.#fail({ code: "configuration", message: "mode=popup does not use a tokenProvider." });
    }
    this.#show("popup");
  }

  #links() {
    const get = (name) => this.getAttribute(name);
    const base = (get("base") || originOf(import.meta.url)).replace(/\/+$/, "");
    const entrance = get("entrance") || "/pandium-sso";
    const hash = new URLSearchParams(get("link-from") === "hash" ? location.hash.slice(1) : "");
    const isLinked = LINK.some((name) => hash.get(snake(name)));
    const query = new URLSearchParams(get("params") ?? "");
    for (const name of LINK) {
      const value = isLinked ? hash.get(snake(name)) : get(name);
      if (value) query.set(snake(name), value);
    }
    // only the service identifies the user
    for (const name of [...query.keys()]) if (/^(tenant|entrance)$/i.test(name)) query.delete(name);
    const page = `${base}/embed?${new URLSearchParams({ entrance })}&${query}`;
    const install = query.get("install");
    query.delete("install");
    const path = `${entrance}${install ? `/install/${encodeURIComponent(install)}` : ""}?${query}`;
    return {
      // an entrance without a slash could change the host
      origin: /^\/[^?#]*$/.test(entrance) && /^http/.test(base) && originOf(base),
      settings: `${base}/embed.json?${new URLSearchParams({ entrance })}`,
      path,
      frame: base + path,
      page,
    };
  }

  #drop() {
    this.#hadFocus = this.#hasFocus();
    this.#attempt?.abort();
    this.#frame?.remove();
    this.#frame = null;
  }

  #hasFocus() {
    return this.matches(":focus-within") || (this.#hadFocus && document.activeElement === document.body);
  }

  async #open(isQuiet, ticket) {
    this.#drop();
    const { signal } = (this.#attempt = new AbortController());
    // the sign-in panel stays until something else can be shown
    if (!isQuiet) this.#show("loading");
    this.#box.ariaBusy = true;
    const target = this.#target;
    const limit = this.#number("timeout", 20);
    const late = limit && setTimeout(() => this.#fail({ code: "timeout", message: `Nothing has loaded within ${limit} s.${
      window.crossOriginIsolated ? " " + ISOLATED : ""}` }, true), limit * 1000);
    signal.addEventListener("abort", () => clearTimeout(late));
    try {
      if (!target.origin) throw { code: "configuration", message: "base is not a URL, or entrance is not a path." };
      const request = (this.#settingsRequest = this.#fetchJson(target.settings, { signal }));
      request.then((settings) => (this.#settings = settings), () => {});
      const url = this.#provider && (await this.#signedUrl(target, await request, signal));
      if (signal.aborted) return;
      // replace() keeps the signed URL out of the page's history
      const frame = (this.#frame = make("iframe", {
        part: "frame",
        title: this.#title(),
        allow: "clipboard-write; storage-access",
        // the service checks the parent by its Referer
        referrerPolicy: "strict-origin",
      }));
      if (!url) frame.src = ticket ?? target.frame;
      this.#box.append(frame);
      const loaded = () => {
        if (signal.aborted || this.#refused === frame || this.#state === "ready" || frame.contentDocument?.URL === "about:blank") return;
        clearTimeout(late);
        this.#wasSevered = false;
        this.#popup?.close();
        this.#popup = null;
        this.#show("ready");
        this.#emit("ready");
      };
      frame.onload = () => {
        // a message posted during the load may be received after the load event
        const grace = setTimeout(() => request.then(loaded, () => {}), GRACE_MS);
        signal.addEventListener("abort", () => clearTimeout(grace));
      };
      if (url) frame.contentWindow.location.replace(url);
      await request;
    } catch (error) {
      // a policy violation, if that is the cause, is reported in the next task
      await new Promise((resolve) => setTimeout(resolve));
      if (signal.aborted) return;
      if (error.status === 401) this.#signOut(error.code);
      else this.#fail(error);
    }
  }

  async #fetchJson(url, options) {
    const response = await fetch(url, options).catch(() => {
      throw { code: "unreachable", message: `No response from ${url.split("?")[0]}. Is base right, and ${location.origin} in embed.parents?` };
    });
    const body = await response.json().catch(() => null);
    if (response.ok && body) return body;
    const { status } = response;
    const { reason = `http_${status}`, title = "", request_id: id = "" } = body ?? {};
    throw { code: reason, message: `The service refuses: ${reason}. ${title} ${id}`, status, id };
  }

  async #signedUrl(target, settings, signal) {
    const { proof_header: header, proof_scheme: scheme, marketplace_origin: marketplace } = settings;
    for (let refresh = false; ; refresh = true) {
      const token = await new Promise((resolve) => resolve(this.#provider({ refresh }))).catch(() => {});
      if (signal.aborted) return;
      if (!token) throw { code: "token_provider", message: "The tokenProvider returned no token." };
      const headers = { Accept: "application/json" };
      if (header) headers[header] = scheme ? `${scheme} ${token}` : token;
      try {
        // a redirect would send the token to another URL
        const options = { headers, signal, credentials: "include", cache: "no-store", redirect: "error" };
        const { url } = await this.#fetchJson(target.frame, options);
        if (marketplace && originOf(url) === marketplace) return url;
        throw { code: "wrong_origin", message: `The URL is not at ${marketplace}.` };
      } catch (error) {
        if (error.code !== "expired_token" || refresh) throw error;
      }
    }
  }

  async #receive({ source, origin, data }) {
    const frame = this.#frame;
    const [, type] = (origin === this.#target?.origin && /^marketplace-sso:(.+)/.exec(data?.type)) || [];
    const { ticket } = data ?? {};
    if (source && source === this.#popup && type === "signed-in" && originOf(ticket) === origin) this.#open(true, ticket);
    if (!frame || source !== frame.contentWindow) return;
    // it has loaded the sign-in page, not the marketplace
    if (type === "unauthenticated") this.#refused = frame;
    const settings = await this.#settingsRequest.catch(() => {});
    if (frame !== this.#frame) return;
    if (type === "unauthenticated") return this.#signOut(String(data.reason));
    if (type === "refused") {
      const { reason, request_id: id } = data;
      return this.#emit("error", { code: String(reason), message: `The service refuses: ${reason}. ${id}` });
    }
    if (origin !== settings?.marketplace_origin) return;
    this.#emit("message", data);
    const { message, tenant, height: wanted } = data ?? {};
    if (message === "pandium-install-cancel") this.#emit("install-cancel");
    if (message === "pandium-save-sync") this.#emit("save-sync", { tenant: { id: tenant?.id, name: tenant?.name } });
    if (message === "pandium-content-height-change" && isFinite(parseFloat(wanted))) {
      const height = Math.min(Math.max(parseFloat(wanted), 0), 20000);
      this.#box.style.setProperty("--reported", `${height}px`);
      this.#emit("height", { height });
    }
  }

  #signOut(reason) {
    const isNew = this.#state !== "signed-out";
    this.#drop();
    this.#show("signed-out");
    if (this.#wasSevered) {
      log("warn", "The pop-up is cut off. Cross-Origin-Opener-Policy: same-origin-allow-popups here; unsafe-none there.");
    }
    this.#wasSevered = false;
    const { proof_header: header } = this.#settings ?? {};
    if (header && !this.#provider) log("warn", `This entrance reads a token from ${header}. Set tokenProvider?`);
    if (isNew) this.#emit("unauthenticated", { reason });
  }

  #retry() {
    if (!document.hidden && this.#state === "signed-out" && this.#box.ariaBusy !== "true") this.#open(true);
  }

  #wake() {
    if (document.hidden) return;
    const now = Date.now();
    const limit = this.#number("max-age", 1800) * 1000;
    if (limit && now - this.#lastSeen > limit + TICK_MS && this.#state !== "signed-out") this.reload();
    this.#lastSeen = now;
  }

  #fail({ code, message, id }, keepsFrame) {
    if (!keepsFrame) this.#drop();
    log("error", message);
    this.#show("error", id ? `${code} · ${id}` : code);
    this.#emit("error", { code, message });
  }

  async #blocked({ effectiveDirective: directive, blockedURI, blockedURL = blockedURI, disposition }) {
    const { origin } = this.#target ?? {};
    const marketplace = (await this.#settingsRequest?.catch(() => {}))?.marketplace_origin ?? "https://(marketplace)";
    const code = directive ? "csp" : "coep";
    if (this.#note === code || ![origin, marketplace].includes(originOf(blockedURL))) return;
    const message = directive
      ? `Content-Security-Policy (${directive}) blocks. Add: frame-src ${origin} ${marketplace}; connect-src ${origin}`
      : ISOLATED;
    if (disposition === "enforce") this.#fail({ code, message });
    else log("warn", message);
  }

  #lang() {
    const lang = (this.closest("[lang]")?.lang || document.documentElement.lang || navigator.language).toLowerCase().split("-")[0];
    return TEXTS[lang] ? lang : "en";
  }

  #title() {
    return this.title || TEXTS[this.#lang()][0];
  }

  #show(state, note = "") {
    const lang = this.#lang();
    const slot = SLOTS[state];
    const fill = (name, text = name) => make("slot", { name }, TEXTS[lang][NAMES.indexOf(text)] ?? "");
    const isLink = state === "popup";
    const label = slot === "sign-in" && !this.#login() ? "error-button" : `${slot}-button`;
    if (this.#frame) this.#frame.title = this.#title();
    this.#box.ariaBusy = state === "loading";
    const rendered = [state, note, lang, label, isLink && this.#target.page].join();
    if (rendered === this.#rendered) return;
    const hadFocus = this.#hasFocus();
    this.#rendered = rendered;
    this.#state = state;
    this.#note = note;
    this.#box.className = state;
    this.#box.lang = lang;
    this.#panel.part = `panel ${state}`;
    this.#message.role = state === "error" ? "alert" : "status";
    if (slot) this.#message.replaceChildren(fill(slot), make("small", {}, note));
    this.#button?.remove();
    this.#button = null;
    if (slot && state !== "loading") {
      this.#button = isLink
        ? make("a", { href: this.#target.page, target: "_blank", rel: "noopener", referrerPolicy: "strict-origin" })
        : make("button", { type: "button", onclick: () => (state === "error" ? this.reload() : this.openSignIn()) });
      this.#button.part = "button";
      this.#button.append(fill(`${slot}-button`, label));
      this.#panel.append(this.#button);
    }
    const next = state === "ready" ? this.#frame : this.#button;
    if (hadFocus) next?.focus();
    this.#hadFocus = hadFocus && !next;
  }
}

// the module may be loaded twice
if (globalThis.customElements && !customElements.get("marketplace-frame")) {
  customElements.define("marketplace-frame", MarketplaceFrame);
}
