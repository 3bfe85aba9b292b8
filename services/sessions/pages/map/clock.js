// The session's time, and whether it is paused; a host pauses it and lets a day go by.
import { explain, fire } from "./api.js";
import { once, part, tell } from "./elements.js";
import { shown } from "./dates.js";

const ALLOWED = "ALLOW_GAME_INTERACTION";
const DAY_MS = 86_400_000;

export class Clock {
  constructor(lists, me) {
    this.lists = lists;
    this.me = me;
    const told = part("clock-message");
    part("pause").addEventListener("click", ({ target }) => once(target, told, explain, () => (
      fire("SETTINGS_ALLOW_GAME_INTERACTION", this.paused)
    )));
    part("day").addEventListener("click", ({ target }) => once(target, told, explain, () => fire("TIME_ADVANCE", 1)));
  }

  get paused() { return this.lists.setting(ALLOWED) === false; }

  show() {
    const times = new Map(this.lists.all("TIMES").map(({ name, timeMS }) => [name, timeMS]));
    const now = times.get("CURRENT");
    const words = now === undefined ? null : shown(new Date(now));
    tell(part("time"), words ? `${words}, day ${Math.floor((now - times.get("START")) / DAY_MS) + 1}` : "unknown");
    tell(part("paused"), this.paused ? "Paused: nothing is built." : "Running");
    part("paused").dataset.paused = this.paused;
    tell(part("pause"), this.paused ? "Go on" : "Pause");
    part("host").hidden = !this.me.isHost;
    part("host-hint").hidden = this.me.level === null || this.me.isHost;
    tell(part("host-hint"), `A client with the level HOST_SESSION or above pauses the session and lets a day go by. Yours is ${this.me.level}.`);
    part("day").hidden = this.paused;
  }
}
