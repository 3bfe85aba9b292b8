// What the page's address says after `#`: where the map is, which layers are on, which node is chosen. A link shows the same to others.

// {view: {zoom, lat, lon} or null, layers: text or null, node: cdk_id or null}
export function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  const [zoom, lat, lon] = (given.get("map") ?? "").split("/").map(Number.parseFloat);
  const good = zoom >= 0 && zoom <= 20 && Math.abs(lat) <= 90 && Math.abs(lon) <= 180;
  return { view: good ? { zoom, lat, lon } : null, layers: given.get("layers"), node: given.get("node") || null };
}

// Writes it without a step in the browser's history. Says whether it has changed.
export function write({ view: { zoom, lat, lon }, layers, node }) {
  const parts = [["map", `${zoom}/${lat.toFixed(5)}/${lon.toFixed(5)}`], ["layers", layers], ["node", node]];
  const text = parts.filter(([, value]) => value !== null).map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2F", "/").replaceAll("%2C", ",")}`).join("&");
  if (`#${text}` !== location.hash) history.replaceState(null, "", `#${text}`);
}
