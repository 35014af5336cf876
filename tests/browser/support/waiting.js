// Waits that end: each has the same timeout.

/** The timeout of everything, also on a slow machine. */
export const PATIENCE_MS = 30000;

/** The same, or an error after the timeout. */
export function inTime(promise, words) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(words)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Polls a condition. */
export async function until(holds) {
  const last = Date.now() + PATIENCE_MS;
  for (;;) {
    const held = await holds();
    if (held) return held;
    if (Date.now() > last) throw new Error(`never: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Makes requests wait until `release` is called. `reached` waits for the first of them. */
export function makeHold() {
  const hold = {};
  const released = new Promise((resolve) => (hold.release = resolve));
  const reached = new Promise((resolve) => {
    hold.wait = () => (resolve(), released);
  });
  hold.reached = () => inTime(reached, "no request has come");
  return hold;
}
