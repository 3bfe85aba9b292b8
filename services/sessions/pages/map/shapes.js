// Shapes on the map: corners are [x, y] in metres from the south-west corner. A shape is a list of polygons, each a list of rings, as in a
// GeoJSON MultiPolygon.
const A_NUMBER = /-?(?:\d+\.?\d*|\.\d+)/g;

// The corners that a text names, such as `10 10, 60 10, 60 50`: all numbers, two by two. Raises Error with what is wrong.
export function read(text) {
  const rest = text.replace(A_NUMBER, "").match(/[^\s,;()[\]]/);
  if (rest) throw new Error(`“${rest[0]}” does not belong in a list of corners. Write x and y of each corner, such as 10 10, 60 10, 60 50.`);
  const numbers = (text.match(A_NUMBER) ?? []).map(Number);
  if (numbers.length % 2) throw new Error("The last corner has no y.");
  const corners = [];
  for (let place = 0; place < numbers.length; place += 2) corners.push([numbers[place], numbers[place + 1]]);
  return corners;
}

export const write = (corners) => corners.map(([x, y]) => `${x} ${y}`).join(", ");

// A shape's rings are closed in GeoJSON: the last corner is the first one again. People write it once.
export const closed = (corners) => [...corners, corners[0]];
export function open(ring) {
  const [first, last] = [ring[0], ring.at(-1)];
  return ring.length > 1 && first[0] === last[0] && first[1] === last[1] ? ring.slice(0, -1) : ring;
}

// The shape of a GeoJSON geometry; empty when it is none.
export function shape(geometry) {
  if (geometry?.type === "MultiPolygon") return geometry.coordinates;
  return geometry?.type === "Polygon" ? [geometry.coordinates] : [];
}

// The GeoJSON geometry of a shape.
export function geometry(shape) {
  return shape.length === 1 ? { type: "Polygon", coordinates: shape[0] } : { type: "MultiPolygon", coordinates: shape };
}

// Square metres.
export function area(shape) {
  let sum = 0;
  for (const polygon of shape) for (const [place, ring] of polygon.entries()) sum += place === 0 ? ringArea(ring) : -ringArea(ring);
  return sum;
}

function ringArea(ring) {
  let twice = 0;
  for (let place = 0; place < ring.length; place += 1) {
    const [x, y] = ring[place];
    const [nextX, nextY] = ring[(place + 1) % ring.length];
    twice += x * nextY - nextX * y;
  }
  return Math.abs(twice) / 2;
}

// [west, south, east, north]
export function bounds(shape) {
  const found = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of shape.flat(2)) {
    found[0] = Math.min(found[0], x);
    found[1] = Math.min(found[1], y);
    found[2] = Math.max(found[2], x);
    found[3] = Math.max(found[3], y);
  }
  return found;
}

// Tenths of a metre are as exact as anybody draws.
export const tidy = (value) => Math.round(value * 10) / 10 || 0;

// The shape with its middle at a point, or as near as the map's edges let it.
export function movedTo(shape, [x, y], sizeM) {
  const [west, south, east, north] = bounds(shape);
  const within = (wanted, low, high) => Math.min(Math.max(wanted, -low), sizeM - high);
  const byX = within(x - (west + east) / 2, west, east);
  const byY = within(y - (south + north) / 2, south, north);
  const moved = (value, by) => Math.min(Math.max(tidy(value + by), 0), sizeM);
  return shape.map((polygon) => polygon.map((ring) => ring.map((corner) => [moved(corner[0], byX), moved(corner[1], byY)])));
}
