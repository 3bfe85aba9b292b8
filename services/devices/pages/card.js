// One variable: its chart, its newest values as a table, its CSV. Loads when it comes into sight.
import { Away, call, explain, Refused } from "./api.js";
import { Chart } from "./chart.js";
import { Series, extremes, prepared } from "./series.js";
import { Range } from "./ranges.js";
import { about, moment, withUnit, written } from "./values.js";

const MOST = 10_000; // records that the service gives at once
const ROWS = 100;
const AVERAGES_EVERY_MS = 15_000;
const AT_ONCE = 3;

const template = document.getElementById("chart-card");
const waiting = [];
let busy = 0;

// Lets a few cards load at a time, in the order in which they came into sight.
async function inTurn(work) {
  if (busy >= AT_ONCE) await new Promise((resolve) => waiting.push(resolve));
  busy += 1;
  try {
    return await work();
  } finally {
    busy -= 1;
    waiting.shift()?.();
  }
}

// Draws what has changed, as much in a frame as leaves scrolling smooth.
const FRAME_MS = 8;
const changed = new Set();
let frame = 0;

function drawSoon(card) {
  changed.add(card);
  frame ||= requestAnimationFrame(drawSome);
}

function drawSome(now) {
  frame = 0;
  for (const card of changed) {
    changed.delete(card);
    card.drawNow();
    if (performance.now() - now > FRAME_MS) break;
  }
  if (changed.size) frame = requestAnimationFrame(drawSome);
}

const units = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;

// Averages with the lowest and the highest of the same stretch of time, oldest first.
function joined(variable, unit, averages, lowest, highest) {
  const [lows, highs] = [lowest, highest].map((points) => new Map(points.map(({ time, value }) => [time, value])));
  return averages
    .map(({ time, value }) => prepared({ time, variable, value, lowest: lows.get(time) ?? value, highest: highs.get(time) ?? value, unit }))
    .sort((one, other) => one.ms - other.ms);
}

export class Card {
  #chart = null;
  #series = new Series();
  #averages = null; // {time, value, lowest, highest, variable, unit} when there are too many records for a picture
  #load = null; // the AbortController of the load under way
  #loading = null; // its end
  #meanwhile = []; // records that came during the load, and may be missing from it
  #loadedAt = 0;
  #stale = true;
  #drawn = false;
  #visible = false;

  // device: the view: {path, range, newest, show(range), save(cards), onDenied(error)}
  constructor(device, variable, id) {
    this.device = device;
    this.variable = variable;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.part = (role) => this.element.querySelector(`[data-role="${role}"]`);
    this.element.id = id;
    const title = this.element.querySelector("h3");
    title.id = `${id}-title`;
    title.textContent = variable;
    this.element.setAttribute("aria-labelledby", title.id);
    this.part("about").id = `${id}-about`;
    this.part("plot").setAttribute("aria-label", `Chart of ${variable}; the arrow keys go from value to value`);
    this.part("plot").setAttribute("aria-describedby", `${id}-about`);
    this.details = this.element.querySelector("details");
    this.details.addEventListener("toggle", () => this.#table());
    this.part("csv").setAttribute("aria-label", `Save ${variable} as CSV`);
    this.part("csv").addEventListener("click", () => device.save([this]));
    this.part("again").addEventListener("click", () => this.reload());
  }

  get moving() { return this.device.range.moves; }

  seen(visible) {
    this.#visible = visible;
    if (!visible) return;
    if (this.#stale) this.#start();
    else if (!this.#drawn) this.draw();
  }

  // What it shows is no longer true: another range, or records that came late, changed or went.
  reload() {
    this.#stale = true;
    this.element.setAttribute("aria-busy", "true");
    this.#load?.abort();
    if (this.#visible) this.#start();
    else this.part("about").textContent = "Loading…"; // when it comes into sight
  }

  // Takes in records that have just come.
  add(records) {
    if (!this.moving) return;
    if (this.#stale) {
      if (this.#load) this.#meanwhile.push(...records);
      return;
    }
    if (this.#averages) {
      if (Date.now() - this.#loadedAt > AVERAGES_EVERY_MS) this.reload();
      return;
    }
    this.#series.merge(records, Date.now() - this.device.range.span);
    if (this.#series.length > 1.2 * MOST) this.reload();
    else this.draw();
  }

  // The records of the range, loaded if they are not yet.
  async records() {
    if (this.#stale) await this.#start();
    if (this.#stale) throw new Away("not loaded");
    const [from, to] = this.device.range.edges(this.#series.newest?.ms);
    return this.#averages ?? this.#series.records.filter(({ ms }) => ms >= from && ms <= to);
  }

  // Draws in one of the next frames, once however often it is asked; only what can be seen.
  draw() {
    this.#drawn = false;
    if (this.#visible && !this.#stale) drawSoon(this);
  }

  destroy() {
    this.#load?.abort();
    changed.delete(this);
    this.#chart?.destroy();
    this.element.remove();
  }

  async #start() {
    if (this.#load && !this.#load.signal.aborted) return this.#loading;
    const load = this.#load = new AbortController();
    this.#meanwhile = [];
    if (!this.#chart) this.part("about").textContent = "Loading…";
    this.#loading = inTurn(() => load.signal.aborted || this.#fetch(load.signal))
      .then(() => { if (!load.signal.aborted) this.#loaded(); })
      .catch((error) => { if (!load.signal.aborted) this.#failed(error); })
      .finally(() => { if (this.#load === load) this.#load = null; });
    return this.#loading;
  }

  async #fetch(signal) {
    const { path, range } = this.device;
    const query = { variables: this.variable, ...range.query() };
    const { result } = await call(`${path}data`, { ...query, qty: MOST }, { signal });
    let averages = null;
    const limited = result.length >= MOST;
    if (limited && result.some(({ value }) => typeof value === "number")) {
      const asked = ["avg", "min", "max"].map((name) =>
        call(`${path}data`, { ...query, qty: MOST, query: "aggregate", interval: range.interval(), function: name }, { signal }));
      averages = joined(this.variable, result.find(({ unit }) => unit)?.unit, ...(await Promise.all(asked)).map((answer) => answer.result));
    }
    if (signal.aborted) return;
    this.#series.replace(result);
    this.#averages = averages;
    this.limited = limited;
  }

  #loaded() {
    this.#stale = false;
    if (this.#meanwhile.length && !this.#averages) this.#series.merge(this.#meanwhile, Date.now() - this.device.range.span);
    this.#loadedAt = Date.now();
    this.part("again").hidden = true;
    this.draw();
  }

  #failed(error) {
    if (error instanceof Refused && error.status === 401) return this.device.onDenied(error);
    this.part("about").textContent = `Not loaded: ${explain(error)}`;
    this.element.removeAttribute("aria-busy");
    this.part("again").hidden = false;
  }

  drawNow() {
    if (this.#stale) return;
    this.#drawn = true;
    this.element.classList.add("drawn");
    this.element.removeAttribute("aria-busy");
    const series = this.#series;
    const [from, to] = this.device.range.edges(series.newest?.ms);
    const kind = this.#averages ? "averages" : series.kind();
    const data = this.#averages
      ? [this.#averages.map(({ ms }) => ms), ...["value", "lowest", "highest"].map((name) => this.#averages.map((one) => one[name]))]
      : series.columns();
    const unit = series.records.findLast((record) => record.unit)?.unit ?? "";
    const plot = this.part("plot");
    plot.hidden = kind === "texts";
    if (!plot.hidden) {
      this.#chart ??= new Chart(plot, {
        onRange: (from, to) => this.device.show(new Range(null, from, to)),
        tell: (text) => { this.part("readout").textContent = text; },
      });
      this.#chart.show(kind, data, unit, from, to);
    }
    this.part("readout").hidden = plot.hidden;
    this.part("about").textContent = this.#summary(kind, data, unit);
    this.part("csv").hidden = series.length === 0;
    this.details.hidden = series.length === 0;
    if (kind === "texts" && series.length && !this.opened) this.opened = this.details.open = true;
    this.#table();
  }

  #summary(kind, data, unit) {
    const { length } = this.#series;
    if (length === 0) {
      const newest = this.device.newest.of(this.variable);
      return newest ? `No values in this range. The newest is of ${moment(newest.ms)}.` : "No values in this range.";
    }
    if (kind === "averages") {
      const { lowest } = extremes(data[2]), { highest } = extremes(data[3]);
      const said = `averages by the ${this.device.range.interval()}, with the lowest and the highest`;
      return `More than ${MOST.toLocaleString("en")} values: ${said}. From ${about(lowest)} to ${withUnit(about(highest), unit)}.`;
    }
    const counted = this.limited ? `The newest ${units(length, "value")}` : units(length, "value");
    if (kind !== "numbers") return `${counted}.`;
    const { lowest, highest } = extremes(data[1]);
    return `${counted}, from ${about(lowest)} to ${withUnit(about(highest), unit)}.`;
  }

  #table() {
    if (!this.details.open || this.details.hidden) return;
    const records = this.#series.records.slice(-ROWS).reverse();
    this.details.querySelector("tbody").replaceChildren(...records.map((record) => {
      const row = document.createElement("tr");
      for (const text of [moment(record.ms), written(record), record.group ?? ""]) row.insertCell().textContent = text;
      return row;
    }));
    const rest = this.#series.length - records.length;
    this.part("rest").textContent = rest > 0 ? `${units(rest, "older value")} in the CSV.` : "";
  }
}
