// One chart: a line of numbers, steps of booleans, or averages with the band between lowest and highest. Drawn by uPlot.
import { about, moment, withUnit } from "./values.js";

const HEIGHT = 224;
const FONT = "12px system-ui, sans-serif";
const S = 1000, M = 60 * S, H = 60 * M, D = 24 * H;

// [smallest step, format, and what is added when the year, …, the day changes] (uPlot, axis.values)
const DATES = [
  [365 * D, "{YYYY}", null, null, null, null, null, null, 1],
  [28 * D, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [D, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [M, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  [S, "{HH}:{mm}:{ss}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}.{fff}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const width = (_, texts) => 18 + 7 * Math.max(3, ...(texts ?? []).map((text) => text.length));
const darkness = window.matchMedia("(prefers-color-scheme: dark)");

export class Chart {
  #plot = null;
  #shape = "";
  #data = [[], []];
  #at = null; // index that the keyboard stands on

  // host: an element, which takes the keyboard's focus. onRange(from, to): a person drew a range. tell(text): what stands under the cursor.
  constructor(host, { onRange, tell }) {
    this.host = host;
    this.onRange = onRange;
    this.tell = tell;
    this.unit = "";
    this.sizes = new ResizeObserver(() => {
      if (this.#plot && host.clientWidth && host.clientWidth !== this.#plot.width) this.#plot.setSize({ width: host.clientWidth, height: HEIGHT });
    });
    this.sizes.observe(host);
    this.recolour = () => this.#plot?.redraw(false);
    darkness.addEventListener("change", this.recolour);
    host.addEventListener("keydown", (event) => this.#key(event));
    host.addEventListener("blur", () => { this.#at = null; });
  }

  // kind: numbers, booleans or averages. data: [ms, values] or [ms, averages, lowest, highest]. from, to: edges of the picture.
  show(kind, data, unit, from, to) {
    this.unit = unit;
    this.#data = data;
    this.edges = [from, to];
    if (this.#shape !== kind) {
      this.#plot?.destroy();
      this.#shape = kind;
      this.#plot = new window.uPlot(this.#options(kind), data, this.host);
      return;
    }
    this.#plot.setData(data); // asks for the edges, below
    if (this.#at !== null) this.#stand(Math.min(this.#at, data[0].length - 1));
  }

  destroy() {
    this.sizes.disconnect();
    darkness.removeEventListener("change", this.recolour);
    this.#plot?.destroy();
    this.#plot = null;
  }

  #options(kind) {
    const ink = () => colour("--quiet");
    const grid = { stroke: () => colour("--line"), width: 1 };
    const axis = { stroke: ink, grid, ticks: grid, font: FONT };
    const accent = () => colour("--accent");
    const line = { stroke: accent, width: 1.5, spanGaps: false, points: { fill: accent, size: 5 } };
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    const averages = kind === "averages";
    return {
      width: this.host.clientWidth || 300,
      height: HEIGHT,
      ms: 1,
      tzDate: (ms) => window.uPlot.tzDate(new Date(ms), "Etc/UTC"),
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 9 } },
      select: { show: true },
      scales: {
        x: { time: true, range: () => this.edges },
        y: kind === "booleans" ? { range: [-0.1, 1.1] } : {},
      },
      axes: [
        { ...axis, values: DATES, space: 70 },
        kind === "booleans"
          ? { ...axis, splits: [0, 1], values: ["false", "true"], size: 50 }
          : { ...axis, size: width, values: (_, splits) => splits.map(about) },
      ],
      series: [
        {},
        { ...line, ...(kind === "booleans" ? { paths: window.uPlot.paths.stepped({ align: 1 }) } : {}) },
        ...(averages ? [edge, edge] : []),
      ],
      bands: averages ? [{ series: [3, 2], fill: () => `${colour("--accent")}4d` }] : [],
      hooks: {
        setCursor: [(plot) => this.#told(plot.cursor.idx)],
        setSelect: [(plot) => this.#selected(plot)],
      },
    };
  }

  #told(index) {
    const [times, values, lowest, highest] = this.#data;
    if (index === null || index === undefined || index >= times.length || values[index] === null) {
      if (document.activeElement !== this.host) this.tell("");
      return;
    }
    const value = this.#shape === "booleans" ? String(Boolean(values[index])) : withUnit(about(values[index]), this.unit);
    const spread = lowest ? ` on average (${about(lowest[index])} to ${about(highest[index])})` : "";
    this.tell(`${moment(times[index])}: ${value}${spread}`);
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width < 5) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.onRange(Math.floor(from), Math.ceil(to));
  }

  #key(event) {
    const last = this.#data[0].length - 1;
    if (last < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const step = event.shiftKey ? Math.max(1, Math.round(last / 20)) : 1;
    const at = this.#at ?? last + 1;
    const next = { ArrowLeft: at - step, ArrowRight: at + step, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.#stand(Math.max(0, Math.min(last, next)));
  }

  #stand(index) {
    this.#at = index;
    const [times, values] = this.#data;
    this.#plot.setCursor({
      left: this.#plot.valToPos(times[index], "x"),
      top: values[index] === null ? 0 : this.#plot.valToPos(values[index], "y"),
    }, false);
    this.#told(index);
  }
}
