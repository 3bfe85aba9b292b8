// The page of one device: its newest values and a card for each variable, live.
import { explain, seconds } from "./api.js";
import { Card } from "./card.js";
import { csv, fileName, save } from "./csv.js";
import { labels } from "./labels.js";
import { Newest } from "./newest.js";
import { RangeForm } from "./range_form.js";
import { Range } from "./ranges.js";
import { moment, refreshTimes } from "./values.js";
import { Watch } from "./watch.js";

const TICK_MS = 10_000;
const HIDDEN_MS = 60_000; // a page that nobody sees gives its place at the service to others

export class DeviceView {
  #cards = new Map();
  #made = 0;
  #ended = new AbortController();
  #watch = null;
  #hiding = 0;

  // device: as the API describes it. path: of its data below the root, "" for a device token. back: whether there is a list to go to.
  // onDenied(error): the token is of no use any more.
  constructor(view, device, path, { back, onDenied }) {
    this.view = view;
    this.device = device;
    this.path = path;
    this.onDenied = onDenied;
    this.part = (role) => view.querySelector(`[data-role="${role}"]`);
    this.part("back").hidden = !back;
    view.querySelector("h1").textContent = device.name;
    this.part("labels").replaceChildren(...labels(device));
    this.part("id").textContent = device.id;
    this.newest = new Newest(this.part("newest"), (variable) => this.#card(variable).element.id);
    this.range = Range.read(new URLSearchParams(location.search).get("range"));
    this.ranges = new RangeForm(this.part("ranges"), this.range, (range) => this.show(range));
    this.part("all").addEventListener("click", () => this.save([...this.#cards.values()]));
    this.part("now").addEventListener("click", () => (this.#watch ? this.#watch.now() : this.#follow()));
    this.part("older").querySelector("button").addEventListener("click", () => this.#showNewest());
    this.sight = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.#cards.get(target.dataset.variable)?.seen(isIntersecting);
    }, { rootMargin: "200px" });
  }

  start() {
    const { signal } = this.#ended;
    const timer = setInterval(() => this.#tick(), TICK_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
    document.addEventListener("visibilitychange", () => this.#sight(), { signal });
    this.#follow();
  }

  stop() {
    this.#ended.abort();
    this.#watch?.stop();
    clearTimeout(this.#hiding);
    this.sight.disconnect();
    for (const card of this.#cards.values()) card.destroy();
  }

  // Shows a range: one that was chosen, or drawn in a chart.
  show(range) {
    this.range = range;
    this.ranges.show(range);
    const address = new URL(location.href);
    address.searchParams.set("range", range.written());
    history.replaceState(history.state, "", address);
    for (const card of this.#cards.values()) card.reload();
    this.#older();
  }

  // Saves what the cards show of the range, loading first what has not been in sight.
  async save(cards) {
    const told = this.part("saved");
    told.textContent = "Collecting…";
    try {
      const records = (await Promise.all(cards.map((card) => card.records()))).flat();
      const edges = this.range.edges().map((ms) => new Date(ms).toISOString().slice(0, 16).replaceAll(":", ""));
      const variable = cards.length === 1 ? [cards[0].variable] : [];
      save(fileName(this.device.name, ...variable, ...edges), csv(records));
      told.textContent = `Saved ${records.length.toLocaleString("en")} rows.`;
    } catch (error) {
      told.textContent = `Not saved: ${explain(error)}`;
    }
  }

  async #follow() {
    const watch = this.#watch = new Watch(this.path, {
      state: (state, pause) => this.#state(state, { pause }),
      all: (records) => this.#all(records),
      some: (records, fresh) => this.#some(records, fresh),
      failed: (error) => { this.part("message").textContent = explain(error); },
      refused: (error) => this.onDenied(error),
    });
    this.#state("waiting");
    const refused = await watch.run();
    if (this.#watch === watch) this.#watch = null;
    if (!refused || this.#ended.signal.aborted) return;
    if (refused.status === 401) this.onDenied(refused);
    else this.#state("stopped", { reason: explain(refused) });
  }

  #state(state, { pause, reason } = {}) {
    const sign = this.part("live");
    sign.dataset.state = state === "stopped" ? "away" : state;
    sign.textContent = {
      live: "Live: values as they come",
      waiting: "Connecting…",
      away: `Not connected. Trying again in ${seconds(pause)}.`,
      stopped: `Not live. ${reason}`,
    }[state];
    if (state === "stopped") this.part("none").textContent = "";
    this.part("now").hidden = state === "live" || state === "waiting";
  }

  #sight() {
    clearTimeout(this.#hiding);
    if (document.hidden) this.#hiding = setTimeout(() => this.#watch?.stop(), HIDDEN_MS);
    else if (!this.#watch) this.#follow();
  }

  #all(records) {
    this.part("message").textContent = "";
    this.newest.replace(records);
    this.#draw();
    for (const card of this.#cards.values()) card.reload();
  }

  #some(records, fresh) {
    this.part("message").textContent = "";
    this.newest.take(records);
    this.#draw(new Set(fresh.map(({ variable }) => variable)));
    const byVariable = new Map();
    for (const record of records) {
      if (byVariable.has(record.variable)) byVariable.get(record.variable).push(record);
      else byVariable.set(record.variable, [record]);
    }
    for (const [variable, some] of byVariable) this.#card(variable).add(some);
  }

  #draw(fresh) {
    const { variables } = this.newest;
    const empty = variables.length === 0;
    this.part("none").textContent = empty ? "This device has sent nothing yet. What it sends appears here." : "";
    this.part("none").hidden = !empty;
    this.part("newest").hidden = this.part("charts").hidden = empty;
    this.newest.draw(fresh);
    this.#arrange(variables);
    this.#older();
  }

  #card(variable) {
    let card = this.#cards.get(variable);
    if (!card) {
      card = new Card(this, variable, `variable-${this.#made += 1}`);
      card.element.dataset.variable = variable;
      this.#cards.set(variable, card);
    }
    return card;
  }

  #arrange(variables) {
    const place = this.part("cards");
    for (const [variable, card] of this.#cards) {
      if (this.newest.of(variable)) continue;
      this.sight.unobserve(card.element);
      card.destroy();
      this.#cards.delete(variable);
    }
    for (const [index, variable] of variables.entries()) {
      const { element } = this.#card(variable);
      if (place.children[index] === element) continue;
      place.insertBefore(element, place.children[index] ?? null);
      this.sight.observe(element);
    }
  }

  // Says so when all there is lies before the range.
  #older() {
    const { ms } = this.newest;
    const notice = this.part("older");
    notice.hidden = ms === 0 || ms >= this.range.edges()[0];
    notice.querySelector("span").textContent = `The newest value is of ${moment(ms)}, before this range.`;
  }

  #showNewest() {
    const { ms } = this.newest;
    this.show(new Range(null, ms - 86_400_000, ms + 1000));
    this.ranges.focus();
  }

  #tick() {
    refreshTimes(this.view);
    if (this.range.moves) for (const card of this.#cards.values()) card.draw();
  }
}
