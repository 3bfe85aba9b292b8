// Who plays which stakeholder, as text; a client may take a free one and give its own back.
import { explain } from "./api.js";
import { colorOf } from "./board.js";
import { copy, keyed, once, part, role, tell } from "./elements.js";
import { holder } from "./lists.js";

export class Stakeholders {
  constructor(lists, me) {
    this.lists = lists;
    this.me = me;
    this.told = part("stakeholders-message");
  }

  show() {
    keyed(part("stakeholders"), this.lists.all("STAKEHOLDERS"), (item) => this.#make(item.id), (element, item) => this.#update(element, item));
  }

  #make(id) {
    const element = copy("stakeholder-entry");
    const button = element.querySelector("button");
    button.addEventListener("click", () => once(button, this.told, (error) => this.#explain(error), () => (
      this.me.stakeholder === id ? this.me.release(id) : this.me.select(id)
    )));
    return element;
  }

  #update(element, item) {
    const mine = this.me.stakeholder === item.id;
    role(element, "swatch").style.setProperty("--mine", colorOf(item));
    tell(role(element, "name"), item.name);
    tell(role(element, "holder"), mine ? "you" : holder(item) ?? "free");
    element.classList.toggle("own", mine);
    const button = element.querySelector("button");
    const selectable = this.me.joined && this.me.stakeholder === null && holder(item) === null;
    button.hidden = !(mine || selectable);
    tell(button, mine ? "Release" : "Select");
    button.setAttribute("aria-label", `${mine ? "Release" : "Select"} ${item.name}`);
  }

  #explain(error) {
    return error.message === "taken" ? "Another client has taken this stakeholder." : explain(error);
  }
}
