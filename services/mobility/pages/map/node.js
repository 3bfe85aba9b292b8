// The node that is chosen: what all layers say of it, and what leaves next from a stop.
import { Refused, address, explain, one } from "./api.js";
import { copy, part, role, tell } from "./elements.js";
import { about, nameOf, type } from "./shapes.js";

const KEYS = 100; // of a layer that are shown
const LONGEST = 1000; // characters of a value that are shown
const TIMES = 6;

export class Details {
  #asked = null;
  #node = null;

  // on: {show(geometry), loaded(node), closed()}.
  constructor(on) {
    this.on = on;
    part("node-show").addEventListener("click", () => on.show(this.#node.geom));
    part("node-close").addEventListener("click", () => on.closed());
  }

  get id() { return this.#node?.cdk_id ?? null; }

  // Shows a node, and reads all of it. known: what a list says of it, at least its `cdk_id`. focus: bring it into sight.
  async open(known, { focus = false } = {}) {
    this.#asked?.abort();
    const { signal } = this.#asked = new AbortController();
    this.#node = known;
    part("node").hidden = false;
    part("departures").hidden = true;
    part("node-layers").replaceChildren();
    tell(part("node-message"), "");
    this.#facts(known);
    part("node-json").href = `${address(known.cdk_id)}?layer=*&geom`;
    if (focus) part("node-title").focus();
    try {
      const { results: [node] } = await one(known.cdk_id, { layer: "*", geom: true }, signal);
      if (signal.aborted || !node) return;
      this.#node = node;
      this.#facts(node);
      this.#records(node.layers ?? {});
      this.on.loaded(node);
      if (type(node) === "ptstop") await this.#departures(node.cdk_id, signal);
    } catch (error) {
      if (!signal.aborted) tell(part("node-message"), explain(error));
    }
  }

  close() {
    this.#asked?.abort();
    this.#node = null;
    part("node").hidden = true;
  }

  #facts(node) {
    tell(part("node-title"), nameOf(node));
    part("node-show").hidden = !node.geom;
    const facts = [["Type", node.node_type ? about(node) : ""], ["cdk_id", node.cdk_id], ["Created by", node.layer === "none" ? "" : node.layer], ["Modalities", words(node.modalities)]];
    list(part("node-facts"), facts.filter(([, value]) => value));
  }

  #records(layers) {
    const records = Object.entries(layers).map(([name, record]) => {
      const element = copy("record");
      const data = Object.entries(record?.data ?? {});
      tell(role(element, "name"), name);
      const modalities = words(record?.modalities);
      tell(role(element, "modalities"), [modalities && `Modalities: ${modalities}.`, validity(record?.validity)].filter(Boolean).join(" "));
      list(element.querySelector("dl"), data.slice(0, KEYS).map(([key, value]) => [key, text(value)]));
      tell(role(element, "more"), data.length > KEYS ? `${data.length - KEYS} more are in the JSON.` : data.length ? "" : "No data.");
      return element;
    });
    part("node-layers").replaceChildren(...records);
  }

  // Not all stops have a timetable, and not all services of this kind tell departures.
  async #departures(id, signal) {
    try {
      const { results } = await one(id, {}, signal, "/select/now");
      if (signal.aborted) return;
      const lines = results.filter((line) => Array.isArray(line?.times) && line.times.length).map(departure);
      part("departure-list").replaceChildren(...lines);
      tell(part("departures-message"), lines.length ? "" : "None in the next hour.");
      part("departures").hidden = false;
    } catch (error) {
      if (signal.aborted || (error instanceof Refused && error.status < 500 && error.status !== 429)) return;
      part("departure-list").replaceChildren();
      tell(part("departures-message"), explain(error));
      part("departures").hidden = false;
    }
  }
}

function departure(line) {
  const element = copy("departure");
  tell(role(element, "line"), String(line.route_name ?? line.cdk_id ?? ""));
  tell(role(element, "headsign"), line.headsign ? `to ${line.headsign}` : "");
  const moments = Array.isArray(line.departures) ? line.departures.map(clock) : line.times;
  tell(role(element, "times"), moments.slice(0, TIMES).map(String).join(", "));
  return element;
}

// Of `2026-03-29T00:10:00+01:00` what a clock at the stop shows; `times` counts past 24:00.
const clock = (moment) => String(moment).slice(11, 16);

const words = (names) => (Array.isArray(names) ? names.join(", ").replaceAll("_", " ") : "");

function text(value) {
  const found = typeof value === "string" ? value : JSON.stringify(value) ?? "";
  return found.length > LONGEST ? `${found.slice(0, LONGEST)}…` : found;
}

function validity(pair) {
  if (!Array.isArray(pair)) return "";
  const [from, to] = pair.map((one) => String(one ?? "").slice(0, 16).replace("T", " "));
  return `Valid from ${from} to ${to} (UTC).`;
}

function list(element, facts) {
  element.replaceChildren(...facts.flatMap(([key, value]) => {
    const [term, said] = [document.createElement("dt"), document.createElement("dd")];
    term.dir = said.dir = "auto";
    term.textContent = key;
    said.textContent = value;
    return [term, said];
  }));
}
