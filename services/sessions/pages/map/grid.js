// What is below the buildings: the map's edge, grid lines of a round distance, and where the pointer is.
const L = window.L;
const APART_PX = 45; // at least, between two lines

// 1, 2 or 5 times a power of ten, in metres.
export function step(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((times) => times * power).find((one) => one >= least);
}

export class Grid {
  #lines = L.layerGroup();
  #step = 0;

  // readout: the element that says the distance of the lines and the place of the pointer.
  constructor(map, sizeM, readout) {
    this.map = map;
    this.sizeM = sizeM;
    this.readout = readout;
    const pane = map.createPane("grid");
    pane.style.zIndex = 250;
    pane.style.pointerEvents = "none";
    this.renderer = L.svg({ pane: "grid", padding: 0.2 });
    const options = { renderer: this.renderer, interactive: false };
    L.rectangle([[0, 0], [sizeM, sizeM]], { ...options, className: "ground" }).addTo(map);
    this.options = { ...options, className: "line" };
    this.#lines.addTo(map);
    L.control.scale({ imperial: false }).addTo(map);
    map.on("moveend zoomend resize", () => this.#draw());
    map.on("mousemove", ({ latlng }) => this.#tell(latlng));
    map.on("mouseout", () => this.#tell());
    this.#draw();
  }

  #draw() {
    const seen = this.map.getBounds().pad(0.2);
    const pixels = 2 ** this.map.getZoom(); // of a metre
    this.#step = step(APART_PX / pixels);
    const [west, east, south, north] = [seen.getWest(), seen.getEast(), seen.getSouth(), seen.getNorth()].map((value) => this.#within(value));
    this.#lines.clearLayers();
    for (const x of this.#places(west, east)) this.#line([south, x], [north, x]);
    for (const y of this.#places(south, north)) this.#line([y, west], [y, east]);
    this.#tell();
  }

  #within(value) { return Math.min(Math.max(value, 0), this.sizeM); }

  *#places(from, to) {
    for (let number = Math.ceil(from / this.#step); number * this.#step <= to; number += 1) yield number * this.#step;
  }

  #line(from, to) { L.polyline([from, to], this.options).addTo(this.#lines); }

  #tell(at) {
    const metres = (value) => Math.round(this.#within(value)).toLocaleString("en");
    const place = at ? ` Pointer: x ${metres(at.lng)} m, y ${metres(at.lat)} m.` : "";
    this.readout.textContent = `Grid lines are ${this.#step.toLocaleString("en")} m apart.${place}`;
  }
}
