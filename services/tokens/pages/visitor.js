// A visitor: asks for a turn, chooses three words, follows the queue to the token. Uses the public API alone.
import { root, show } from "./token.js";

const WORDS = [
  "care", "future", "water", "forest", "soil", "wind", "sun", "ice", "ocean", "river", "bees", "seeds",
  "repair", "share", "justice", "courage", "rest", "listen", "together", "slow", "enough", "home", "hope", "change",
];
const PAUSE_MS = 2000;

const element = (id) => document.getElementById(id);
const message = element("message");
const told = element("told");
const leaving = element("leaving");
let turn = read("turn"); // { id, color, since, deposited }

function read(name) {
  try {
    return JSON.parse(sessionStorage.getItem(`tokens-${name}`));
  } catch {
    return null;
  }
}

function keep(name, value) {
  if (value === null) sessionStorage.removeItem(`tokens-${name}`);
  else sessionStorage.setItem(`tokens-${name}`, JSON.stringify(value));
}

// A pass in the address's fragment is sent to no server; it is taken out of the address at once. Says whether there was one.
function passFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return false;
  keep("pass", given);
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

class Refused extends Error {
  constructor(status, text, pause) {
    super(text);
    this.status = status;
    this.pause = pause;
  }
}

async function call(path, parameters = {}, method = "GET", signal = undefined) {
  const query = new URLSearchParams(parameters);
  const headers = { Authorization: `Bearer ${read("pass")}` };
  const answer = await fetch(`${root}${path}?${query}`, { method, headers, signal, cache: "no-store" });
  const text = await answer.text();
  if (answer.ok) return text ? JSON.parse(text) : null;
  let reason = "";
  try {
    reason = JSON.parse(text).error;
  } catch { /* a time-out has no body */ }
  throw new Refused(answer.status, reason, Number(answer.headers.get("Retry-After")) * 1000 || PAUSE_MS);
}

function step(name) {
  for (const section of document.querySelectorAll("[data-step]")) section.hidden = section.dataset.step !== name;
  leaving.hidden = true;
  if (turn?.color) document.documentElement.style.setProperty("--mine", turn.color);
  document.querySelector(`[data-step="${name}"] h2[tabindex]`)?.focus();
}

function explain(error) {
  const known = {
    "queue limit reached": "The queue is full. Try again in a few minutes.",
    "expired": "Too much time has passed. Ask for a new turn.",
    "not found": "This turn is no longer known. Ask for a new one.",
    "token expired": "This pass has expired.",
    "subject expired": "This pass has expired.",
    "token not yet active": "This pass is not valid yet.",
    "wrong subject": "This pass is for something else.",
    "invalid auth": "This pass is not valid.",
  };
  message.textContent = error instanceof Refused
    ? known[error.message] || `The service answered ${error.status} ${error.message}`
    : "The service cannot be reached. Try again.";
  if (error.status === 401 || error.status === 403) {
    keep("pass", null);
    step("key");
  } else if (["expired", "not found"].includes(error.message)) {
    forgetTurn();
  }
}

function forgetTurn() {
  turn = null;
  keep("turn", null);
  for (const box of document.querySelectorAll("#words input")) Object.assign(box, { checked: false, disabled: false });
  count();
  step("ask");
}

async function attempt(button, work) {
  button.disabled = true;
  message.textContent = "";
  told.textContent = "";
  try {
    await work();
  } catch (error) {
    explain(error);
  } finally {
    button.disabled = false;
    count();
  }
}

function chosen() {
  return [...document.querySelectorAll("#words input:checked")].map((box) => box.value);
}

function count() {
  const number = chosen().length;
  element("chosen").textContent = `${number} of 3 chosen`;
  element("send").disabled = number !== 3;
  for (const box of document.querySelectorAll("#words input")) box.disabled = number === 3 && !box.checked;
}

// How long it takes from here, as the last turns did. Nothing is promised: "about", or that nobody knows.
async function estimate(position) {
  let text = "";
  if (position > 0) {
    try {
      const { seconds_per_turn: seconds } = await call("queue_pace");
      text = seconds === null ? "How long it takes is not known yet." : `Your token will be ready in ${about(position * seconds)}.`;
    } catch { /* the place in the queue says enough */ }
  }
  element("estimate").textContent = text;
}

function about(seconds) {
  if (seconds < 45) return "less than a minute";
  const minutes = Math.round(seconds / 60);
  if (minutes <= 1) return "about a minute";
  return minutes < 90 ? `about ${minutes} minutes` : `about ${Math.round(minutes / 60)} hours`;
}

let following = new AbortController();

async function follow() {
  const mine = turn;
  following.abort(); // one follows at a time
  following = new AbortController();
  const { signal } = following;
  let position = 0;
  element("position").textContent = "Your words are on their way to the installation…";
  element("estimate").textContent = "";
  step("follow");
  while (!signal.aborted) {
    try {
      const update = await call("interaction_updates", mine.since ? { id: mine.id, since: mine.since } : { id: mine.id }, "GET", signal);
      if (signal.aborted) return;
      message.textContent = "";
      mine.since = update.seq;
      keep("turn", mine);
      if (update.token_id) return await finish(update.token_id);
      position = update.queue_position;
      element("position").textContent = position === 0 ? "Your token is being drawn." : `Place ${position} in the queue`;
      await estimate(position);
    } catch (error) {
      if (signal.aborted) return; // leaving
      if (error instanceof Refused && error.status < 500) return explain(error);
      if (error.status === 504) { // nothing new in a minute, but others may have been served
        await estimate(position);
        continue;
      }
      message.textContent = "The connection is interrupted; trying again…";
      await new Promise((resume) => setTimeout(resume, error.pause || PAUSE_MS));
    }
  }
}

async function finish(id) {
  const token = await call("token", { id });
  show(token, element("picture"), element("svg"), element("png"));
  element("caption").textContent = token.keywords.join(", ");
  step("done");
  turn = null;
  keep("turn", null);
}

for (const word of WORDS) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox", name: "word", value: word });
  label.append(box, word);
  element("words").append(label);
}

element("words").addEventListener("change", count);
element("key").addEventListener("submit", (event) => {
  event.preventDefault();
  keep("pass", element("pass").value.trim());
  element("pass").value = "";
  message.textContent = "";
  begin();
});
element("ask").addEventListener("click", (event) => attempt(event.currentTarget, async () => {
  turn = await call("request_interaction", {}, "POST");
  keep("turn", turn);
  step("choose");
}));
element("choose").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(element("send"), async () => {
    await call("deposit_interaction", { id: turn.id, keywords: chosen().join(",") }, "POST");
    turn.deposited = true;
    keep("turn", turn);
    follow();
  });
});
element("forget").addEventListener("click", () => {
  keep("pass", null);
  step("key");
  element("pass").focus();
});
element("again").addEventListener("click", forgetTurn);
for (const button of document.querySelectorAll("[data-leave]")) {
  button.addEventListener("click", () => {
    leaving.hidden = false;
    leaving.querySelector("h2").focus();
  });
}
element("stay").addEventListener("click", () => {
  leaving.hidden = true;
  document.querySelector("[data-step]:not([hidden]) [data-leave]")?.focus();
});
element("leave").addEventListener("click", (event) => attempt(event.currentTarget, async () => {
  following.abort();
  try {
    await call("leave_interaction", { id: turn.id }, "POST");
  } catch (error) {
    if (error.message !== "not found") { // not there any more: left, as was wanted
      if (turn.deposited) follow(); // the token was quicker, or the service cannot be reached
      if (error.message === "already done") return;
      throw error;
    }
  }
  forgetTurn();
  told.textContent = "You gave up your turn. Your place is free for the next visitor.";
  element("ask").focus();
}));
window.addEventListener("hashchange", () => { if (passFromAddress()) begin(); }); // not when somebody skips to the content

function begin() {
  if (!read("pass")) step("key");
  else if (turn?.deposited) {
    delete turn.since; // the page was loaded again: ask for the newest state, whenever it came
    follow();
  }
  else if (turn) step("choose");
  else step("ask");
}

passFromAddress();
count();
begin();
