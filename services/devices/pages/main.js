// Which view is shown: the form for a token, the list of devices, or one device. The address says which device; the token, what may be seen.
import { Refused, call, explain, forget, known, root, use } from "./api.js";
import { DeviceView } from "./device.js";
import { ListView, devices } from "./list.js";

const place = document.getElementById("view");
const leave = document.getElementById("forget");
const A_DEVICE_TOKEN = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const BRAND = document.title.split(" – ").at(-1);

let shown = null;
let account = null; // whether the token sees more than one device: null while nobody has asked
let ofDevice = false; // whether the token looks like a device's
let turn = new AbortController();
let path = location.pathname; // of the view that is shown

function clone(name, title) {
  shown?.stop();
  shown = null;
  place.replaceChildren(document.getElementById(name).content.cloneNode(true));
  document.title = `${title} – ${BRAND}`;
  leave.hidden = !known();
  return place;
}

const arrive = () => place.querySelector("h1").focus();
const wanted = () => /^view\/([0-9a-f]{24})$/.exec(location.pathname.slice(root.length))?.[1] ?? null;

function form(message = "") {
  forget();
  account = null;
  turn.abort();
  const view = clone("form-view", "See your devices");
  const field = view.querySelector("input");
  const told = view.querySelector('[data-role="message"]');
  told.textContent = message;
  view.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const token = field.value.trim();
    if (!/^[\x21-\x7e]+$/.test(token)) {
      told.textContent = "This is not a token: it has a blank or a letter that no token has.";
      return field.focus();
    }
    const button = view.querySelector("button");
    use(token);
    ofDevice = A_DEVICE_TOKEN.test(token);
    button.disabled = true;
    told.textContent = "";
    try {
      await go();
    } catch (error) {
      if (error.status === 404) return failed(error);
      forget();
      told.textContent = explain(error);
      field.focus();
    } finally {
      button.disabled = false;
    }
  });
  if (message) field.focus();
}

// A token that is refused is of no use for anything else.
const onDenied = (error) => form(explain(error));

function list(first) {
  const view = clone("list-view", "Your devices");
  shown = new ListView(view, { first, onDenied });
  shown.start();
  arrive();
}

function device(found, path) {
  const view = clone("device-view", found.name);
  shown = new DeviceView(view, found, path, { back: account, onDenied });
  shown.start();
  arrive();
}

// What a token of a device sees, wherever the address leads: its own device.
async function own(signal) {
  const { result } = await call("info", {}, { signal });
  account = false;
  const address = new URL(`${root}view/${result.id}`, location.href);
  if (wanted() === result.id) address.search = location.search;
  history.replaceState(history.state, "", address);
  device(result, "");
}

// What an account's token sees: the device that the address names, or the list.
async function any(signal) {
  const id = wanted();
  if (id) {
    const { result } = await call(`device/${id}`, {}, { signal });
    account = true;
    device(result, `device/${id}/`);
  } else {
    const first = await devices("", 1, signal);
    account = true;
    list(first);
  }
}

// Shows what the address says. Nobody says what kind a token is: its form lets guess, and a refusal is a reason to try the other. Raises
// Refused, Away.
async function go() {
  turn.abort();
  const { signal } = turn = new AbortController();
  const [first, second] = account ?? !ofDevice ? [any, own] : [own, any];
  try {
    try {
      await first(signal);
    } catch (error) {
      if (!(error instanceof Refused && error.status === 403 && account === null)) throw error;
      await second(signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error; // somebody has gone on to another place
  }
}

// As `go`, for a person who is here already: an error is told where they are.
async function move() {
  try {
    await go();
  } catch (error) {
    if (error.status === 401) return onDenied(error);
    failed(error);
  }
}

function failed(error) {
  const view = clone("failed-view", "Not shown");
  view.querySelector('[data-role="message"]').textContent = error.status === 404
    ? "There is no such device, or it is another account's."
    : explain(error);
  view.querySelector("button").addEventListener("click", move);
  arrive();
}

// Links inside the page keep the document, and with it the token.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const inside = link.origin === location.origin && (link.pathname === root || link.pathname.startsWith(`${root}view/`));
  if (!inside || link.hash || !known()) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  path = location.pathname;
  move();
});

window.addEventListener("popstate", () => {
  const same = location.pathname === path; // a jump within the page
  path = location.pathname;
  if (!same && known()) move();
});

leave.addEventListener("click", () => {
  form();
  place.querySelector("input").focus();
});

form();
