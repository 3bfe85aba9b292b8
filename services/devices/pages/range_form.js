// The choice of a range: chips for the usual ones, two fields for an own one.
import { CHOICES, Range, asField, ofField } from "./ranges.js";

export class RangeForm {
  constructor(form, range, onRange) {
    this.form = form;
    this.onRange = onRange;
    this.own = form.querySelector('[data-role="own"]');
    this.wrong = form.querySelector('[data-role="wrong"]');
    [this.from, this.to] = form.querySelectorAll('input[type="datetime-local"]');
    const chips = form.querySelector(".choices");
    chips.replaceChildren(...[...CHOICES, ["own", "Own range"]].map(([value, text]) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      Object.assign(box, { type: "radio", name: "range", value });
      label.append(box, text);
      return label;
    }));
    this.show(range);
    chips.addEventListener("change", ({ target }) => this.#chosen(target.value));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ownRange();
    });
  }

  show(range) {
    this.range = range;
    this.form.elements.range.value = range.name ?? "own";
    this.own.hidden = range.moves;
    this.#fill(range);
    this.#tell("");
  }

  focus() { this.form.querySelector("input:checked").focus(); }

  #chosen(value) {
    if (value !== "own") return this.onRange(new Range(value));
    this.own.hidden = false; // begins with what is seen now
    this.#fill(this.range);
  }

  #fill(range) {
    [this.from.value, this.to.value] = range.edges().map(asField);
  }

  #ownRange() {
    const [from, to] = [ofField(this.from.value), ofField(this.to.value)];
    if (!(from < to)) {
      this.#tell("The range must end after it begins.");
      this.to.focus();
      return;
    }
    this.onRange(new Range(null, from, to));
  }

  #tell(text) {
    this.wrong.textContent = text;
    if (text) this.to.setAttribute("aria-invalid", "true");
    else this.to.removeAttribute("aria-invalid");
  }
}
