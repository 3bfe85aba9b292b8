// The public reads of the service, which need no account.
const root = document.documentElement.dataset.api;
const TIMEOUT_MS = 30_000;

// The service, or the gateway before it, said no.
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

// Nobody answered, or what answered is not the service.
export class Away extends Error {}

// Where a node's JSON is.
export const address = (cdkId) => `${root}${encodeURIComponent(cdkId)}`;

// Reads an address below the service's. Raises Refused and Away; what `signal` ends, with AbortError.
export async function ask(path, query = {}, signal = undefined) {
  const asked = Object.entries(query).map(([name, value]) => (value === true ? name : `${name}=${encodeURIComponent(value)}`)).join("&");
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let answer;
  let text;
  try {
    answer = await fetch(`${root}${path}${asked ? "?" : ""}${asked}`, {
      headers: { Accept: "application/json" },
      credentials: "omit",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Away("nobody answered");
  }
  const value = read(text);
  if (!answer.ok) throw new Refused(answer.status, typeof value?.message === "string" ? value.message : "");
  if (!Array.isArray(value?.results)) throw new Away("the answer is not the service's");
  return value;
}

export const one = (cdkId, query, signal, below = "") => ask(`${encodeURIComponent(cdkId)}${below}`, query, signal);

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// Reads a list page by page: yields {results, more} of each. most: results after which it asks for no more.
export async function* pages(path, query, { perPage, most, signal }) {
  let read = 0;
  for (let page = 1; page > 0;) {
    const { results, next_page: next } = await ask(path, { ...query, per_page: perPage, page }, signal);
    read += results.length;
    const more = Number.isInteger(next) && next > page;
    yield { results, more };
    page = more && read < most ? next : -1;
  }
}

// What a person can do about it.
export function explain(error) {
  if (error instanceof Away) return navigator.onLine ? "The service does not answer. Try again." : "You are offline. Try again when you are online.";
  if (!(error instanceof Refused)) return "Something on this page went wrong. Load it again.";
  if (error.status === 429) return "Too many requests. Wait a little and try again.";
  if (error.status >= 500) return "The service is not available now. Try again.";
  return error.message && error.message.length < 500 ? `The service says: ${error.message}` : `The service answered ${error.status}.`;
}
