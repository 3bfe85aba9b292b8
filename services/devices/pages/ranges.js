// The range of time that the charts show: the last hours or days, which move with the clock, or a person's own.
const H = 3_600_000;

export const CHOICES = [
  ["1h", "1 hour", H], ["6h", "6 hours", 6 * H], ["24h", "24 hours", 24 * H], ["7d", "7 days", 168 * H], ["30d", "30 days", 720 * H],
];
const USUAL = "24h";
const AHEAD_MS = 300_000; // the clock of a device may be a little ahead
const SPANS = [["minute", 36 * H], ["hour", 90 * 24 * H], ["day", Infinity]];

export class Range {
  // name: one of CHOICES, or null for an own range of milliseconds.
  constructor(name, from = 0, to = 0) {
    this.name = name;
    this.span = CHOICES.find(([choice]) => choice === name)?.[2] ?? to - from;
    this.own = name === null ? [from, to] : null;
  }

  // Reads `range=7d` or `range=<ISO>/<ISO>` of an address; anything else is the usual one.
  static read(text) {
    if (CHOICES.some(([choice]) => choice === text)) return new Range(text);
    const [from, to] = (text ?? "").split("/").map(Date.parse);
    return from < to ? new Range(null, from, to) : new Range(USUAL);
  }

  written() {
    return this.name ?? this.own.map((ms) => new Date(ms).toISOString()).join("/");
  }

  get moves() { return this.own === null; }

  // The edges of the picture now. newest: milliseconds of the newest record, which may be a little ahead of the clock.
  edges(newest = 0) {
    if (this.own) return this.own;
    const to = Math.max(Date.now(), Math.min(newest, Date.now() + AHEAD_MS));
    return [to - this.span, to];
  }

  // What to ask the service for.
  query() {
    const [from, to] = this.own ?? [Date.now() - this.span, Date.now() + AHEAD_MS];
    return { start_date: new Date(from).toISOString(), end_date: new Date(to).toISOString() };
  }

  // The unit of averages that gives a picture of enough, and not too many, points.
  interval() {
    return SPANS.find(([, longest]) => this.span <= longest)[0];
  }
}

// How `datetime-local` writes a moment, in UTC.
export const asField = (ms) => new Date(ms).toISOString().slice(0, 19);
export const ofField = (text) => Date.parse(`${text}Z`);
