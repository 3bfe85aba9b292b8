// The map: a plain ground with lines of latitude and longitude, or tiles; the nodes upon it, areas below lines below points.
import { Grid } from "./grid.js";
import { RADIUS, box, classes, corners, geometry, kind, nameOf, pointPath, type } from "./shapes.js";

const L = window.L;
const STILL = matchMedia("(prefers-reduced-motion: reduce)").matches;
const WORLD = L.latLngBounds([[-85.05, -180], [85.05, 180]]);
const NEAR_PX = 14; // a click this near to a point or a line means it
const ANIMATE = { zoomAnimation: !STILL, fadeAnimation: !STILL, markerZoomAnimation: !STILL, inertia: !STILL };

// A point of any form, of the same size at any scale.
const Sign = L.CircleMarker.extend({
  _updatePath() {
    this._renderer._setPath(this, this._empty() ? "M0 0" : pointPath(this.options.type, this._point.x, this._point.y));
  },
});

export class Board {
  #shapes = new Map(); // cdk_id → {node, drawn, kind, seen, extra}
  #chosen = null;
  #renderers = {};
  #zooming = false;
  #wanted = null; // the view that was last asked for

  // on: {pick(node), moved()}.
  constructor(element, on) {
    this.map = L.map(element, { attributionControl: false, maxBounds: WORLD.pad(0.1), minZoom: 1, maxZoom: 20, trackResize: false, ...ANIMATE });
    for (const [place, name] of ["area", "line", "point"].entries()) {
      this.map.createPane(name).style.zIndex = 410 + place;
      this.#renderers[name] = L.svg({ pane: name, padding: 0.3 });
    }
    L.control.scale({ imperial: false }).addTo(this.map);
    this.map.on("click", ({ latlng }) => this.#click(latlng, on.pick));
    this.map.on("moveend", on.moved);
    this.map.on("zoomstart zoomend", (event) => { this.#zooming = event.type === "zoomstart"; });
    new ResizeObserver(() => this.map.invalidateSize({ animate: false })).observe(element);
    const { tiles } = element.dataset;
    element.classList.toggle("tiled", Boolean(tiles));
    // The page tells nobody where it was; servers of tiles may ask for the site.
    if (tiles) L.tileLayer(tiles, { maxZoom: 20, maxNativeZoom: 19, noWrap: true, bounds: WORLD, referrerPolicy: "origin" }).addTo(this.map);
    else new Grid(this.map);
  }

  // Goes to a view. While Leaflet animates a zoom it ignores such a call.
  look(view) {
    const { zoom, lat, lon } = this.#wanted = view;
    const go = () => { if (this.#wanted === view) this.map.setView([lat, lon], zoom, { animate: false }); };
    if (this.#zooming) this.map.once("zoomend", go);
    else go();
  }

  view() {
    const { lat, lng } = this.map.getCenter(); // of a small world it may be beside it
    return { zoom: this.map.getZoom(), lat: within(lat, 90), lon: within(lng, 180) };
  }

  // The box in sight; pad: how much more on each side, as a part of it.
  box(pad = 0) {
    const seen = this.map.getBounds().pad(pad);
    return [within(seen.getSouth(), 90), within(seen.getWest(), 180), within(seen.getNorth(), 90), within(seen.getEast(), 180)];
  }

  // Metres from the middle to a corner.
  radius() { return Math.ceil(this.map.distance(this.map.getCenter(), this.map.getBounds().getNorthEast())); }

  // Moves to where a geometry is seen, if it is not yet. near: also closer. The zoom is not animated: that would begin with the next frame,
  // and undo what `look` did meanwhile.
  show(geometry, near = false) {
    const found = box(geometry);
    if (!found) return;
    const seen = L.latLngBounds(corners(found));
    const lost = !this.map.getBounds().contains(seen.getCenter()) || seen.contains(this.map.getBounds());
    if (!near && !lost) return;
    const maxZoom = Math.max(near ? 16 : 3, this.map.getZoom());
    this.map.fitBounds(seen, { maxZoom, padding: [24, 24], zoom: { animate: false }, pan: { animate: !STILL } });
  }

  fit(found) { this.map.fitBounds(found ? corners(found) : WORLD, { maxZoom: 15, animate: false }); }

  put(nodes) {
    for (const node of nodes) {
      const before = this.#shapes.get(node.cdk_id);
      const same = before && JSON.stringify(before.node.geom) === JSON.stringify(node.geom) && before.node.node_type === node.node_type;
      if (same) Object.assign(before, { node, extra: false });
      else this.#draw(node, before);
    }
  }

  // Puts the chosen node there as long as it is chosen, whatever else is shown.
  add(node) {
    if (this.#shapes.has(node.cdk_id)) return;
    this.#draw(node);
    this.#shapes.get(node.cdk_id).extra = true;
  }

  // Takes away all that is not among these.
  keep(ids) {
    for (const [id, { extra }] of this.#shapes) if (!extra && !ids.has(id)) this.#remove(id);
    const areas = [...this.#shapes.values()].filter((one) => one.drawn && one.kind === "area");
    for (const { drawn } of areas.sort((one, other) => size(other) - size(one))) drawn.bringToFront();
    if (this.#chosen !== null) this.choose(this.#chosen);
  }

  choose(id) {
    const before = this.#chosen;
    this.#chosen = id;
    if (before !== id && this.#shapes.get(before)?.extra) this.#remove(before);
    for (const one of [before, id]) this.#mark(this.#shapes.get(one)?.drawn, one === id);
  }

  // The nodes in sight, the nearest to the middle first.
  inSight() {
    const seen = this.map.getBounds();
    const middle = this.map.getCenter();
    const found = [...this.#shapes.values()].filter((one) => !one.extra && one.seen?.intersects(seen));
    const far = new Map(found.map((one) => [one, middle.distanceTo(one.seen.getCenter())]));
    return found.sort((one, other) => far.get(one) - far.get(other)).map(({ node }) => node);
  }

  #draw(node, before) {
    before?.drawn?.remove();
    const found = box(node.geom);
    const shape = { node, kind: kind(node), seen: found && L.latLngBounds(corners(found)), drawn: null };
    this.#shapes.set(node.cdk_id, shape);
    if (!found || !shape.kind) return;
    const className = classes(type(node), shape.kind);
    const options = { className, type: type(node), radius: RADIUS, renderer: this.#renderers[shape.kind], pane: shape.kind };
    shape.drawn = drawn(geometry(node), shape.kind, options).addTo(this.map);
    shape.drawn.bindTooltip(() => label(this.#shapes.get(node.cdk_id)?.node ?? node), { sticky: true });
    shape.drawn.on("click", () => { this.hit = node.cdk_id; }); // before the map's own
    if (node.cdk_id === this.#chosen) this.#mark(shape.drawn, true);
  }

  #remove(id) {
    this.#shapes.get(id).drawn?.remove();
    this.#shapes.delete(id);
  }

  #mark(drawn, chosen) {
    if (!drawn) return;
    for (const one of drawn.getLayers?.() ?? [drawn]) one.getElement()?.classList.toggle("chosen", chosen);
    if (chosen) drawn.bringToFront();
  }

  // The point that is near, or the line, or the area that was hit.
  #click(at, pick) {
    const hit = this.hit;
    this.hit = null;
    const point = this.map.latLngToLayerPoint(at);
    const near = { point: [NEAR_PX, null], line: [NEAR_PX, null] };
    for (const [id, { drawn, kind }] of this.#shapes) {
      if (!drawn || !near[kind]) continue;
      for (const one of drawn.getLayers?.() ?? [drawn]) {
        const far = kind === "point" ? point.distanceTo(this.map.latLngToLayerPoint(one.getLatLng())) : one.closestLayerPoint(point)?.distance;
        if (far <= near[kind][0]) near[kind] = [far, id];
      }
    }
    const found = near.point[1] ?? near.line[1] ?? hit;
    if (this.#shapes.has(found)) pick(this.#shapes.get(found).node);
  }
}

function drawn({ type, coordinates }, kind, options) {
  const levels = { LineString: 0, MultiLineString: 1, Polygon: 1, MultiPolygon: 2 }[type];
  if (kind === "line") return L.polyline(L.GeoJSON.coordsToLatLngs(coordinates, levels), options);
  if (kind === "area") return L.polygon(L.GeoJSON.coordsToLatLngs(coordinates, levels), options);
  const points = (type === "Point" ? [coordinates] : coordinates).map((one) => new Sign(L.GeoJSON.coordsToLatLng(one), options));
  return points.length === 1 ? points[0] : L.featureGroup(points);
}

function label(node) {
  const label = document.createElement("span");
  label.dir = "auto";
  label.textContent = nameOf(node);
  return label;
}

const within = (value, most) => Math.min(Math.max(value, -most), most);
const size = ({ seen }) => (seen.getNorth() - seen.getSouth()) * (seen.getEast() - seen.getWest());
