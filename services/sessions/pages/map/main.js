// The page: it loads the map's size, follows the session, and brings all its parts up to date.
import { Away, Refused, ask, explain, later } from "./api.js";
import { Board, nameOf } from "./board.js";
import { Build } from "./build.js";
import { Buildings } from "./buildings.js";
import { Clock } from "./clock.js";
import { part, tell } from "./elements.js";
import { Follower } from "./follow.js";
import { Lists } from "./lists.js";
import { Me } from "./me.js";
import { Stakeholders } from "./stakeholders.js";
import { Talk } from "./talk.js";

const AGAIN_MS = 3000;
const MANY = 3; // changes that are told one by one

const lists = new Lists();

function state(name, pause) {
  part("live").dataset.state = name;
  tell(part("live"), { live: "Live", waiting: "Connecting…", away: "Reconnecting…" }[name]);
  part("now").hidden = name !== "away" || pause < 2000;
}

// The session is over, or its token is not valid: nothing here works any more, what is shown stays.
function end(error) {
  part("live").dataset.state = "away";
  tell(part("live"), "Ended");
  part("now").hidden = true;
  tell(part("me-message"), "");
  tell(part("message"), error.ended || error.released ? "This session has ended." : explain(error));
  tell(part("me"), "You see the last state.");
  for (const id of ["join", "join-hint", "leave", "host", "host-hint", "build", "talk"]) part(id).hidden = true;
  for (const control of document.querySelectorAll('#stakeholders button, [data-role="move"], [data-role="remove"]')) control.hidden = true;
}

// The side of the map in metres. Raises Refused, when asking again is of no use.
async function size() {
  for (;;) {
    try {
      const { value } = await ask("session/location/?f=JSON", { reader: true });
      return value.mapSizeM;
    } catch (error) {
      if (error instanceof Refused ? !error.passing : !(error instanceof Away)) throw error;
      state("away", 0);
      await later(error.pause ?? AGAIN_MS * (1 + Math.random() / 4));
    }
  }
}

// Says in a few words what others have done, for who does not see the map.
function news({ changed, gone }) {
  if (changed.length + gone.length === 0) return;
  const words = changed.length + gone.length > MANY
    ? [`${changed.length + gone.length} buildings changed`]
    : [...changed.map((item) => `${nameOf(item)} placed or moved`), ...gone.map((item) => `${nameOf(item)} removed`)];
  tell(part("news"), `${words.join(", ")}.`);
}

async function start() {
  part("layout").hidden = false;
  const board = new Board(part("map"), part("readout"), await size(), {
    pick: (id) => buildings.choose(id, "list"),
    point: (at) => build.point(at),
    cancel: () => build.cancel(),
  });
  const me = new Me(lists, { changed: () => show(), tokens: () => follower.again() });
  const buildings = new Buildings(lists, me, board, (building) => build.move(building));
  const build = new Build(lists, me, board, (id) => buildings.choose(id));
  const talk = new Talk(lists, me);
  const views = [new Stakeholders(lists, me), buildings, build, talk, new Clock(lists, me)];
  const show = () => { for (const view of views) view.show(); };
  lists.listen((changes, first) => {
    if (changes.BUILDINGS || changes.STAKEHOLDERS) buildings.draw(changes.BUILDINGS, Boolean(changes.STAKEHOLDERS));
    show();
    if (first) setTimeout(() => talk.live());
    else if (changes.BUILDINGS) news(changes.BUILDINGS);
  });
  const follower = new Follower(lists, { state, learn: (signal) => me.learn(signal), released: () => me.released() });
  part("now").addEventListener("click", () => follower.now());
  window.addEventListener("pageshow", ({ persisted }) => { if (persisted) follower.again(); });
  part("panel").hidden = false;
  show();
  end(await follower.run());
}

start().catch((error) => {
  if (error instanceof Refused) end(error);
  else {
    tell(part("message"), explain(error));
    throw error;
  }
});
