// Passes on messages from the frame only; `handle` must check their origin.
  function onMessage(frame, handle) {
    window.addEventListener("message", (event) => {
      if (event.source !== frame.contentWindow) return;
      if (event.data === null || typeof event.data !== "object") return;
      handle(event.origin, event.data);
    });
  }

  // Whether the stand-in marketplace shows its page, or refuses.
  const stateOf = (data) => (data.stand_in_refuses === true ? "refused" : "framed");

  // Sets the frame's height from a height message; returns whether it was one.
  function fitHeight(frame, data) {
    if (data.message !== "pandium-content-height-change" || !Number.isFinite(data.height)) return false;
    frame.style.height = `${Math.min(Math.max(Math.ceil(data.height), 240), 20000)}px`;
    return true;
  }
