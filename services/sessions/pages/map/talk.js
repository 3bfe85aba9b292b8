// Messages between stakeholders, as they come, and a form to send one.
import { explain, fire } from "./api.js";
import { copy, keyed, once, part, role, tell } from "./elements.js";
import { shown } from "./dates.js";

const SHOWN = 100;
const ALL = ""; // the choice of a message to everybody

export class Talk {
  constructor(lists, me) {
    this.lists = lists;
    this.me = me;
    this.text = part("text");
    part("talk").addEventListener("submit", (event) => {
      event.preventDefault();
      once(part("send"), part("talk-message"), explain, () => this.#send());
    });
  }

  show() {
    const log = part("messages");
    const below = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const messages = this.lists.all("MESSAGES");
    keyed(log, messages.slice(-SHOWN), () => copy("message-entry"), (element, item) => this.#update(element, item));
    if (below) log.scrollTop = log.scrollHeight;
    tell(part("messages-count"), messages.length ? "" : "No messages yet.");
    part("talk").hidden = !(this.me.joined && this.me.stakeholder !== null);
    this.#choices();
  }

  // Those who are there already are not read aloud; later ones are.
  live() { part("messages").setAttribute("aria-live", "polite"); }

  #choices() {
    const choice = part("to");
    const others = this.lists.all("STAKEHOLDERS").filter(({ id }) => id !== this.me.stakeholder);
    const options = [[ALL, "Everybody"], ...others.map(({ id, name }) => [String(id), name])];
    if (JSON.stringify(options) === choice.dataset.options) return;
    choice.dataset.options = JSON.stringify(options);
    const chosen = choice.value;
    choice.replaceChildren(...options.map(([value, name]) => new Option(name, value)));
    choice.value = options.some(([value]) => value === chosen) ? chosen : ALL;
  }

  #update(element, item) {
    const name = (id) => this.lists.stakeholder(id)?.name ?? "Somebody";
    tell(role(element, "who"), item.to === null || item.to === undefined ? name(item.from) : `${name(item.from)} to ${name(item.to)}`);
    tell(role(element, "text"), item.text);
    const moment = new Date(item.timeMS);
    const time = element.querySelector("time");
    const words = shown(moment);
    if (!words) return;
    time.dateTime = moment.toISOString();
    tell(time, words);
  }

  async #send() {
    const to = part("to").value;
    await fire("MESSAGE_SEND", this.me.stakeholder, to === ALL ? null : Number(to), this.text.value);
    this.text.value = "";
    this.text.focus();
  }
}
