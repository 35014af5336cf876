// The types of <marketplace-frame>.

/** What an element is doing. */
export type MarketplaceFrameState = "idle" | "loading" | "ready" | "signed-out" | "error" | "popup";

/** Gives the token that proves who the user is. `refresh` is true when the last one had expired. */
export type TokenProvider = (ask: { refresh: boolean }) => string | Promise<string>;

/** The attributes. All are optional; numbers are written as text. */
export interface MarketplaceFrameAttributes {
  /** Where the service is. Default: the origin that the module was loaded from. */
  base?: string;
  /** The path of the entrance. Default: `/pandium-sso`. */
  entrance?: string;
  /** The number of the integration to show. */
  "integration-id"?: string | number;
  /** What to show of it. */
  display?: "list" | "settings";
  /** The name of the integration whose settings to show; the older form of the link. */
  "integration-settings"?: string;
  /** The number of the integration to install. */
  install?: string | number;
  /** A query string of further parameters that the operator allows. */
  params?: string;
  /** `hash`: the link is read from the fragment of the page's address, where there is one. */
  "link-from"?: "hash";
  /** `popup`: a button that opens the marketplace in a new tab, instead of a frame. */
  mode?: "popup";
  /** Where people sign in. Default: in a pop-up. */
  "sign-in"?: "popup" | "top";
  /** The parameter in which the sign-in at the top level is told the way back. Default: none. */
  "return-parameter"?: string;
  /** After how many seconds of sleep a new token is taken; 0 is never. Default: 1800. */
  "max-age"?: string | number;
  /** After how many seconds of loading an error is shown; 0 is never. Default: 20. */
  timeout?: string | number;
  /** The frame's title. Default: "Integrations", in the page's language. */
  title?: string;
}

/** Why something failed: a code of the component or a reason of the service, and words for developers. */
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

/** The events. All bubble, and leave shadow trees. */
export interface MarketplaceFrameEventMap {
  "marketplace-ready": CustomEvent<null>;
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
  /** Set it to ask with a token of the app's own. Another function in its place loads nothing anew. */
  tokenProvider: TokenProvider | null;
  /** Loads the frame again, with a new token. */
  reload(): void;
  /** Does what the sign-in button does. Call it from a click: where the browser
   * blocks the pop-up, the page itself goes to the sign-in. */
  openSignIn(): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "marketplace-frame": MarketplaceFrame;
  }
  interface GlobalEventHandlersEventMap extends MarketplaceFrameEventMap {}
}
