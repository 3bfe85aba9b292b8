// What is known of the session: its lists, brought up to date by the answers of the update poll.
const LISTS = ["STAKEHOLDERS", "SETTINGS", "BUILDINGS", "MESSAGES", "TIMES"];

// Who has a stakeholder, as people read it; null: nobody.
export const holder = ({ clientName, userName }) => (clientName && userName ? `${userName} (${clientName})` : userName || clientName || null);

export class Lists {
  #items = new Map(LISTS.map((name) => [name, new Map()]));
  #versions = new Map(LISTS.map((name) => [name, -1]));
  #listeners = [];
  #begun = false;

  // What to send with the next poll: the newest known version of each list.
  versions() { return Object.fromEntries(this.#versions); }

  get(name, id) { return this.#items.get(name).get(id); }
  all(name) { return [...this.#items.get(name).values()].sort((one, other) => one.id - other.id); }
  setting(name) { return this.all("SETTINGS").find((one) => one.name === name)?.value; }
  stakeholder(id) { return this.get("STAKEHOLDERS", id); }

  // listener({list name: {changed: [items], gone: [items as they were]}}, first): after each answer. first: nothing was known before.
  listen(listener) { this.#listeners.push(listener); }

  // Takes an answer of the poll. whole: its lists are complete, so what is not in them is gone.
  apply({ items = {}, deletes = {}, }, whole = false) {
    const news = {};
    for (const name of new Set([...Object.keys(items), ...Object.keys(deletes)])) {
      if (this.#items.has(name)) news[name] = this.#take(name, items[name] ?? [], deletes[name] ?? [], whole && name in items);
    }
    for (const listener of this.#listeners) listener(news, !this.#begun);
    this.#begun = true;
  }

  #take(name, items, deletes, whole) {
    const known = this.#items.get(name);
    const kept = new Set(items.map(({ id }) => id));
    const leaving = whole ? [...known.keys()].filter((id) => !kept.has(id)) : deletes.map(({ id }) => id);
    const gone = leaving.map((id) => known.get(id)).filter(Boolean);
    for (const { id } of gone) known.delete(id);
    for (const item of items) known.set(item.id, item);
    const newest = (most, { version }) => Math.max(most, version);
    this.#versions.set(name, [...items, ...deletes].reduce(newest, whole ? -1 : this.#versions.get(name)));
    return { changed: items, gone };
  }
}
