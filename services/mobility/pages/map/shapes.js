// Geometries and signs. The form of a sign tells the type of a node, not its colour alone.
export const TYPES = { node: "Node", route: "Route", ptstop: "Stop", ptline: "Public transport line" };
export const RADIUS = 6; // pixels
const FORMS = { ptstop: [[-6, -6], [6, -6], [6, 6], [-6, 6]], route: [[0, -8], [8, 0], [0, 8], [-8, 0]], ptline: [[0, -7], [8, 6], [-8, 6]] };
const LINE = "M-9,5L-3,-4L3,4L9,-5";
const AREA = "M-9,-6L7,-8L9,7L-6,8z";

export const type = (node) => (node.node_type in TYPES ? node.node_type : "node");
export const nameOf = (node) => node.name || node.cdk_id;

// How a node is drawn. What goes through points has the points for its geometry, in their order: it is drawn as a line through them.
export function geometry({ node_type: type, geom }) {
  const through = geom?.type === "MultiPoint" && (type === "route" || type === "ptline");
  return through ? { type: "LineString", coordinates: geom.coordinates } : geom;
}

// "point", "line" or "area"; null for what has no geometry.
export function kind(node) {
  const name = String(geometry(node)?.type ?? "").replace("Multi", "");
  return { Point: "point", LineString: "line", Polygon: "area" }[name] ?? null;
}

// How the sign of a node looks: the path and the classes of its element.
export function sign(type, kind) {
  return { path: { line: LINE, area: AREA }[kind] ?? pointPath(type), classes: classes(type, kind) };
}
export const classes = (type, kind) => `shape ${kind ?? "point"} is-${type}`;

// The path of a point's sign around a place, in pixels.
export function pointPath(type, x = 0, y = 0) {
  const form = FORMS[type];
  if (form) return `M${form.map(([right, down]) => `${x + right},${y + down}`).join("L")}z`;
  return `M${x - RADIUS},${y}a${RADIUS},${RADIUS} 0 1,0 ${2 * RADIUS},0a${RADIUS},${RADIUS} 0 1,0 ${-2 * RADIUS},0z`;
}

// [south, west, north, east] in degrees; null when there are no coordinates.
export function box(geometry) {
  const found = [Infinity, Infinity, -Infinity, -Infinity];
  const visit = (value) => {
    if (!Array.isArray(value)) return;
    if (!Number.isFinite(value[0])) return value.forEach(visit);
    const [lon, lat] = value;
    found[0] = Math.min(found[0], lat);
    found[1] = Math.min(found[1], lon);
    found[2] = Math.max(found[2], lat);
    found[3] = Math.max(found[3], lon);
  };
  visit(geometry?.coordinates);
  return found.every(Number.isFinite) ? found : null;
}

export const corners = ([south, west, north, east]) => [[south, west], [north, east]];

// What a node is, in words. what: also its kind when the type does not say it.
export function about(node) {
  const name = TYPES[type(node)];
  const found = kind(node);
  return type(node) === "node" && found !== "point" ? { line: "Way", area: "Area" }[found] ?? name : name;
}
