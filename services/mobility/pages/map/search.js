// Finding nodes by a part of their names, or those nearest to a point.
import { ask, explain } from "./api.js";
import { part, tell } from "./elements.js";
import { fill } from "./entries.js";

const SHOWN = 20;
const PLACE = /^\s*(-?\d{1,2}(?:\.\d+)?)\s*[,;\s]\s*(-?\d{1,3}(?:\.\d+)?)\s*$/;

export class Search {
  #asked = null;
  #found = [];

  // on: {pick(node), found(), layers() as `Layers.query`, go({lat, lon})}.
  constructor(board, on) {
    Object.assign(this, { board, on });
    part("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#find(part("words").value.trim());
    });
    part("forget").addEventListener("click", () => this.#forget());
  }

  show(chosen) { fill(part("results"), this.#found, { chosen, more: far, pick: this.on.pick }); }

  async #find(words) {
    this.#asked?.abort();
    const { signal } = this.#asked = new AbortController();
    tell(part("search-message"), "");
    const place = PLACE.exec(words);
    if (place && Math.abs(place[1]) <= 85 && Math.abs(place[2]) <= 180) this.on.go({ lat: Number(place[1]), lon: Number(place[2]) });
    const name = place ? "" : words;
    const { lat, lon } = this.board.view();
    const layers = this.on.layers();
    if (layers === null) return tell(part("search-state"), "All layers are off.");
    tell(part("search-state"), "Looking…");
    try {
      const query = { geom: true, lat: lat.toFixed(6), lon: lon.toFixed(6), per_page: SHOWN, ...(name ? { name } : {}), ...(layers ? { layer: layers } : {}) };
      const { results, next_page: next } = await ask("nodes", query, signal);
      if (signal.aborted) return;
      this.#found = results;
      const more = next > 1 ? " There are more." : "";
      const what = name ? `whose name has “${name}”` : "nearest to the middle of the map";
      const none = name ? `No node ${layers === "" ? "" : "of these layers "}has “${name}” in its name.` : "There is no node.";
      tell(part("search-state"), results.length ? `${results.length} node${results.length === 1 ? "" : "s"} ${what}.${more}` : none);
      part("forget").hidden = false;
      this.on.found();
    } catch (error) {
      if (signal.aborted) return;
      tell(part("search-state"), "");
      tell(part("search-message"), explain(error));
    }
  }

  #forget() {
    this.#asked?.abort();
    this.#found = [];
    part("words").value = "";
    tell(part("search-state"), "");
    tell(part("search-message"), "");
    part("forget").hidden = true;
    part("words").focus();
    this.on.found();
  }
}

// distance: metres, as the service has them.
function far({ distance }) {
  if (!Number.isFinite(distance)) return "";
  if (distance < 1000) return `${Math.round(distance)} m away`;
  return `${(distance / 1000).toLocaleString("en", { maximumFractionDigits: distance < 10_000 ? 1 : 0 })} km away`;
}
