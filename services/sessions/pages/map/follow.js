// Follows the session by the update long poll. Asks again by itself, with growing pauses while nobody answers.
import { ask, client, later, Refused } from "./api.js";

const POLL_S = 20;
const TIMEOUT_MS = 30_000; // the service answers after 20 s at the latest
const CALM_MS = 50; // between an answer and the next question: changes that come close together make one answer
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

// A reader whose page nobody sees waits: its place at the service is for others. A client must go on, or it is released.
async function needed() {
  while (document.hidden && !client()) {
    await new Promise((resolve) => { document.addEventListener("visibilitychange", resolve, { once: true }); });
  }
}

export class Follower {
  #wake = () => {};
  #restart = () => {};
  #failures = 0;

  // on: {state("live" | "waiting" | "away", pause in ms), learn(signal): before each poll, raises as `ask`, released(): the client is no
  // longer joined, so this goes on as a reader}.
  constructor(lists, on) {
    this.lists = lists;
    this.on = on;
  }

  // Ends the pause.
  now() { this.#wake(); }

  // Asks again at once: the tokens have changed.
  again() {
    this.#restart();
    this.#wake();
  }

  // Until the service refuses for good: resolves with that error.
  async run() {
    for (;;) {
      await needed();
      try {
        await this.#ask();
      } catch (error) {
        if (!(error instanceof Refused) || error.passing) await this.#wait(error.pause ?? 0);
        else if ((error.released || error.ended) && client()) this.on.released(); // whether the session lives, a reader is told
        else return error;
      }
    }
  }

  async #ask() {
    const attempt = new AbortController();
    this.#restart = () => attempt.abort();
    const asked = Date.now();
    const options = { body: this.lists.versions(), signal: attempt.signal, timeout: TIMEOUT_MS };
    // the first answer tells whether the service is there: it must not wait for a change
    const path = `session/update/?f=JSON&timeout=${this.#failures ? 0 : POLL_S}`;
    try {
      await this.on.learn(attempt.signal);
      const { value, headers } = await ask(path, options);
      this.#failures = 0;
      this.on.state("live");
      if (value) this.lists.apply(value, headers.get("X-Full-Resync") === "1");
      await later(value || Date.now() - asked > FIRST_PAUSE_MS ? CALM_MS : FIRST_PAUSE_MS, attempt.signal);
    } catch (error) {
      if (!attempt.signal.aborted) throw error;
    } finally {
      this.#restart = () => {};
    }
  }

  // Many pages must not all come back in one moment: a pause is up to a quarter longer.
  async #wait(least) {
    this.#failures += 1;
    const growing = Math.min(FIRST_PAUSE_MS * 2 ** (this.#failures - 1), LONGEST_PAUSE_MS);
    const pause = Math.max(least, growing) * (1 + Math.random() / 4);
    this.on.state("away", pause);
    const ended = new AbortController();
    this.#wake = () => ended.abort();
    window.addEventListener("online", this.#wake, { signal: ended.signal });
    await later(pause, ended.signal);
    ended.abort();
    this.#wake = () => {};
    this.on.state("waiting");
  }
}
