// What the page's address says after `#`: where the map is, which layers are on, which node is chosen. A link shows the same to others.

let known = null; // what the address said when it was last read or written; another one is a link that is followed in a moment

// {view: {zoom, lat, lon} or null, layers: text or null, node: cdk_id or null}
export function read() {
  known = location.hash;
  const given = new URLSearchParams(location.hash.slice(1));
  const [zoom, lat, lon] = (given.get("map") ?? "").split("/").map(Number.parseFloat);
  const good = zoom >= 0 && zoom <= 20 && Math.abs(lat) <= 90 && Math.abs(lon) <= 180;
  return { view: good ? { zoom, lat, lon } : null, layers: given.get("layers"), node: given.get("node") || null };
}

// Writes it without a step in the browser's history.
export function write({ view: { zoom, lat, lon }, layers, node }) {
  const parts = [["map", `${zoom}/${lat.toFixed(5)}/${lon.toFixed(5)}`], ["layers", layers], ["node", node]];
  const text = parts.filter(([, value]) => value !== null).map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2F", "/").replaceAll("%2C", ",")}`).join("&");
  if (location.hash !== known) return;
  if (`#${text}` !== known) history.replaceState(null, "", `#${text}`);
  known = location.hash;
}
