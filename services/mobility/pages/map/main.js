// The page: it follows the map, and brings the lists beside it up to date.
import { Away, explain } from "./api.js";
import { Board } from "./board.js";
import { copy, part, role, tell } from "./elements.js";
import { draw, fill } from "./entries.js";
import { Layers } from "./layers.js";
import { Loader } from "./loader.js";
import { Details } from "./node.js";
import * as place from "./place.js";
import { Search } from "./search.js";

const SETTLED_MS = 250; // the map has come to rest
const SLOW_MS = 700;
const VERY_SLOW_MS = 6000;
const LISTED = 100;
const SIGNS = [["node", "point", "Node"], ["ptstop", "point", "Stop"], ["route", "line", "Route"], ["ptline", "line", "Public transport line"], ["node", "line", "Way"], ["node", "area", "Area"]];

let resting = null;
let slow = [];
let more = false;
let begun = false;
let listing = false;

function state(text) { tell(part("state"), text); }

function failed(error) {
  for (const timer of slow) clearTimeout(timer);
  part("failed").hidden = !error;
  tell(part("failed-text"), error ? explain(error) : "");
}

// The list of what is in sight, and the address of the page.
function show() {
  const nodes = board.inSight();
  fill(part("list"), nodes.slice(0, LISTED), { chosen: details.id, pick: (node) => choose(node, "list") });
  const rest = nodes.length > LISTED ? ` The ${LISTED} nearest to the middle are listed.` : "";
  tell(part("list-count"), `${count(nodes.length)}.${rest}`);
  search.show(details.id);
  remember();
  return nodes.length;
}

const count = (number) => (number === 1 ? "1 node" : `${number.toLocaleString("en")} nodes`);

function remember() {
  if (begun) place.write({ view: board.view(), layers: layers.chosen, node: details.id });
}

function settled() {
  const number = show();
  const none = layers.query() === null ? "All layers are off." : "There is nothing here. Move the map or zoom out.";
  state(more ? `${count(number)} in sight are shown; there are more. Zoom in to see all.` : number ? `${count(number)} in sight.` : none);
}

async function load() {
  clearTimeout(resting);
  if (!layers.loaded) list();
  if (loader.known(layers.query())) return settled();
  failed(null);
  slow = [[SLOW_MS, "Loading…"], [VERY_SLOW_MS, "Still loading. The service is slow."]].map(([ms, text]) => setTimeout(state, ms, text));
  try {
    await loader.load(layers.query());
  } catch (error) {
    failed(error);
    state("What is shown may not be all.");
    show();
    if (!(error instanceof Away) && error.status === undefined) throw error;
  }
}

function choose(node, from) {
  details.open(node, { focus: true });
  board.choose(node.cdk_id);
  if (from !== "map") board.show(node.geom);
  show();
}

const board = new Board(part("map"), {
  pick: (node) => choose(node, "map"),
  moved: () => {
    if (!begun) return;
    clearTimeout(resting);
    resting = setTimeout(load, SETTLED_MS);
    remember();
  },
});
const loader = new Loader(board, {
  nodes: (nodes) => { board.put(nodes); show(); },
  whole: (ids, others) => {
    for (const timer of slow) clearTimeout(timer);
    board.keep(ids);
    more = others;
    settled();
  },
});
const layers = new Layers({ changed: load, go: (box) => board.fit(box) });
const details = new Details({
  show: (geometry) => board.show(geometry, true),
  loaded: (node) => { board.add(node); show(); if (!begun) board.show(node.geom, true); },
  closed: () => {
    const id = details.id;
    details.close();
    board.choose(null);
    show();
    (part("list").querySelector(`[data-id="${CSS.escape(id)}"] button`) ?? part("words")).focus();
  },
});
const search = new Search(board, {
  pick: (node) => choose(node, "search"),
  layers: () => layers.query(),
  go: ({ lat, lon }) => board.look({ zoom: Math.max(board.view().zoom, 15), lat, lon }),
  found: show,
});

// Brings the page to what its address says. first: nothing was shown before.
async function follow(first) {
  const { view, layers: chosen, node } = place.read();
  begun = false; // what is half done is not written
  layers.chosen = chosen;
  if (view) board.look(view);
  else if (first) board.fit(layers.box());
  if (node && node !== details.id) {
    board.choose(node);
    const opened = details.open({ cdk_id: node });
    if (first && !view) await opened;
  } else if (!node && details.id) {
    details.close();
    board.choose(null);
  }
  begun = true;
  await load();
}

async function start() {
  for (const [type, kind, words] of SIGNS) {
    const element = copy("sign-entry");
    draw(element, type, kind);
    tell(role(element, "about"), words);
    document.querySelector(".legend").append(element);
  }
  await list();
  await follow(true);
}

// Lists the layers; where that fails, it is tried again whenever the map loads something.
async function list() {
  if (listing) return;
  listing = true;
  try {
    await layers.load();
    tell(part("layers-message"), "");
  } catch (error) {
    tell(part("layers-message"), `The layers could not be listed. ${explain(error)}`);
  } finally {
    listing = false;
  }
}

part("layout").hidden = false;
part("again").addEventListener("click", load);
window.addEventListener("online", () => { if (!part("failed").hidden || !layers.loaded) load(); });
window.addEventListener("hashchange", () => follow(false));
start();
