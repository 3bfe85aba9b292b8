// The session's API as this page's tokens see it. The session token comes in the address of the page (`token`) and goes out as a header only.
const root = document.documentElement.dataset.api;
const given = new URLSearchParams(location.search);
const TIMEOUT_MS = 20_000;

export const token = given.get("token") ?? "";
export const sessionId = Number.parseInt(token.slice(0, 8), 16);
let clientToken = given.get("clientToken") || null;

export const client = () => clientToken;
export function become(value) { clientToken = value; }

// The service, or the gateway before it, said no. pause: milliseconds after which to ask again, where it says so.
export class Refused extends Error {
  constructor(status, text, detail, pause) {
    super(text);
    this.status = status;
    this.detail = detail;
    this.pause = pause;
  }

  get released() { return this.detail === "495" || this.message.startsWith("CLIENT_RELEASED"); }
  get ended() { return this.detail === "497" || this.detail === "498" || this.message.startsWith("INVALID_TOKEN"); }
  get passing() { return this.status >= 500 || this.status === 429 || this.status === 408; }
}

// Nobody answered.
export class Away extends Error {}

// Sends a request with the tokens, and returns the answer when all of it is there: {value, headers}. Raises Refused and Away; what `signal`
// ends, with AbortError. person: let the browser send, and ask for, the name and password of an account. reader: send no client token.
export async function ask(path, { body, signal, timeout = TIMEOUT_MS, person = false, reader = false } = {}) {
  const limit = AbortSignal.timeout(timeout);
  const headers = { Accept: "application/json", token };
  if (clientToken && !person && !reader) headers.clientToken = clientToken;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  let text;
  try {
    answer = await fetch(`${root}${path}`, {
      method: body === undefined ? "GET" : "POST",
      body: body === undefined ? undefined : JSON.stringify(body),
      headers,
      cache: "no-store",
      credentials: person ? "same-origin" : "omit",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Away("nobody answered");
  }
  if (!answer.ok) {
    const pause = Number(answer.headers.get("Retry-After")) * 1000 || null;
    throw new Refused(answer.status, text, answer.headers.get("X-Status-Detail"), pause);
  }
  try {
    return { value: text ? JSON.parse(text) : null, headers: answer.headers };
  } catch {
    throw new Away("the answer is not the service's");
  }
}

// Fires an event of the session and returns its bare answer. Raises as `ask`.
export async function fire(name, ...values) {
  return (await ask(`session/event/PlayerEventType/${name}/?f=JSON`, { body: values })).value;
}

// What a person can do about it.
export function explain(error) {
  if (error instanceof Away) return navigator.onLine ? "The service does not answer. Try again." : "You are offline.";
  if (!(error instanceof Refused)) return "Something on this page went wrong. Load it again.";
  if (error.released) return "You were released from this session. Join again.";
  if (error.ended) return "This session has ended.";
  if (error.status === 401) return "The name or the password is not right.";
  if (error.message === "INSUFFICIENT_RIGHTS") return "Your account does not have the right to do this.";
  const text = error.message.replace(/^(INVALID_REQUEST|INSUFFICIENT_RIGHTS): /, "").trim();
  if (text && text.length < 500 && !/^[<{]/.test(text)) return text[0].toUpperCase() + text.slice(1);
  return error.passing ? "The service is not available now. Try again." : `The service answered ${error.status}.`;
}

export const later = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});
