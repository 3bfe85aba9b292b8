// The buildings: on the map and, with the same words, in a list beside it.
import { explain, fire } from "./api.js";
import { colorOf, nameOf } from "./board.js";
import { copy, keyed, once, part, role, tell } from "./elements.js";
import { area, shape } from "./shapes.js";

const SHOWN = 100; // in the list at once; the map shows all
const whole = (value) => Math.round(value).toLocaleString("en");

export class Buildings {
  #chosen = null;

  // onMove(building): its owner wants to move it.
  constructor(lists, me, board, onMove) {
    this.lists = lists;
    this.me = me;
    this.board = board;
    this.onMove = onMove;
    this.told = part("buildings-message");
    this.search = part("search");
    this.search.addEventListener("input", () => this.show());
  }

  // Brings the map up to date. news: what has changed of BUILDINGS; recolor: all, as stakeholders have changed.
  draw(news, recolor) {
    for (const { id } of news?.gone ?? []) {
      this.board.remove(id);
      if (id === this.#chosen) this.choose(null);
    }
    for (const item of recolor ? this.lists.all("BUILDINGS") : news?.changed ?? []) this.board.put(item, this.#owner(item));
    if (this.#chosen !== null) this.board.choose(this.#chosen);
  }

  show() {
    const text = this.search.value.trim().toLowerCase();
    const all = this.lists.all("BUILDINGS");
    const found = text ? all.filter((item) => `${item.name} ${this.#owner(item)?.name}`.toLowerCase().includes(text)) : all;
    const shown = found.slice(-SHOWN).reverse();
    const chosen = this.lists.get("BUILDINGS", this.#chosen);
    if (chosen && !shown.includes(chosen)) shown.unshift(chosen);
    keyed(part("buildings"), shown, (item) => this.#make(item.id), (element, item) => this.#update(element, item));
    const rest = found.length > SHOWN ? ` The newest ${SHOWN} are listed; the map shows all.` : "";
    const count = found.length === 1 ? "1 building" : `${whole(found.length)} buildings`;
    tell(part("buildings-count"), text ? `${count} found.${rest}` : all.length ? `${count}, the newest first.${rest}` : "No buildings yet.");
    part("search-field").hidden = all.length < 2;
  }

  // Shows which building is meant; where: also bring it into sight, "map" or "list".
  choose(id, where = null) {
    this.#chosen = id;
    this.board.choose(id);
    this.show();
    const item = this.lists.get("BUILDINGS", id);
    if (where === "map" && item) this.board.show(shape(item.polygons));
    const element = part("buildings").querySelector(`[data-id="${id}"]`);
    if (where === "list" && element) {
      element.scrollIntoView({ block: "nearest" });
      element.querySelector("button").focus({ preventScroll: true });
    }
  }

  #owner(item) { return this.lists.stakeholder(item.stakeholderID); }

  #make(id) {
    const element = copy("building-entry");
    const item = () => this.lists.get("BUILDINGS", id);
    role(element, "name").addEventListener("click", () => this.choose(id, "map"));
    role(element, "move").addEventListener("click", () => this.onMove(item()));
    const remove = role(element, "remove");
    remove.addEventListener("click", () => once(remove, this.told, explain, async () => {
      await fire("BUILDING_REMOVE", item().stakeholderID, id);
      this.search.closest("section").querySelector("h2").focus();
    }));
    return element;
  }

  #update(element, item) {
    const owner = this.#owner(item);
    const name = nameOf(item);
    const button = role(element, "name");
    tell(button, name);
    button.setAttribute("aria-pressed", String(item.id === this.#chosen));
    role(element, "swatch").style.setProperty("--mine", colorOf(owner));
    const floors = item.floors === 1 ? "1 floor" : `${item.floors} floors`;
    tell(role(element, "about"), `${owner?.name ?? "Nobody"}, ${floors}, ${whole(area(shape(item.polygons)))} m²`);
    const own = this.me.joined && this.me.stakeholder === item.stakeholderID;
    for (const what of ["move", "remove"]) {
      role(element, what).hidden = !own;
      role(element, what).setAttribute("aria-label", `${what === "move" ? "Move" : "Remove"} ${name}`);
    }
  }
}
