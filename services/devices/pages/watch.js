// What a device holds, kept true by its stream: the newest record of each variable, then every record as it comes.
import { call, later } from "./api.js";
import { Follower } from "./live.js";
import { prepared } from "./series.js";

const CALM_MS = 500; // between two questions
const FULL_MS = [1000, 10_000]; // between two loads of everything: at least, and at most while one follows the other
const OVERLAP_MS = [1000, 60_000]; // how far before the newest record to look for others: fewer seconds of a device that sends many
const MANY = 2000;
const MOST = 10_000;

// Records of a device are numbered in the order of arrival; the number is the end of the id.
const number = (record) => parseInt(record.id.slice(8), 16);
const greatest = (records) => records.reduce((most, record) => Math.max(most, number(record)), 0);

export class Watch {
  #known = 0; // all records up to this number have been seen or are seen when a card loads
  #newestMs = 0;
  #seq = 0; // of the newest record, as the stream says
  #loaded = false;
  #fullAt = 0;
  #fullPause = FULL_MS[0];
  #full = false; // load everything at the next turn
  #opened = false; // the stream begins with the state as it is, which is no change
  #overlap = OVERLAP_MS[1];
  #wake = () => {};
  #ended = new AbortController();

  // on: {state(state, pause), all(newest records), some(records, those that are new), failed(error), refused(error)}.
  constructor(path, on) {
    this.path = path;
    this.on = on;
    this.follower = new Follower(`${path}data/live`, this.#ended.signal, {
      onState: (state, pause) => this.#state(state, pause),
      onEvent: (event, data) => { if (event === "data") this.#heard(JSON.parse(data)); },
    });
  }

  // Until `stop`, or until the service refuses the stream: resolves with that error, or null.
  async run() {
    this.#work();
    const refused = await this.follower.run();
    this.#ended.abort();
    return refused;
  }

  stop() { this.#ended.abort(); }
  now() { this.follower.now(); }

  #state(state, pause) {
    this.#opened = state === "live";
    this.on.state(state, pause);
    // the stream is open: from here on it tells of each change; before, some may have been missed
    if (state === "live" || (state === "away" && !this.#loaded)) this.#load();
  }

  #load() {
    this.#full = true;
    this.#fullAt = 0;
    this.#wake();
  }

  #heard({ seq }) {
    if (seq > this.#known) this.#seq = seq;
    else if (!this.#opened) this.#full = true; // nothing came and yet something changed: an edit, or records are gone
    this.#opened = false;
    this.#wake();
  }

  // One question at a time, with a pause after each.
  async #work() {
    while (!this.#ended.signal.aborted) {
      const due = this.#full ? Math.max(0, this.#fullAt + this.#fullPause - Date.now()) : Infinity;
      const look = this.#loaded && this.#seq > this.#known;
      if (!look && due > 0) {
        const wake = new AbortController();
        this.#wake = () => wake.abort();
        this.#ended.signal.addEventListener("abort", this.#wake);
        await later(Math.min(due, 2 ** 31 - 1), wake.signal);
        this.#ended.signal.removeEventListener("abort", this.#wake);
        continue;
      }
      let pause = CALM_MS;
      try {
        if (due === 0) await this.#everything();
        else await this.#look();
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        if (error.status === 401) return this.on.refused(error);
        this.on.failed(error);
        this.#full = true;
        pause = Math.max(pause, error.pause ?? 5000);
      }
      await later(pause, this.#ended.signal);
    }
  }

  async #everything() {
    const now = Date.now();
    this.#fullPause = now - this.#fullAt > FULL_MS[1] ? FULL_MS[0] : Math.min(2 * this.#fullPause, FULL_MS[1]);
    this.#fullAt = now;
    this.#full = false;
    const seq = this.#seq;
    const { result } = await call(`${this.path}data`, { query: "last_item" }, { signal: this.#ended.signal });
    const records = result.map(prepared);
    this.#known = Math.max(this.#known, seq, greatest(records));
    this.#newestMs = Math.max(0, ...records.map(({ ms }) => ms));
    this.#loaded = true;
    this.on.all(records);
  }

  // The records since shortly before the newest one. If fewer are new than the stream has counted, some came late, of older times.
  async #look() {
    const [seq, known] = [this.#seq, this.#known];
    const since = new Date(Math.min(this.#newestMs, Date.now()) - this.#overlap).toISOString();
    const { result } = await call(`${this.path}data`, { start_date: since, qty: MOST }, { signal: this.#ended.signal });
    const records = result.map(prepared);
    const fresh = records.filter((record) => number(record) > known);
    if (fresh.filter((record) => number(record) <= seq).length < seq - known) this.#full = true;
    this.#known = Math.max(seq, greatest(records));
    this.#newestMs = Math.max(this.#newestMs, ...records.map(({ ms }) => ms));
    const factor = records.length > MANY ? 0.5 : 2;
    this.#overlap = Math.max(OVERLAP_MS[0], Math.min(OVERLAP_MS[1], factor * this.#overlap));
    this.on.some(records, fresh);
  }
}
