// Who this page is in the session: a reader, or a client that joined; and which stakeholder it has.
import { ask, become, client, explain, fire, sessionId, token } from "./api.js";
import { once, part, tell } from "./elements.js";

const PLACE = "gatehouse-sessions-client"; // in the storage of this tab
const HOSTS = ["HOST_SESSION", "EDITOR", "DOMAIN_ADMIN", "SUPER_USER"];
const PERSON_MS = 120_000; // for who has to type a password

export class Me {
  #id = null; // of this client, as the lists name it; null: of a reader, or not known yet
  #level = null; // as #id

  // on: {changed(): after each change, tokens(): the tokens have changed}.
  constructor(lists, on) {
    this.lists = lists;
    this.on = on;
    const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
    if (client() === null && kept?.token === token) become(kept.client);
    this.told = part("me-message");
    part("join").addEventListener("click", ({ target }) => once(target, this.told, explain, () => this.#join()));
    part("leave").addEventListener("click", ({ target }) => once(target, this.told, explain, () => this.#leave()));
    this.#show();
  }

  get joined() { return client() !== null; }

  // The id of the own stakeholder; null: none.
  get stakeholder() {
    if (this.#id === null) return null;
    return this.lists.all("STAKEHOLDERS").find(({ clientID }) => clientID === this.#id)?.id ?? null;
  }

  // The access level of this client's user; null: it is a reader, or not known yet.
  get level() { return this.#level; }

  // Whether this client may pause the session and let time go by.
  get isHost() { return HOSTS.includes(this.#level); }

  // Asks which client this is, unless that is known. Raises as `ask`.
  async learn(signal) {
    if (!this.joined || this.#id !== null) return;
    const { value } = await ask("session/info/?f=JSON", { signal });
    this.#id = value.clientID;
    this.#level = value.level;
    this.on.changed();
  }

  async select(id) {
    if (!(await fire("STAKEHOLDER_SELECT", id, client()))) throw new Error("taken");
  }

  async release(id) { await fire("STAKEHOLDER_RELEASE", id); }

  // The service has released this client.
  released() {
    this.#become(null);
    tell(this.told, "You were released from this session. You go on as a reader; you may join again.");
  }

  async #join() {
    const { value } = await ask("event/io/join/?f=JSON", { body: [sessionId, "PARTICIPANT", "Map page"], person: true, timeout: PERSON_MS });
    if (value.apiToken !== token) throw new Error("another session");
    this.#become(value.client.clientToken);
    part("leave").focus();
  }

  async #leave() {
    await ask("event/io/close/?f=JSON", { body: [sessionId, client(), true], person: true, timeout: PERSON_MS });
    this.#become(null);
    part("join").focus();
  }

  #become(value) {
    become(value);
    this.#id = this.#level = null;
    if (value) sessionStorage.setItem(PLACE, JSON.stringify({ token, client: value }));
    else sessionStorage.removeItem(PLACE);
    this.#show();
    this.on.tokens();
    this.on.changed();
  }

  #show() {
    tell(part("me"), this.joined ? "You have joined this session." : "You watch. To take part, join with your account.");
    part("join").hidden = part("join-hint").hidden = this.joined;
    part("leave").hidden = !this.joined;
  }
}
