// Decodes a token and explains its claims. Makes no request, and stores nothing.
{
  const field = document.getElementById("token");
  const explained = document.getElementById("explained");
  const meanings = new Map([...document.querySelectorAll("#meanings dt")].map((term) => [term.textContent, term.nextElementSibling.textContent]));
  document.getElementById("without-script").hidden = true;
  const DATES = ["iat", "exp", "nbf", "auth_time"];

  const element = (name, properties, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };

  /** Finds the token in a text: the token itself, after a scheme, or in a URL. */
  const tokenIn = (text) => /(?:^|[\s=:"'])([\w-]+\.[\w-]+\.[\w-]*)(?=$|[\s&#"',;])/.exec(text)?.[1];

  const decode = (part) => {
    const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  };

  const age = (seconds) => {
    const [size, unit] = [[86400, "days"], [3600, "hours"], [60, "minutes"], [1, "seconds"]].find(([size]) => Math.abs(seconds) >= size) ?? [1, "seconds"];
    return `${Math.round(Math.abs(seconds) / size)} ${unit} ${seconds < 0 ? "from now" : "ago"}`;
  };

  const note = (name, value) => {
    if (!DATES.includes(name) || typeof value !== "number") return null;
    const date = new Date(value * 1000);
    if (Number.isNaN(date.getTime())) return { text: "no date", isWrong: true };
    const since = Date.now() / 1000 - value;
    const isWrong = name === "exp" ? since >= 0 : since < 0;
    const verdict = { exp: "expired", iat: "in the future", nbf: "not valid yet", auth_time: "in the future" }[name];
    return { text: `${date.toISOString().slice(0, 19).replace("T", " ")} UTC, ${age(since)}${isWrong ? `: ${verdict}` : ""}`, isWrong };
  };

  /** Rows of an object; objects in it follow with their path. */
  const rows = (object, path = "") => Object.entries(object).flatMap(([name, value]) => {
    const own = path + name;
    const inner = value && typeof value === "object" && !Array.isArray(value);
    const said = note(own, value);
    const row = element("tr", {},
      element("th", { scope: "row" }, element("code", {}, own)),
      element("td", {}, inner ? "" : element("code", {}, JSON.stringify(value)),
        ...(said ? [element("span", { className: said.isWrong ? "detail wrong" : "detail" }, said.text)] : [])),
      element("td", { className: "source" }, meanings.get(own) ?? ""));
    return inner ? [row, ...rows(value, `${own}.`)] : [row];
  });

  const table = (title, object) => element("section", { className: "card" },
    element("h2", {}, title),
    element("table", { className: "settings" },
      element("thead", { className: "hidden" }, element("tr", {}, ...["Name", "Value", "Meaning"].map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...rows(object))));

  const failure = (text) => element("section", { className: "notice failure" }, element("p", {}, text));

  const explain = () => {
    explained.replaceChildren();
    if (!field.value.trim()) return;
    const token = tokenIn(field.value);
    if (!token) {
      explained.append(failure("There is no token in this text: it has three parts with dots in between."));
      return;
    }
    const [header, claims, signature] = token.split(".");
    try {
      explained.append(table("Header", decode(header)), table("Claims", decode(claims)));
    } catch {
      explained.replaceChildren(failure("The token cannot be decoded: a part is not base64url, or not JSON. It may be cut."));
      return;
    }
    explained.append(element("p", { className: "about" }, signature
      ? "The signature was not verified, so anyone may have written this."
      : "The token has no signature: this service refuses it."));
  };

  const clear = () => {
    field.value = "";
    explained.replaceChildren();
  };
  field.addEventListener("input", explain);
  document.getElementById("clear").addEventListener("click", () => { clear(); field.focus(); });
  // also if the browser keeps the page in its back-forward cache
  window.addEventListener("pagehide", clear);
}
