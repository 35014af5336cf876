// Renders the stories of the trace: the latest one, or the one that was chosen.

  const PARTIES = { app: "The app", service: "marketplace-sso", marketplace: "The marketplace", other: "Another site" };
  const stories = new Map();
  let chosen = null;
  let openStep = null;

  function make(name, text = "", className = "") {
    const element = document.createElement(name);
    element.textContent = text;
    if (className) element.className = className;
    return element;
  }

  function showStories(changed) {
    const last = Math.max(0, ...stories.keys());
    for (const story of changed) stories.set(story.id, story);
    const all = [...stories.values()].sort((one, other) => other.id - one.id);
    // a new one is shown, whichever was chosen before
    if (all.length > 0 && all[0].id > last) chosen = null;
    while (all.length > 40) stories.delete(all.pop().id);
    if (all.length > 0) showStory(stories.get(chosen) ?? all[0], all);
  }

  function showStory(story, all) {
    const steps = byId("steps");
    // a rendered button that has the focus keeps it
    const focused = [...steps.children].findIndex((item) => item.contains(document.activeElement));
    steps.replaceChildren(...story.steps.map((step, number) => stepItem(story, step, number)));
    if (focused >= 0) steps.children[focused]?.firstElementChild.focus();
    byId("before").replaceChildren(...all.filter((other) => other !== story).slice(0, 12).map(beforeItem));
    byId("latest").hidden = chosen === null;
    if (byId("details").open && openStep !== null) showStep(story, openStep);

    showFrame();
  }

  // Whose page the frame shows, and its address.
  function showFrame() {
    const framed = [...stories.values()].findLast((story) => story.frame !== null)?.frame;
    const frame = isElsewhere ? { party: "other", url: otherOrigin } : framed;
    if (!frame) return;
    byId("stage").dataset.party = frame.party;
    byId("shown").textContent = PARTIES[frame.party];
    byId("address").textContent = frame.url;
  }

  function stepItem(story, step, number) {
    const button = make("button", "", "step");
    button.type = "button";
    button.setAttribute("aria-haspopup", "dialog");
    const body = make("span", "", "body");
    const title = make("strong", step.title);
    if (step.badge) title.append(" ", make("span", step.badge, `badge ${step.outcome === "refused" ? "bad" : "ok"}`));
    body.append(title, make("span", step.line, "line"));
    button.append(make("span", number + 1, "number"), body);
    button.addEventListener("click", () => {
      showStep(story, number);
      byId("details").showModal();
    });
    const item = make("li", "", `${step.party} ${step.outcome}`);
    item.append(button);
    return item;
  }

  function beforeItem(story) {
    const button = make("button", "", story.is_refused ? "refused" : "");
    button.type = "button";
    button.append(make("time", new Date(story.at_ms).toLocaleTimeString()), make("span", story.title));
    button.addEventListener("click", () => {
      chosen = story.id;
      showStories([]);
    });
    const item = make("li");
    item.append(button);
    return item;
  }

  function showStep(story, number) {
    openStep = number;
    const step = story.steps[number];
    const stops = byId("stops");
    const focused = stops.contains(document.activeElement);
    stops.replaceChildren(...story.steps.map((other, index) => {
      const stop = make("button", index + 1, `number ${other.party}`);
      stop.type = "button";
      stop.setAttribute("aria-label", `Step ${index + 1}: ${other.title}`);
      if (index === number) stop.setAttribute("aria-current", "step");
      stop.addEventListener("click", () => showStep(story, index));
      return stop;
    }));
    if (focused) stops.children[number].focus();
    byId("details").className = step.party;
    byId("details-title").textContent = step.title;
    byId("details-line").textContent = step.line;
    const sections = step.sections.map(sectionOf);
    byId("sections").replaceChildren(...(sections.length > 0 ? sections : [make("p", "Nothing was sent.", "soft")]));
  }

  function sectionOf({ title, text, columns, rows }) {
    const section = make("section");
    section.append(make("h3", title));
    if (columns.length === 0) {
      const pre = make("pre", text.trim());
      pre.tabIndex = 0;
      pre.setAttribute("aria-label", title);
      section.append(pre);
      return section;
    }
    const table = make("table");
    const head = table.createTHead().insertRow();
    for (const column of columns) {
      const cell = make("th", column);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      row.forEach((value, index) => {
        const cell = line.insertCell();
        cell.dataset.column = columns[index];
        cell.append(columns[index] === "meaning" || columns[index] === "result" ? value : make("code", value));
      });
    }
    section.append(table);
    return section;
  }

  byId("latest").addEventListener("click", () => {
    chosen = null;
    showStories([]);
  });
