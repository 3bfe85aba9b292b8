// The archive: the newest tokens first, more as they come into sight. Uses GET /tokens alone.
import { shown } from "./dates.js";
import { root, show } from "./token.js";

const PAGE = 24;
const grid = document.getElementById("grid");
const more = document.getElementById("more");
const total = document.getElementById("total");
const message = document.getElementById("message");
const template = document.getElementById("token");

let next = null;
let started = false;
let loading = false;

async function load() {
  if (loading || (started && !next)) return;
  loading = true;
  more.disabled = true;
  message.textContent = "";
  const query = new URLSearchParams(next ? { start_id: next, count: PAGE } : { offset: 0, count: PAGE });
  try {
    const answer = await fetch(`${root}tokens?${query}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`the service answered ${answer.status}`);
    const page = await answer.json();
    started = true;
    next = page.next;
    page.rows.forEach(add);
    total.textContent = counted(page.total_rows);
    more.hidden = !next;
    loading = false;
    if (next) fill();
  } catch (error) {
    total.textContent = started ? total.textContent : "";
    message.textContent = `The tokens could not be loaded: ${error.message}. Try again.`;
    more.hidden = false;
    loading = false;
  } finally {
    more.disabled = false;
  }
}

function counted(total) {
  if (total === 0) return "No tokens yet.";
  return total === 1 ? "1 token" : `${total.toLocaleString("en")} tokens, the newest first`;
}

function add(token) {
  const card = template.content.cloneNode(true);
  const when = card.querySelector("time");
  card.querySelector(".words").textContent = token.keywords.join(", ");
  when.dateTime = token.generated;
  when.textContent = shown(new Date(token.generated)) ?? token.generated;
  show(token, card.querySelector("img"), card.querySelector(".svg"), card.querySelector(".png"));
  grid.append(card);
}

const NEAR = 800; // pixels below the window's edge

function fill() {
  if (more.getBoundingClientRect().top < window.innerHeight + NEAR) load();
}

new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && load(), { rootMargin: `${NEAR}px` }).observe(more);

more.addEventListener("click", async () => {
  const before = grid.childElementCount;
  await load();
  grid.children[before]?.querySelector("a")?.focus();
});

load();
