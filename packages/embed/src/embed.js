// <marketplace-frame>: the marketplace in an app's page. `npm run build` creates ../embed.js from
// it, which the service serves at /embed.js and the package contains.

import { LINK, links, originOf } from "./links.js";
import { STYLE } from "./style.js";
import { NAMES, TEXTS } from "./texts.js";

const SLOTS = { loading: "loading", "signed-out": "sign-in", error: "error", refused: "error", popup: "open" };
/** The states for which there is an event. */
const EVENTS = { ready: "ready", refused: "refused", error: "error", "signed-out": "unauthenticated" };
const TICK_MS = 30000;
const GRACE_MS = 50;

/** Errors that may not occur again if the request is repeated. */
const IS_TEMPORARY = /^(unreachable|timeout|token_provider)$/;
const ISOLATED = "Cross-Origin-Embedder-Policy blocks frames without one. Leave it out, or use mode=popup.";

let sheet;

const make = (name, properties, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};
const isLocal = () => /^(localhost|127\.0\.0\.1|\[::1\])$|\.localhost$/.test(location.hostname);
// the page's storage may be blocked
const storage = (method, ...values) => {
  try {
    return sessionStorage[method](...values);
  } catch {}
};
const log = (level, text) => console[level](`<marketplace-frame>: ${text}`);

export class MarketplaceFrame extends (globalThis.HTMLElement ?? class {}) {
  static observedAttributes = LINK.concat("base,entrance,params,link-from,mode,title,lang".split(","));

  #box = make("section");
  #panel = make("div");
  #message = make("p", { part: "message" });
  #state = "idle";
  #provider = null;
  #detail; #canRetry; #button; #rendered; #target; #key; #settingsRequest; #settings; #popup; #connected; #attempt;
  #hadFocus; #wasSevered; #lastSeen;
  /** The frame; while it is reloaded, the next one, and the one before it, which is still shown. */
  #frame; #old;
  /** The frame whose document has reported a refusal, until its load event. */
  #refusing;

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
    if (this.#key && this.#state !== "popup") this.#open({ keeps: true });
  }

  openSignIn() {
    const login = this.#login();
    if (!login) return this.reload();
    const query = login.searchParams;
    // the service's own sign-in returns to the requested page
    const mode = query.get("mode");
    const isOwn = /^(popup|top)$/.test(mode);
    if (isOwn) query.set("return", this.#target.path);
    // a ticket is posted to the opener
    if (query.has("ticket")) query.set("opener", location.origin);
    // mode=top: a frame that gets neither a cookie nor a ticket gets no session from a pop-up
    if (mode !== "top" && this.getAttribute("sign-in") !== "top") {
      if (this.#popup && !this.#popup.closed) {
        // the frame may have navigated in the meantime
        this.#popup.location.replace(login);
        return this.#popup.focus();
      }
      // opened with an empty URL, so that its opener can be removed, and its closing can still be
      // detected
      const popup = (this.#popup = window.open("", "", "popup,width=520,height=680"));
      if (popup) {
        if (!query.has("ticket")) popup.opener = null;
        popup.location.replace(login);
        const opened = Date.now();
        const watching = setInterval(() => {
          if (!popup.closed) return;
          clearInterval(watching);
          // the page gets the focus back when the user closes the pop-up
          this.#wasSevered = Date.now() - opened < 2000 && !document.hasFocus();
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

  #emit(name, detail = null, cancelable = false) {
    return this.dispatchEvent(new CustomEvent("marketplace-" + name, { detail, bubbles: true, composed: true, cancelable }));
  }

  #schedule() {
    queueMicrotask(() => {
      // a prerendered page gets no token
      if (this.isConnected && !document.prerendering) this.#update();
    });
  }

  #update() {
    const isPopup = this.getAttribute("mode") === "popup";
    this.#target = links((name) => this.getAttribute(name));
    const key = JSON.stringify([this.#target, isPopup, !this.#provider]);
    if (key === this.#key) return this.#show(this.#state, this.#detail, this.#canRetry);
    this.#key = key;
    this.#setHeight(storage("getItem", this.#heightKey()));
    if (!isPopup || !this.#target.origin) return this.#open();
    this.#drop();
    if (this.#provider) {
      return this.#fail({ code: "configuration", message: "mode=popup does not use a tokenProvider: leave one of them out." });
    }
    this.#enter("popup");
  }

  #heightKey() {
    return "marketplace-frame:" + this.#target.path;
  }

  #setHeight(height) {
    if (height != null) this.#box.style.setProperty("--reported", `${height}px`);
  }

  /** Ends the attempt to load. With `keeps`, a frame that is shown stays until the next one has loaded. */
  #drop(keeps) {
    this.#hadFocus = this.#hasFocus();
    this.#attempt?.abort();
    if (!keeps || !this.#box.matches(".covered")) {
      this.#old?.remove();
      this.#old = null;
    } else if (!this.#old) {
      this.#old = this.#frame;
      this.#frame = null;
    }
    this.#frame?.remove();
    this.#frame = null;
  }

  #hasFocus() {
    return this.matches(":focus-within") || (this.#hadFocus && document.activeElement === document.body);
  }

  async #open({ isQuiet, ticket, keeps } = {}) {
    this.#drop(keeps);
    const { signal } = (this.#attempt = new AbortController());
    // the sign-in panel stays until something else can be shown
    if (!isQuiet) this.#enter("loading");
    if (signal.aborted) return;
    this.#box.ariaBusy = true;
    const target = this.#target;
    const limit = this.#number("timeout", 20);
    const late = limit && setTimeout(() => this.#fail({ code: "timeout", message: `Nothing has loaded within ${limit} s.${
      window.crossOriginIsolated ? " " + ISOLATED : ""}` }, true), limit * 1000);
    signal.addEventListener("abort", () => clearTimeout(late));
    try {
      if (!target.origin) throw { code: "configuration", message:
        'base is not a URL, or entrance is not a path. Write base="https://…" and entrance="/pandium-sso", for example.' };
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
        if (signal.aborted || frame.contentDocument?.URL === "about:blank") return;
        clearTimeout(late);
        const isRefused = this.#refusing === frame;
        this.#refusing = null;
        if (isRefused || this.#state === "ready") return;
        this.#wasSevered = false;
        this.#popup?.close();
        this.#popup = null;
        this.#enter("ready");
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
      else if (error.status) this.#refuse(error);
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
    const { reason = `http_${status}`, request_id = "" } = body ?? {};
    throw { code: reason, status, request_id };
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
    const isNext = source === this.#frame?.contentWindow;
    const frame = isNext ? this.#frame : this.#old;
    const [, type] = ((isNext || source === this.#popup) && origin === this.#target?.origin && /^marketplace-sso:(.+)/.exec(data?.type)) || [];
    const { ticket } = data ?? {};
    if (source && source === this.#popup && type === "signed-in" && originOf(ticket) === origin) {
      this.#open({ isQuiet: true, ticket });
    }
    if (!frame || source !== frame.contentWindow) return;
    const isRefusal = /^(unauthenticated|refused|link_expired)$/.test(type);
    // the frame has loaded a page of the service, not the marketplace
    if (isRefusal) this.#refusing = frame;
    const settings = await this.#settingsRequest.catch(() => {});
    if (!frame.isConnected) return;
    if (type === "unauthenticated") return this.#signOut(String(data.reason));
    if (isRefusal) return this.#refuse({ code: String(data.reason), request_id: String(data.request_id ?? "") }, true);
    if (origin !== settings?.marketplace_origin) return;
    this.#emit("message", data);
    const { message, tenant, height: wanted } = data ?? {};
    if (message === "pandium-install-cancel") this.#emit("install-cancel");
    if (message === "pandium-save-sync") this.#emit("save-sync", { tenant: { id: tenant?.id, name: tenant?.name } });
    if (message === "pandium-content-height-change" && isFinite(parseFloat(wanted))) {
      const height = Math.min(Math.max(parseFloat(wanted), 0), 20000);
      this.#setHeight(height);
      storage("setItem", this.#heightKey(), height);
      this.#emit("height", { height });
    }
  }

  #signOut(reason) {
    const isNew = this.#state !== "signed-out";
    this.#drop();
    if (isNew) this.#enter("signed-out", { reason });
    else this.#show("signed-out", { reason });
    if (this.#wasSevered) {
      log("warn", "The pop-up is cut off. Cross-Origin-Opener-Policy: same-origin-allow-popups here; unsafe-none there.");
    }
    this.#wasSevered = false;
    const { proof_header: header } = this.#settings ?? {};
    if (header && !this.#provider) log("warn", `This entrance reads a token from ${header}. Set tokenProvider?`);
  }

  #retry() {
    if (!document.hidden && this.#state === "signed-out" && this.#box.ariaBusy !== "true") this.#open({ isQuiet: true });
  }

  #wake() {
    if (document.hidden) return;
    const now = Date.now();
    const limit = this.#number("max-age", 1800) * 1000;
    const isOld = limit && now - this.#lastSeen > limit + TICK_MS;
    this.#lastSeen = now;
    if (!isOld || this.#state === "signed-out") return;
    // the user may be typing in a frame that is shown
    if (!this.#box.matches(".covered") || this.#emit("beforereload", null, true)) this.reload();
  }

  #enter(state, detail, canRetry) {
    const isNew = state !== this.#state || detail;
    this.#show(state, detail, canRetry);
    if (!isNew) return;
    this.#emit("statechange", { state, ...detail });
    if (EVENTS[state]) this.#emit(EVENTS[state], detail);
  }

  #fail({ code, message }, keepsFrame) {
    if (!keepsFrame) this.#drop();
    log("error", message);
    this.#enter("error", { code, message }, IS_TEMPORARY.test(code));
  }

  /** A refusal other than 401. `isPage`: the frame shows the page that explains it. */
  #refuse({ code: reason, request_id, status }, isPage) {
    if (!isPage) this.#drop();
    log("error", `The service refuses: ${reason}. ${request_id}`);
    this.#enter("refused", { reason, request_id }, status === 429 || status >= 500);
  }

  async #blocked({ effectiveDirective: directive, blockedURI, blockedURL = blockedURI, disposition }) {
    const { origin } = this.#target ?? {};
    const marketplace = (await this.#settingsRequest?.catch(() => {}))?.marketplace_origin ?? "https://(marketplace)";
    const code = directive ? "csp" : "coep";
    if (this.#detail?.code === code || ![origin, marketplace].includes(originOf(blockedURL))) return;
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

  #show(state, detail, canRetry = true) {
    const lang = this.#lang();
    const slot = SLOTS[state];
    const text = (name) => TEXTS[lang][NAMES.indexOf(name)] ?? "";
    const fill = (name, label = name) => make("slot", { name }, text(label));
    const isLink = state === "popup";
    const label = slot === "sign-in" && !this.#login() ? "error-button" : `${slot}-button`;
    const old = this.#old;
    if (state !== "loading") this.#old = null;
    const isPage = this.#frame && /^(ready|refused)$/.test(state);
    const isCovered = this.#old || isPage;
    const { reason, request_id: id, code, message } = detail ?? {};
    const note = code ? (isLocal() ? message : code) : state === "refused" ? reason + (id && ` · ${text("request-id")} ${id}`) : "";
    if (this.#frame) this.#frame.title = this.#title();
    this.#box.ariaBusy = state === "loading";
    const rendered = [state, note, lang, label, isLink && this.#target.page, isCovered].join();
    if (rendered === this.#rendered) return;
    const hadFocus = this.#hasFocus();
    this.#rendered = rendered;
    this.#state = state;
    this.#detail = detail;
    this.#canRetry = canRetry;
    this.#box.className = state + (isCovered ? " covered" : "");
    this.#box.lang = lang;
    this.#panel.part = `panel ${state}`;
    this.#message.role = slot === "error" ? "alert" : "status";
    if (slot) this.#message.replaceChildren(fill(slot), make("small", code ? { lang: "en" } : {}, note));
    this.#button?.remove();
    this.#button = null;
    if (slot && state !== "loading" && canRetry) {
      this.#button = isLink
        ? make("a", { href: this.#target.page, target: "_blank", rel: "noopener", referrerPolicy: "strict-origin" })
        : make("button", { type: "button", onclick: () => (slot === "error" ? this.reload() : this.openSignIn()) });
      this.#button.part = "button";
      this.#button.append(fill(`${slot}-button`, label));
      this.#panel.append(this.#button);
    }
    const next = isPage ? this.#frame : this.#button;
    if (hadFocus) next?.focus();
    if (!this.#old) old?.remove();
    this.#hadFocus = hadFocus && !next;
  }
}

// the module may be loaded twice
if (globalThis.customElements && !customElements.get("marketplace-frame")) {
  customElements.define("marketplace-frame", MarketplaceFrame);
}
