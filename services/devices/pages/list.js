// The list of an account's devices, with search by name or id.
import { call, explain, root } from "./api.js";
import { labels } from "./labels.js";
import { refreshTimes, timeElement } from "./values.js";

const PAGE = 50;
const TYPING_MS = 250;
const FIELDS = ["id", "name", "type", "active", "last_input", "tags"];
const AN_ID = /^[0-9a-f]{24}$/;
const entry = document.getElementById("device-entry");

// Asks for a page of devices. Raises Refused, Away.
export async function devices(search, page, signal) {
  const text = search.trim();
  const filter = AN_ID.test(text) ? { "filter[id]": text } : text ? { "filter[name]": `*${text}*` } : {};
  const { result } = await call("device", { page, amount: PAGE, fields: FIELDS, orderBy: "name,asc", ...filter }, { signal });
  return result;
}

export class ListView {
  #asked = new AbortController();
  #page = 0;
  #typing = 0;

  // first: devices that have been asked for already, without a search.
  constructor(view, { first, onDenied }) {
    this.view = view;
    this.first = first;
    this.onDenied = onDenied;
    this.part = (role) => view.querySelector(`[data-role="${role}"]`);
    this.search = view.querySelector("#search");
    this.search.value = new URLSearchParams(location.search).get("search") ?? "";
    this.search.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#begin(), TYPING_MS);
    });
    view.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#begin();
    });
    this.part("more").addEventListener("click", () => this.#more());
    this.part("again").addEventListener("click", () => this.#load());
  }

  start() {
    this.timer = setInterval(() => refreshTimes(this.view), 10_000);
    if (this.first && !this.search.value) this.#show(this.first);
    else this.#begin();
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.#typing);
    this.#asked.abort();
  }

  #begin() {
    clearTimeout(this.#typing);
    const address = new URL(location.href);
    if (this.search.value) address.searchParams.set("search", this.search.value);
    else address.searchParams.delete("search");
    history.replaceState(history.state, "", address);
    this.#page = 0;
    this.#load();
  }

  async #more() {
    const list = this.part("devices");
    const before = list.childElementCount;
    await this.#load();
    (list.children[before]?.querySelector("a") ?? this.search).focus();
  }

  async #load() {
    this.#asked.abort();
    const { signal } = this.#asked = new AbortController();
    this.part("message").textContent = "";
    this.part("again").hidden = true;
    try {
      const found = await devices(this.search.value, this.#page + 1, signal);
      if (!signal.aborted) this.#show(found);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) return this.onDenied(error);
      this.part("found").textContent = "";
      this.part("message").textContent = explain(error);
      this.part("again").hidden = false;
    }
  }

  #show(found) {
    this.#page += 1;
    const list = this.part("devices");
    if (this.#page === 1) list.replaceChildren();
    list.append(...found.map(item));
    this.part("more").hidden = found.length < PAGE;
    this.part("found").textContent = counted(list.childElementCount, found.length === PAGE, this.search.value.trim());
  }
}

function counted(count, more, search) {
  if (count === 0) return search ? `No device is named like “${search}”.` : "You have no devices yet.";
  const text = more ? `The first ${count} devices` : count === 1 ? "1 device" : `${count} devices`;
  return search ? `${text} named like “${search}”` : `${text}, by name`;
}

function item(device) {
  const element = entry.content.firstElementChild.cloneNode(true);
  const link = element.querySelector("a");
  link.textContent = device.name;
  link.href = `${root}view/${encodeURIComponent(device.id)}`;
  element.querySelector(".id").textContent = device.id;
  element.querySelector(".labels").append(...labels(device));
  const last = element.querySelector(".last");
  if (device.last_input) last.append("last data ", timeElement(Date.parse(device.last_input)));
  else last.textContent = "no data yet";
  return element;
}
