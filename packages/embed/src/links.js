// The URLs of an element, from its attributes and the page's fragment.

/** The attributes that select a page of the marketplace. */
export const LINK = ["install", "integration-id", "display", "integration-settings"];

const snake = (name) => name.replace("-", "_");

export const originOf = (url) => {
  try {
    return new URL(url).origin;
  } catch {
    return "";
  }
};

/** `get` reads an attribute. */
export function links(get) {
  const base = (get("base") || originOf(import.meta.url)).replace(/\/+$/, "");
  const entrance = get("entrance") || "/pandium-sso";
  const hash = new URLSearchParams(get("link-from") === "hash" ? location.hash.slice(1) : "");
  const isLinked = LINK.some((name) => hash.get(snake(name)));
  const query = new URLSearchParams(get("params") ?? "");
  for (const name of LINK) {
    const value = isLinked ? hash.get(snake(name)) : get(name);
    if (value) query.set(snake(name), value);
  }
  // only the service identifies the user
  for (const name of [...query.keys()]) if (/^(tenant|entrance)$/i.test(name)) query.delete(name);
  const page = `${base}/embed?${new URLSearchParams({ entrance })}&${query}`;
  const install = query.get("install");
  query.delete("install");
  const path = `${entrance}${install ? `/install/${encodeURIComponent(install)}` : ""}?${query}`;
  return {
    // an entrance without a slash could change the host
    origin: /^\/[^?#]*$/.test(entrance) && /^http/.test(base) && originOf(base),
    settings: `${base}/embed.json?${new URLSearchParams({ entrance })}`,
    path,
    frame: base + path,
    page,
  };
}
