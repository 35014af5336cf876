// The style of the element's shadow tree.
//
// While it loads, the frame covers the panel. It is transparent until its document paints, so that
// no script has to show it. `covered`: only the frame is shown. The next frame of a reload is
// transparent until it has loaded.

export const STYLE = `
:host { display: block; min-height: var(--marketplace-frame-min-height, 20rem) }
:host([hidden]), .covered div { display: none }
:host([appearance=light]) { color-scheme: light }
:host([appearance=dark]) { color-scheme: dark }
:host([appearance=auto]) { color-scheme: light dark }
:host([appearance]) section { background: Canvas; color: CanvasText }
section { display: grid; height: var(--marketplace-frame-height, var(--reported, 100%)); min-height: inherit }
.popup { height: 100% }
iframe, div { grid-area: 1 / 1 }
iframe { width: 100%; height: 100%; contain: size; border: 0 }
:not(.covered, .loading) > iframe { visibility: hidden }
.covered > iframe { background: var(--marketplace-frame-background) }
iframe + iframe { opacity: 0; pointer-events: none }
div { display: grid; gap: 1rem; place-content: start center; justify-items: center; padding: 4rem 1rem 1rem; text-align: center }
.loading div { animation: shown 1ms .2s backwards }
p { margin: 0 }
small { display: block; overflow-wrap: anywhere }
a, button { font: inherit; padding: .6rem 1.4rem; border: 1px solid transparent; text-decoration: none;
  border-radius: var(--marketplace-frame-radius, .5rem);
  background: var(--marketplace-frame-accent, #2f5bd8); color: var(--marketplace-frame-on-accent, #fff) }
.loading div::before { content: ""; padding: .6rem; border: 3px solid; border-radius: 50%; border-top-color: transparent }
@media (prefers-reduced-motion: no-preference) { ::before { animation: turn 1s linear infinite } }
@keyframes shown { from { visibility: hidden } }
@keyframes turn { to { rotate: 1turn } }
`;
