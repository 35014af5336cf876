// The types of <marketplace-frame>.

/** The element's state. */
export type MarketplaceFrameState = "idle" | "loading" | "ready" | "refused" | "signed-out" | "error" | "popup";

/** Returns the token that authenticates the user. `refresh` is true if the last one had expired. */
export type TokenProvider = (request: { refresh: boolean }) => string | Promise<string>;

/** The attributes, all optional. */
export interface MarketplaceFrameAttributes {
  /** The service's URL. Default: the origin of the module. */
  base?: string;
  /** The path of the entrance. Default: `/pandium-sso`. */
  entrance?: string;
  /** The number of the integration to show. */
  "integration-id"?: string | number;
  /** The view of that integration. */
  display?: "list" | "settings";
  /** The name of the integration whose settings to show; an older form of the link. */
  "integration-settings"?: string;
  /** The number of the integration to install. */
  install?: string | number;
  /** A query string of further parameters that the operator allows. */
  params?: string;
  /** `hash`: the link is read from the page's fragment, if any. */
  "link-from"?: "hash";
  /** `popup`: a button that opens the marketplace in a new tab, instead of a frame. */
  mode?: "popup";
  /** Where users sign in. Default: in a pop-up. */
  "sign-in"?: "popup" | "top";
  /** The parameter in which the top-level sign-in gets the page's URL. Default: none; `return` for the service's
   * own sign-in. */
  "return-parameter"?: string;
  /** Seconds of sleep or hiding after which a new token is loaded; 0: never. Default: 1800. */
  "max-age"?: string | number;
  /** Seconds of loading after which an error is shown; 0: never. Default: 20. */
  timeout?: string | number;
  /** The colour scheme of the panel and of pages in the frame that follow it; `auto`: as the system's. Default: the
   * page's. */
  appearance?: "light" | "dark" | "auto";
  /** The frame's title. Default: "Integrations", in the page's language. */
  title?: string;
}

/** An error: a code of the component or a reason of the service, and a message for developers. */
export interface MarketplaceErrorDetail {
  code:
    | "configuration"
    | "unreachable"
    | "timeout"
    | "csp"
    | "coep"
    | "token_provider"
    | "wrong_origin"
    | (string & {});
  message: string;
}

/** Why the service does not show the marketplace, as in its log. */
export interface MarketplaceRefusedDetail {
  reason: string;
  request_id: string;
}

/** The new state, with the detail of the event for that state. */
export type MarketplaceStateChangeDetail =
  | { state: "idle" | "loading" | "ready" | "popup" }
  | { state: "signed-out"; reason: string }
  | ({ state: "refused" } & MarketplaceRefusedDetail)
  | ({ state: "error" } & MarketplaceErrorDetail);

/** The events. All bubble, and cross shadow boundaries. */
export interface MarketplaceFrameEventMap {
  /** Before the event of the state itself. */
  "marketplace-statechange": CustomEvent<MarketplaceStateChangeDetail>;
  /** The frame has loaded, and not a refusal. */
  "marketplace-ready": CustomEvent<null>;
  "marketplace-refused": CustomEvent<MarketplaceRefusedDetail>;
  /** Before a frame is reloaded because of `max-age`; `preventDefault()` keeps it. */
  "marketplace-beforereload": CustomEvent<null>;
  "marketplace-error": CustomEvent<MarketplaceErrorDetail>;
  "marketplace-unauthenticated": CustomEvent<{ reason: string }>;
  "marketplace-install-cancel": CustomEvent<null>;
  "marketplace-save-sync": CustomEvent<{ tenant: { id?: string | number; name?: string } }>;
  "marketplace-height": CustomEvent<{ height: number }>;
  "marketplace-message": CustomEvent<unknown>;
}

export class MarketplaceFrame extends HTMLElement {
  static readonly observedAttributes: string[];
  readonly state: MarketplaceFrameState;
  /** Authenticates with a token of the app. Replacing the function does not reload. */
  tokenProvider: TokenProvider | null;
  /** Loads the frame again, with a new token. */
  reload(): void;
  /** The same as a click on the sign-in button. Call it in a click handler: if the browser
   * blocks the pop-up, the page itself navigates to the sign-in. */
  openSignIn(): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "marketplace-frame": MarketplaceFrame;
  }
  interface GlobalEventHandlersEventMap extends MarketplaceFrameEventMap {}
}
