// The map: metres from the south-west corner of a square, a grid below, buildings in the colours of their stakeholders, and what is being drawn.
import { Grid, step } from "./grid.js";
import { bounds, shape, tidy } from "./shapes.js";

const L = window.L;
const turned = (ring) => ring.map(([x, y]) => [y, x]); // Leaflet writes north first
const STILL = matchMedia("(prefers-reduced-motion: reduce)").matches;
const NO_COLOR = "#808080";
const LINE = "#6f7c90"; // is seen on light and dark ground; the stakeholders' colours are not all

export const nameOf = (building) => building.name || `Building ${building.id}`;
export const colorOf = (stakeholder) => (/^#[0-9a-f]{6}$/i.test(stakeholder?.color) ? stakeholder.color : NO_COLOR);

export class Board {
  #shapes = new Map();
  #chosen = null;
  #draft = L.featureGroup();
  #drawing = false;
  #fitted = ""; // the view of the whole map
  #weight = 2;

  // on: {pick(id of a building), point([x, y]) while drawing, cancel()}.
  constructor(element, readout, sizeM, on) {
    this.element = element;
    this.sizeM = sizeM;
    this.edge = L.latLngBounds([[0, 0], [sizeM, sizeM]]);
    this.map = L.map(element, {
      crs: L.CRS.Simple, attributionControl: false, preferCanvas: true, maxBounds: this.edge.pad(0.5), minZoom: -8, maxZoom: 5, zoomSnap: 0.25,
      doubleClickZoom: false, trackResize: false, zoomAnimation: !STILL, inertia: !STILL,
    });
    this.#fit();
    new Grid(this.map, sizeM, readout);
    this.#draft.addTo(this.map);
    this.map.on("click", ({ latlng }) => { if (this.#drawing) on.point(this.#point(latlng)); });
    this.map.on("zoomend", () => this.#weigh());
    this.pick = (id) => { if (!this.#drawing) on.pick(id); };
    element.addEventListener("keydown", (event) => {
      if (!this.#drawing || event.target !== element) return;
      if (event.key === "Escape") on.cancel();
      else if (event.key === "Enter") on.point(this.middle());
      else return;
      event.preventDefault();
    });
    new ResizeObserver(() => this.#resize()).observe(element);
  }

  // The point in the middle of what is seen.
  middle() { return this.#point(this.map.getCenter()); }

  // Puts a building on the map, or changes it there.
  put(building, stakeholder) {
    const { id } = building;
    const color = colorOf(stakeholder);
    const before = this.#shapes.get(id);
    if (before?.building === building && before.color === color) return;
    const drawn = before?.drawn ?? this.#drawn(id);
    this.#shapes.set(id, { drawn, building, color });
    drawn.setStyle(this.#style(id));
    if (before?.building !== building) drawn.setLatLngs(shape(building.polygons).map((polygon) => polygon.map(turned)));
    if (!before) drawn.addTo(this.map);
  }

  remove(id) {
    this.#shapes.get(id)?.drawn.remove();
    this.#shapes.delete(id);
  }

  // Shows which building is chosen; null: none.
  choose(id) {
    const before = this.#chosen;
    this.#chosen = id;
    for (const one of [before, id]) this.#shapes.get(one)?.drawn.setStyle(this.#style(one));
    this.#shapes.get(id)?.drawn.bringToFront();
  }

  // Moves the map to where a shape is seen.
  show(found) {
    const [west, south, east, north] = bounds(found);
    const seen = L.latLngBounds([[south, west], [north, east]]);
    if (!this.map.getBounds().contains(seen)) this.map.fitBounds(seen.pad(1), { maxZoom: Math.max(0, this.map.getZoom()) });
  }

  // Whether a click gives a point to the drawing.
  draw(drawing) {
    this.#drawing = drawing;
    this.element.classList.toggle("drawing", drawing);
  }

  // Shows a shape that is not sent yet; `dots` are its corners.
  preview(found, dots, stakeholder) {
    this.#draft.clearLayers();
    const color = colorOf(stakeholder);
    const style = { color: LINE, weight: 3, dashArray: "6 6", fillColor: color, fillOpacity: 0.4, interactive: false };
    for (const polygon of found) L.polygon(polygon.map(turned), style).addTo(this.#draft);
    for (const dot of turned(dots)) {
      L.circleMarker(dot, { radius: 5, color: LINE, weight: 3, fillColor: "#ffffff", fillOpacity: 1, interactive: false }).addTo(this.#draft);
    }
  }

  // A point as round as the scale lets anybody draw: a step is one or two pixels.
  #point({ lat, lng }) {
    const round = Math.max(step(2 ** -this.map.getZoom()), 0.1);
    const within = (value) => tidy(Math.min(Math.max(Math.round(value / round) * round, 0), this.sizeM));
    return [within(lng), within(lat)];
  }

  #style(id) {
    const chosen = id === this.#chosen;
    return { color: LINE, weight: chosen ? 5 : this.#weight, fillColor: this.#shapes.get(id).color, fillOpacity: chosen ? 0.9 : 0.6 };
  }

  #drawn(id) {
    const made = L.polygon([], { smoothFactor: 0.5 });
    made.on("click", () => this.pick(id));
    return made.bindTooltip(() => this.#label(id), { sticky: true });
  }

  #label(id) {
    const label = document.createElement("span");
    label.textContent = nameOf(this.#shapes.get(id).building);
    return label;
  }

  // reset: else Leaflet pans there by whole pixels, and the middle of the map would be beside the middle of what is seen.
  #fit() {
    this.map.setMinZoom(-8);
    this.map.fitBounds(this.edge, { animate: false, reset: true });
    this.map.setMinZoom(this.map.getZoom() - 1);
    this.#fitted = this.#view();
  }

  // Lines that are wider than a building would hide it.
  #weigh() {
    const weight = Math.min(Math.max(2 ** this.map.getZoom() * 2, 0.25), 2);
    if (weight === this.#weight) return;
    this.#weight = weight;
    for (const [id, { drawn }] of this.#shapes) drawn.setStyle(this.#style(id));
  }

  #view() { return `${this.map.getZoom()} ${this.map.getCenter()}`; }

  // Who sees the whole map goes on to see it; who has moved it keeps the middle.
  #resize() {
    const whole = this.#view() === this.#fitted;
    this.map.invalidateSize({ animate: false });
    if (whole) this.#fit();
  }
}
