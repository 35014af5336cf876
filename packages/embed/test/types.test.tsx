// Compiled, never run: what the types must accept and reject.

import { createRef } from "react";
import { MarketplaceFrame as Element, type MarketplaceFrameState } from "@marketplace-sso/embed";
import { MarketplaceFrame } from "@marketplace-sso/embed/react";

const element: Element = document.createElement("marketplace-frame");
const state: MarketplaceFrameState = element.state;
element.tokenProvider = async ({ refresh }) => (refresh ? "new" : "old");
element.tokenProvider = null;
element.reload();
element.openSignIn();
element.addEventListener("marketplace-height", ({ detail }) => detail.height.toFixed());
document.addEventListener("marketplace-save-sync", ({ detail }) => detail.tenant.name?.trim());
window.addEventListener("marketplace-error", ({ detail }) => detail.code === "csp" && detail.message.trim());
element.addEventListener("marketplace-statechange", ({ detail }) => {
  if (detail.state === "refused") detail.request_id.trim();
  // @ts-expect-error the state ready has no reason
  if (detail.state === "ready") detail.reason.trim();
});
element.addEventListener("marketplace-refused", ({ detail }) => detail.reason.trim());
element.addEventListener("marketplace-beforereload", (event) => event.preventDefault());
// @ts-expect-error state is read-only
element.state = "ready";
// @ts-expect-error a token is text
element.tokenProvider = async () => 1;
// @ts-expect-error there is no such event detail
element.addEventListener("marketplace-height", ({ detail }) => detail.width);

const ref = createRef<Element>();
export const wrapped = (
  <MarketplaceFrame ref={ref} integrationId={1121} display="settings" appearance="auto" onStateChange={({ detail }) => detail.state.trim()} onSaveSync={({ detail }) => detail.tenant.id} className="a">
    <span slot="loading">Wait</span>
  </MarketplaceFrame>
);
export const bare = <marketplace-frame integration-id="1121" display="list" tokenProvider={() => "token"} />;
// @ts-expect-error there is no such display
export const wrongDisplay = <MarketplaceFrame display="all" />;
// @ts-expect-error there is no such display
export const wrongBare = <marketplace-frame display="all" />;
export { state };
