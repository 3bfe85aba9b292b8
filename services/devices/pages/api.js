// The API as a person's token sees it. The token lives in this module's memory alone: not in storage, not in an address, not in the document.
export const root = document.documentElement.dataset.root;

const TIMEOUT_MS = 30_000;
let token = null;

export const known = () => token !== null;
export function use(value) { token = value; }
export function forget() { token = null; }

// The service, or the gateway before it, said no. pause: milliseconds after which to ask again, where it says so.
export class Refused extends Error {
  constructor(status, text, pause) {
    super(text);
    this.status = status;
    this.pause = pause;
  }
}

// Nobody answered.
export class Away extends Error {}

// Asks with the token. query: values, or lists of values that are repeated. Raises Refused and Away; what `signal` ends, with AbortError.
export async function ask(path, query = {}, { signal, accept = "application/json" } = {}) {
  const parameters = new URLSearchParams();
  for (const [name, values] of Object.entries(query)) for (const value of [values].flat()) parameters.append(name, value);
  const address = `${root}${path}${parameters.size ? `?${parameters}` : ""}`;
  let answer;
  try {
    answer = await fetch(address, { headers: { Accept: accept, Token: token }, cache: "no-store", credentials: "omit", signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Away("nobody answered");
  }
  if (answer.ok) return answer;
  let said = {};
  try {
    said = await answer.json();
  } catch { /* an answer from between, which is not JSON */ }
  throw new Refused(answer.status, said.message ?? said.error ?? "", Number(answer.headers.get("Retry-After")) * 1000 || null);
}

// The members `result` and `message` of an answer.
export async function call(path, query = {}, { signal } = {}) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), TIMEOUT_MS);
  const stop = () => limit.abort();
  signal?.addEventListener("abort", stop);
  if (signal?.aborted) limit.abort();
  try {
    return parse(await (await ask(path, query, { signal: limit.signal })).text());
  } catch (error) {
    if (error instanceof Refused || error instanceof Away || signal?.aborted) throw error;
    throw new Away("the answer did not come to its end");
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

// Whole numbers that a JavaScript number does not hold exactly become BigInt, where the browser hands out their text.
export function parse(text) {
  if (!/[:[,]\s*-?\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) => {
    const exact = typeof value !== "number" || Number.isSafeInteger(value) || !/^-?\d+$/.test(context?.source ?? "");
    return exact ? value : BigInt(context.source);
  });
}

// What a person can do about it.
export function explain(error) {
  if (error instanceof Away) return navigator.onLine ? "The service does not answer." : "You are offline.";
  if (!(error instanceof Refused)) return "Something on this page went wrong.";
  if (error.status === 401) return "This token is not valid, or no longer.";
  if (error.status === 403) return "This token may not read this.";
  if (error.status === 429) return `Too many requests with this token.${error.pause ? ` Try again in ${seconds(error.pause)}.` : ""}`;
  if (error.status >= 500) return "The service is not available now.";
  if (error.message === "Device is deactivated") return "This device is switched off: it takes and gives no data.";
  return error.message ? `The service answered: ${error.message}.` : `The service answered ${error.status}.`;
}

export const seconds = (ms) => (ms <= 1500 ? "a second" : `${Math.round(ms / 1000)} seconds`);

export const later = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});
