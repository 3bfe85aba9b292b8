// Loads the nodes of the box in sight, page by page. A list's `bbox` finds what is wholly inside, so a box a little larger is asked for; what
// reaches into the box from outside, or is larger than it, is found around its middle.
import { Refused, ask, pages } from "./api.js";

const MOST = 1000; // nodes of a box that are shown
const PER_PAGE = 250;
const REACHING = ["routes", "ptlines", "regions"];
const PER_REACHING = 100;
const MARGIN = 0.15; // of the box, on each side
const degrees = (value) => value.toFixed(6);

export class Loader {
  #running = null;
  #done = null; // the box, and for which layers, that is known whole

  // on: {nodes([node]) for each page, whole(ids of all, whether there are more)}.
  constructor(board, on) {
    this.board = board;
    this.on = on;
  }

  // Says whether what is in sight is there already.
  known(layers) {
    if (this.#done?.layers !== layers) return false;
    const [south, west, north, east] = this.board.box();
    const [southmost, westmost, northmost, eastmost] = this.#done.box;
    return south >= southmost && west >= westmost && north <= northmost && east <= eastmost;
  }

  stop() {
    this.#running?.abort();
    this.#running = null;
  }

  // Loads what is in sight, and ends what it loaded before. layers: the value of `layer`; empty for all, null for none. Raises what `ask` does.
  async load(layers) {
    this.stop();
    this.#done = null;
    if (layers === null) return this.on.whole(new Set(), false);
    const { signal } = this.#running = new AbortController();
    const asked = { box: this.board.box(MARGIN), radius: this.board.radius(), ...this.board.view() };
    const query = { geom: true, ...(layers ? { layer: layers } : {}) };
    const ids = new Set();
    const take = (results) => {
      if (signal.aborted) return;
      for (const { cdk_id: id } of results) ids.add(id);
      this.on.nodes(results);
    };
    try {
      const found = await Promise.all([this.#inside(query, asked, take, signal), ...this.#around(query, asked, take, signal)]);
      if (signal.aborted) return;
      const more = found.some(Boolean);
      if (!more) this.#done = { layers, box: asked.box };
      this.on.whole(ids, more);
    } catch (error) {
      if (signal.aborted) return;
      this.stop();
      throw error;
    }
  }

  async #inside(query, { box: [south, west, north, east] }, take, signal) {
    const bbox = [north, west, south, east].map(degrees).join(",");
    let more = false;
    for await (const page of pages("nodes", { ...query, bbox }, { perPage: PER_PAGE, most: MOST, signal })) {
      take(page.results);
      more = page.more;
    }
    return more;
  }

  #around(query, { radius, lat, lon }, take, signal) {
    const middle = { ...query, lat: degrees(lat), lon: degrees(lon) };
    const about = async (path, radius, perPage) => {
      try {
        const page = await ask(path, { ...middle, radius, per_page: perPage }, signal);
        take(page.results);
        return page.next_page > 1;
      } catch (error) {
        if (error instanceof Refused && error.status === 422) return true; // it would take too long
        throw error;
      }
    };
    return [about("nodes", 1, 20).then(() => false), ...REACHING.map((path) => about(path, radius, PER_REACHING))];
  }
}
