// A message counts only if it comes from our frame; from which origin it may come is for `hear` to say.
  function onMessage(frame, hear) {
    window.addEventListener("message", (event) => {
      if (event.source !== frame.contentWindow) return;
      if (event.data === null || typeof event.data !== "object") return;
      hear(event.origin, event.data);
    });
  }

  // As high as its content; whether the message said so.
  function fitHeight(frame, data) {
    if (data.message !== "pandium-content-height-change" || !Number.isFinite(data.height)) return false;
    frame.style.height = `${Math.min(Math.max(Math.ceil(data.height), 240), 20000)}px`;
    return true;
  }
