// The types of the React wrapper, and of the bare element in JSX.

import type { CSSProperties, ForwardRefExoticComponent, HTMLAttributes, ReactNode, Ref, RefAttributes } from "react";
import type {
  MarketplaceFrame as MarketplaceFrameElement,
  MarketplaceFrameAttributes,
  MarketplaceFrameEventMap,
  TokenProvider,
} from "./embed.js";

export interface MarketplaceFrameProps {
  base?: string;
  entrance?: string;
  integrationId?: string | number;
  display?: "list" | "settings";
  integrationSettings?: string;
  install?: string | number;
  params?: string;
  linkFrom?: "hash";
  mode?: "popup";
  signIn?: "popup" | "top";
  returnParameter?: string;
  maxAge?: number;
  timeout?: number;
  appearance?: "light" | "dark" | "auto";
  title?: string;
  /** May be a new function on each render. */
  tokenProvider?: TokenProvider | null;
  onStateChange?: (event: MarketplaceFrameEventMap["marketplace-statechange"]) => void;
  onReady?: (event: MarketplaceFrameEventMap["marketplace-ready"]) => void;
  onRefused?: (event: MarketplaceFrameEventMap["marketplace-refused"]) => void;
  onBeforeReload?: (event: MarketplaceFrameEventMap["marketplace-beforereload"]) => void;
  onError?: (event: MarketplaceFrameEventMap["marketplace-error"]) => void;
  onUnauthenticated?: (event: MarketplaceFrameEventMap["marketplace-unauthenticated"]) => void;
  onInstallCancel?: (event: MarketplaceFrameEventMap["marketplace-install-cancel"]) => void;
  onSaveSync?: (event: MarketplaceFrameEventMap["marketplace-save-sync"]) => void;
  onHeight?: (event: MarketplaceFrameEventMap["marketplace-height"]) => void;
  onMessage?: (event: MarketplaceFrameEventMap["marketplace-message"]) => void;
  id?: string;
  lang?: string;
  className?: string;
  style?: CSSProperties;
  hidden?: boolean;
  /** Content of the slots. */
  children?: ReactNode;
}

export const MarketplaceFrame: ForwardRefExoticComponent<MarketplaceFrameProps & RefAttributes<MarketplaceFrameElement>>;

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "marketplace-frame": MarketplaceFrameAttributes &
        Omit<HTMLAttributes<MarketplaceFrameElement>, keyof MarketplaceFrameAttributes> & {
          ref?: Ref<MarketplaceFrameElement>;
          tokenProvider?: TokenProvider | null;
        };
    }
  }
}
