// Who this page is in the session: a reader, or a client that joined; and which stakeholder it has.
import { ask, become, client, explain, fire, sessionId, token } from "./api.js";
import { once, part, tell } from "./elements.js";
import { holder } from "./lists.js";

const PLACE = "gatehouse-sessions-client"; // in the storage of this tab
const PERSON_MS = 120_000; // for who has to type a password

export class Me {
  #stakeholder = null;
  #unsure = false;

  // on: {changed(): after each change, tokens(): the tokens have changed}.
  constructor(lists, on) {
    this.lists = lists;
    this.on = on;
    const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
    if (kept?.token === token && (client() === null || client() === kept.client)) {
      become(kept.client);
      this.#stakeholder = kept.stakeholder;
    } else {
      this.#unsure = this.joined;
    }
    this.told = part("me-message");
    part("join").addEventListener("click", ({ target }) => once(target, this.told, explain, () => this.#join()));
    part("leave").addEventListener("click", ({ target }) => once(target, this.told, explain, () => this.#leave()));
    this.#show();
  }

  get joined() { return client() !== null; }

  // The id of the own stakeholder; null: none.
  get stakeholder() { return this.#stakeholder; }

  // Whether this client may have a stakeholder from before, which nothing in the lists says: its token came with the address.
  get unsure() { return this.#unsure; }

  // Also gives what the client has already.
  async select(id) {
    if (!(await fire("STAKEHOLDER_SELECT", id, client()))) throw new Error("taken");
    this.#become(client(), id);
  }

  async release(id) {
    await fire("STAKEHOLDER_RELEASE", id);
    this.#become(client(), null);
  }

  // What the lists say: the own stakeholder may have been taken away.
  check() {
    const own = this.#stakeholder === null ? null : this.lists.stakeholder(this.#stakeholder);
    if (this.#stakeholder !== null && (!own || holder(own) === null)) this.#become(client(), null);
  }

  // The service has released this client.
  released() {
    this.#become(null, null);
    tell(this.told, "You were released from this session. You go on as a reader; you may join again.");
  }

  async #join() {
    const { value } = await ask("event/io/join/?f=JSON", { body: [sessionId, "PARTICIPANT", "Map page"], person: true, timeout: PERSON_MS });
    if (value.apiToken !== token) throw new Error("another session");
    this.#become(value.client.clientToken, null);
    part("leave").focus();
  }

  async #leave() {
    await ask("event/io/close/?f=JSON", { body: [sessionId, client(), true], person: true, timeout: PERSON_MS });
    this.#become(null, null);
    part("join").focus();
  }

  #become(token_, stakeholder) {
    const another = token_ !== client();
    become(token_);
    this.#stakeholder = stakeholder;
    this.#unsure = false;
    if (token_) sessionStorage.setItem(PLACE, JSON.stringify({ token, client: token_, stakeholder }));
    else sessionStorage.removeItem(PLACE);
    this.#show();
    if (another) this.on.tokens();
    this.on.changed();
  }

  #show() {
    tell(part("me"), this.joined ? "You have joined this session." : "You watch. To take part, join with your account.");
    part("join").hidden = part("join-hint").hidden = this.joined;
    part("leave").hidden = !this.joined;
  }
}
