// The layers, which are switched on and off. A node is shown when a layer that is on says something of it.
import { pages } from "./api.js";
import { copy, part, role, tell } from "./elements.js";
import { box } from "./shapes.js";

const MOST = 1000;
const MOST_ON = 50; // that a query names

export class Layers {
  #layers = []; // as the service lists them
  #on = null; // names; null: all
  loaded = false;

  // on: {changed(), go(box)}.
  constructor(on) {
    this.on = on;
    part("all").addEventListener("click", () => this.#set(null));
    part("none").addEventListener("click", () => this.#set(new Set()));
  }

  // Reads the list. Raises what `ask` does.
  async load() {
    const read = [];
    for await (const { results } of pages("layers", { geom: true }, { perPage: 250, most: MOST })) read.push(...results);
    this.#layers = read.filter(({ name }) => typeof name === "string").sort((one, other) => one.name.localeCompare(other.name, "en"));
    this.loaded = true;
    this.#show();
  }

  // The box around the data of all layers; null when there is none.
  box() { return box({ coordinates: this.#layers.map(({ bbox }) => box(bbox)).filter(Boolean).flatMap(corners) }); }

  // The value of `layer` in a query: empty for all, null for none.
  query() {
    if (this.#on === null) return "";
    return this.#on.size ? [...this.#on].sort().join("|") : null;
  }

  // The layers that are on, as the page's address has them; null: all.
  get chosen() { return this.#on && [...this.#on].sort().join(","); }
  set chosen(text) {
    this.#on = text === null ? null : new Set(text.split(",").filter(Boolean));
    this.#show();
  }

  #set(on) {
    tell(part("layers-message"), "");
    this.#on = on !== null && on.size === this.#layers.length && this.#layers.every(({ name }) => on.has(name)) ? null : on;
    this.#show();
    this.on.changed();
  }

  #switch(name, on) {
    const now = new Set(this.#on ?? this.#layers.map((layer) => layer.name));
    if (on) now.add(name);
    else now.delete(name);
    if (now.size <= MOST_ON || now.size >= this.#layers.length) return this.#set(now);
    tell(part("layers-message"), `All layers are on, or at most ${MOST_ON}. Choose “None”, then those you want.`);
    this.#show();
  }

  #show() {
    const list = part("layers");
    if (list.children.length !== this.#layers.length) list.replaceChildren(...this.#layers.map((layer) => this.#entry(layer)));
    for (const [place, { name }] of this.#layers.entries()) {
      list.children[place].querySelector("input").checked = this.#on === null || this.#on.has(name);
    }
  }

  #entry(layer) {
    const element = copy("layer-entry");
    tell(role(element, "name"), layer.name);
    tell(role(element, "about"), [layer.category, layer.organization].filter((text) => typeof text === "string" && text).join(", "));
    element.querySelector("input").addEventListener("change", ({ target }) => this.#switch(layer.name, target.checked));
    const go = element.querySelector("button");
    const found = box(layer.bbox);
    go.hidden = !found;
    go.setAttribute("aria-label", `Go to the data of ${layer.name}`);
    go.addEventListener("click", () => this.on.go(found));
    return element;
  }
}

const corners = ([south, west, north, east]) => [[west, south], [east, north]];
