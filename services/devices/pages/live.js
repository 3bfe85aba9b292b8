// Server-sent events over fetch: EventSource cannot send a token in a header. Connects again by itself, with growing pauses.
import { ask, later, Refused } from "./api.js";

const SILENCE_MS = 50_000; // the service says something at least every 20 s
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

// The events of a stream: {event, id, data} (HTML, 9.2.6). chunks: of bytes.
export async function* events(chunks) {
  const decoder = new TextDecoder();
  let text = "";
  let event = { event: "message", data: [] };
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true });
    const held = text.endsWith("\r") ? "\r" : ""; // the first half of CR LF, perhaps
    const lines = text.slice(0, text.length - held.length).split(/\r\n|\n|\r/);
    text = lines.pop() + held;
    for (const line of lines) {
      if (line === "") {
        if (event.data.length) yield { ...event, data: event.data.join("\n") };
        event = { event: "message", data: [], id: event.id };
        continue;
      }
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === "data") event.data.push(value);
      else if (field === "event" || field === "id") event[field] = value;
    }
  }
}

// Follows the stream at `path` until `signal` ends it, or the service refuses for good (resolves with that error).
// onState("live" | "waiting" | "away", pause in ms); onEvent(event, its data); `now` is a function that ends the pause.
export class Follower {
  #wake = () => {};

  constructor(path, signal, { onState, onEvent }) {
    this.path = path;
    this.signal = signal;
    this.onState = onState;
    this.onEvent = onEvent;
  }

  now() { this.#wake(); }

  async run() {
    let failures = 0;
    while (!this.signal.aborted) {
      let pause = null;
      try {
        await this.#connect(() => { failures = 0; });
      } catch (error) {
        if (this.signal.aborted) return null;
        if (error instanceof Refused && error.status < 500 && error.status !== 429 && error.status !== 408) return error;
        pause = error.pause ?? null;
      }
      if (this.signal.aborted) return null;
      failures += 1;
      await this.#wait(Math.max(pause ?? 0, Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS)));
    }
    return null;
  }

  async #connect(onOpen) {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    this.signal.addEventListener("abort", stop);
    let timer = setTimeout(stop, SILENCE_MS);
    try {
      const answer = await ask(this.path, {}, { signal: attempt.signal, accept: "text/event-stream" });
      onOpen();
      this.onState("live");
      const reader = answer.body.getReader();
      const chunks = { async *[Symbol.asyncIterator]() {
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
          clearTimeout(timer);
          timer = setTimeout(stop, SILENCE_MS);
          yield part.value;
        }
      } };
      for await (const { event, data } of events(chunks)) this.onEvent(event, data);
    } finally {
      clearTimeout(timer);
      this.signal.removeEventListener("abort", stop);
      attempt.abort();
    }
  }

  // Several pages must not all come back in one moment: a pause is up to a quarter longer.
  async #wait(ms) {
    const pause = ms * (1 + Math.random() / 4);
    this.onState("away", pause);
    const ended = new AbortController();
    this.#wake = () => ended.abort();
    const stop = () => ended.abort();
    window.addEventListener("online", stop);
    this.signal.addEventListener("abort", stop);
    await later(pause, ended.signal);
    window.removeEventListener("online", stop);
    this.signal.removeEventListener("abort", stop);
    if (!this.signal.aborted) this.onState("waiting");
  }
}
