// Placing a building, or moving one: its corners are drawn on the map by mouse or touch, added from the middle of the map, or written.
import { explain, fire } from "./api.js";
import { once, part, tell } from "./elements.js";
import { area, closed, geometry, movedTo, open, read, shape, write } from "./shapes.js";

const whole = (value) => Math.round(value).toLocaleString("en");

export class Build {
  #moving = null; // the building that is moved; null: a new one is placed
  #corners = [];
  #shape = []; // of a moved building with more than one ring; it cannot be written as corners
  #drawing = false;

  // onDone(id of the building): it is placed, or moved.
  constructor(lists, me, board, onDone) {
    Object.assign(this, { lists, me, board, onDone });
    this.form = part("build");
    this.text = part("corners");
    this.told = part("build-message");
    this.text.addEventListener("input", () => this.#read());
    part("draw").addEventListener("click", () => this.#draw(!this.#drawing));
    part("middle").addEventListener("click", () => this.point(this.board.middle()));
    part("undo").addEventListener("click", () => this.#set(this.#corners.slice(0, -1)));
    part("clear").addEventListener("click", () => this.reset());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(part("build-send"), this.told, (error) => (error instanceof RangeError ? error.message : explain(error)), () => this.#send());
    });
    this.reset();
  }

  // Shows the form to who has a stakeholder.
  show() {
    const may = this.me.joined && this.me.stakeholder !== null;
    if (!may && !this.form.hidden) this.reset();
    this.form.hidden = !may;
    part("build-hint").hidden = may;
    if (this.#moving && !this.lists.get("BUILDINGS", this.#moving.id)) {
      this.reset();
      tell(this.told, "The building that you were moving was removed.");
    }
    if (may) this.#preview();
  }

  move(building) {
    this.reset();
    this.#moving = building;
    const found = shape(building.polygons);
    if (found.length === 1 && found[0].length === 1) this.#corners = open(found[0][0]);
    else this.#shape = found;
    this.text.value = this.#shape.length ? "This building has several parts. Move it on the map." : write(this.#corners);
    this.#face();
    this.#draw(true);
    this.#preview();
    part("build-title").focus();
  }

  // Takes a point of the map: the next corner, or the new middle of a building that is moved.
  point(at) {
    if (!this.#moving) return this.#set([...this.#corners, at]);
    const moved = movedTo(this.#whole(), at, this.board.sizeM);
    if (this.#shape.length) this.#shape = moved;
    else return this.#set(open(moved[0][0]));
    this.#preview();
  }

  // Ends the drawing; the corners stay, unless they are of a building that was to be moved.
  cancel() {
    if (this.#moving) this.reset();
    else this.#draw(false);
  }

  reset() {
    this.#moving = null;
    this.#shape = [];
    this.#draw(false);
    this.#set([]);
    this.#face();
    tell(this.told, "");
  }

  #whole() { return this.#shape.length ? this.#shape : this.#corners.length ? [[closed(this.#corners)]] : []; }

  // Fits the form to what it does: place or move.
  #face() {
    const moving = this.#moving !== null;
    tell(part("build-title"), moving ? `Move ${this.#moving.name || "the building"}` : "Place a building");
    tell(part("build-send"), moving ? "Move" : "Place");
    part("build-new").hidden = part("undo").hidden = moving;
    part("building-name").required = part("floors").required = !moving;
    this.text.readOnly = this.#shape.length > 0;
    tell(part("build-how"), moving ? "Click where its middle shall be, or change the corners." : "Click each corner on the map, or write them.");
    tell(part("draw"), moving ? "Move on the map" : "Draw on the map");
    tell(part("clear"), moving ? "Cancel" : "Clear");
    tell(part("middle"), moving ? "To the middle of the map" : "Corner at the middle of the map");
  }

  #draw(drawing) {
    this.#drawing = drawing;
    this.board.draw(drawing);
    part("draw").setAttribute("aria-pressed", String(drawing));
  }

  #set(corners) {
    this.#corners = corners;
    this.text.value = write(corners);
    this.#preview();
  }

  #read() {
    try {
      this.#corners = read(this.text.value);
      tell(this.told, "");
    } catch (error) {
      this.#corners = [];
      tell(this.told, error.message);
    }
    this.#preview();
  }

  #preview() {
    const found = this.#whole();
    this.board.preview(found, this.#shape.length ? [] : this.#corners, this.lists.stakeholder(this.me.stakeholder));
    const count = this.#corners.length;
    part("undo").disabled = count === 0;
    const few = count > 0 && count < 3 ? " A building needs three." : "";
    tell(part("build-area"), found.length ? `${count ? `${count} corners.${few} ` : ""}Area: ${whole(area(found))} m².` : "No corners yet.");
  }

  async #send() {
    if (!this.#shape.length && this.#corners.length < 3) throw new RangeError("A building needs at least three corners.");
    const outline = geometry(this.#whole());
    const moving = this.#moving;
    const id = moving
      ? (await fire("BUILDING_MOVE", moving.stakeholderID, moving.id, outline), moving.id)
      : await fire("BUILDING_PLACE", this.me.stakeholder, part("building-name").value.trim(), Number(part("floors").value), outline);
    this.reset();
    if (!moving) part("building-name").value = "";
    this.onDone(id);
  }
}
