// What stands for tiles: lines of latitude and longitude, a round number of degrees apart.
const L = window.L;
const APART_PX = 90; // at least, between two lines

// 1, 2 or 5 times a power of ten.
function step(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((times) => times * power).find((one) => one >= least);
}

export class Grid {
  #lines = L.layerGroup();

  constructor(map) {
    this.map = map;
    const pane = map.createPane("grid");
    pane.style.zIndex = 250;
    pane.style.pointerEvents = "none";
    this.options = { renderer: L.svg({ pane: "grid", padding: 0.3 }), pane: "grid", interactive: false, className: "line-of-grid" };
    this.#lines.addTo(map);
    map.on("moveend resize", () => this.#draw());
  }

  #draw() {
    const seen = this.map.getBounds().pad(0.3);
    const apart = step((360 / (256 * 2 ** this.map.getZoom())) * APART_PX);
    const [west, east] = [Math.max(seen.getWest(), -180), Math.min(seen.getEast(), 180)];
    const [south, north] = [Math.max(seen.getSouth(), -85), Math.min(seen.getNorth(), 85)];
    this.#lines.clearLayers();
    for (let at = Math.ceil(west / apart); at * apart <= east; at += 1) this.#line([[south, at * apart], [north, at * apart]]);
    for (let at = Math.ceil(south / apart); at * apart <= north; at += 1) this.#line([[at * apart, west], [at * apart, east]]);
  }

  #line(ends) { L.polyline(ends, this.options).addTo(this.#lines); }
}
