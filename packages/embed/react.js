// <marketplace-frame> for React 18 and later: props in, events out. No build step, no JSX.

import { createElement, forwardRef, useEffect, useImperativeHandle, useLayoutEffect, useRef } from "react";
import "./embed.js";

const ATTRIBUTES = {
  integrationId: "integration-id",
  integrationSettings: "integration-settings",
  linkFrom: "link-from",
  signIn: "sign-in",
  returnParameter: "return-parameter",
  maxAge: "max-age",
  // React 18 passes className to custom elements unchanged
  className: "class",
};

const EVENTS = {
  onStateChange: "marketplace-statechange",
  onReady: "marketplace-ready",
  onRefused: "marketplace-refused",
  onBeforeReload: "marketplace-beforereload",
  onError: "marketplace-error",
  onUnauthenticated: "marketplace-unauthenticated",
  onInstallCancel: "marketplace-install-cancel",
  onSaveSync: "marketplace-save-sync",
  onHeight: "marketplace-height",
  onMessage: "marketplace-message",
};

// on a server, useLayoutEffect only logs a warning
const useBeforePaint = typeof window === "undefined" ? useEffect : useLayoutEffect;

export const MarketplaceFrame = forwardRef(function MarketplaceFrame({ tokenProvider, ...props }, ref) {
  const element = useRef(null);
  const latest = useRef(props);
  useImperativeHandle(ref, () => element.current);

  // before the element's first update, so that its first request uses the provider
  useBeforePaint(() => {
    latest.current = props;
    element.current.tokenProvider = tokenProvider;
  });

  useBeforePaint(() => {
    const unmount = new AbortController();
    for (const [prop, type] of Object.entries(EVENTS)) {
      element.current.addEventListener(type, (event) => latest.current[prop]?.(event), { signal: unmount.signal });
    }
    return () => unmount.abort();
  }, []);

  const passed = { ref: element };
  for (const [name, value] of Object.entries(props)) {
    // React 18 writes true and false as strings
    const text = value === true ? "" : value === false ? undefined : value;
    if (!(name in EVENTS)) passed[ATTRIBUTES[name] ?? name] = text;
  }
  return createElement("marketplace-frame", passed);
});
