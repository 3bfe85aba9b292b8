"""The lists of sessions in the database. Whoever changes one has locked the session's row (`sessions/store.lock`)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session as Transaction

from services.sessions.items.rules import lists, places, polygons
from services.sessions.models import Client, Deletion, Item, ItemList, Session

KEPT_DELETIONS: Final = 1000  # of a list; whoever is further behind gets the whole list
_NEWEST: Final = 2**62  # above all versions
_LIST, _ITEM, _DELETION = range(3)
_SHOWN: Final = (Item.list, Item.id, Item.version, Item.content, Item.holder, Client.computer_name, Client.user_name)


class Changes:
    """The changes of one transaction to the lists of one session: they share one version, one above all that was before."""

    def __init__(self, transaction: Transaction, session: Session) -> None:
        """session: its locked row."""
        self._transaction = transaction
        self._session = session
        self._version: int | None = None
        self._lists: dict[str, ItemList] = {}

    @property
    def made(self) -> bool:
        """Say whether anything was changed."""
        return self._version is not None

    def get(self, name: str, item_id: int) -> Item | None:
        """Return an item."""
        return self._transaction.get(Item, (self._session.id, name, item_id))

    def all(self, name: str) -> list[Item]:
        """Return the items of a list, by id."""
        found = sa.select(Item).where(Item.session_id == self._session.id, Item.list == name).order_by(Item.id)
        return list(self._transaction.scalars(found))

    def amount(self, name: str) -> tuple[int, int]:
        """Return how many items a list has, and how many points their outlines have together."""
        found = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(Item.points), 0))
        count, points = self._transaction.execute(found.where(Item.session_id == self._session.id, Item.list == name)).one()
        return count, points

    def near(self, name: str, bounds: polygons.Bounds) -> list[Item]:
        """Return the items of a list whose bounds meet these, by id."""
        west, south, east, north = bounds
        found = sa.select(Item).where(
            Item.session_id == self._session.id,
            Item.list == name,
            Item.west <= east,
            Item.east >= west,
            Item.south <= north,
            Item.north >= south,
        )
        return list(self._transaction.scalars(found.order_by(Item.id)))

    def add(self, name: str, content: Mapping[str, Any]) -> Item:
        """Add an item; it gets the next number of its list."""
        changed = self._changed(name)
        item = _item(self._session.id, name, changed.next_id, changed.version, content)
        changed.next_id += 1
        self._transaction.add(item)
        return item

    def change(self, item: Item, content: Mapping[str, Any] | None = None) -> None:
        """Give an item a new version. content: its new one; None when only its holder was changed."""
        item.version = self._changed(item.list).version
        if content is not None:
            item.content = dict(content)
            item.west, item.south, item.east, item.north = polygons.bounds_of(content) or (None,) * 4
            item.points = polygons.points_of(content)

    def remove(self, item: Item) -> None:
        """Remove an item."""
        changed = self._changed(item.list)
        self._transaction.delete(item)
        self._transaction.add(Deletion(session_id=item.session_id, list=item.list, id=item.id, version=changed.version))
        self._forget_old_deletions(changed)

    def keep_newest(self, name: str, most: int) -> None:
        """Remove the oldest items of a list above so many."""
        self._transaction.flush()
        mine = sa.select(Item).where(Item.session_id == self._session.id, Item.list == name)
        for item in self._transaction.scalars(mine.order_by(Item.id.desc()).offset(most)):
            self.remove(item)

    def log(self, event: str, stakeholder_id: int | None, user_name: str, text: str, now: dt.datetime) -> None:
        """Write what has happened into the list LOGS, which keeps its newest. event: primary name. text: a sentence for people."""
        moment = int(now.timestamp() * 1000)
        self.add(lists.LOGS, {"timeMS": moment, "event": event, "stakeholderID": stakeholder_id, "userName": user_name, "text": text})
        self.keep_newest(lists.LOGS, lists.MOST_LOGS)

    def release(self, clients: Collection[int]) -> None:
        """Free what these clients hold."""
        for item in self.held(clients):
            item.holder = None
            self.change(item)

    def held(self, clients: Collection[int]) -> list[Item]:
        """Return what these clients hold, by id."""
        found = sa.select(Item).where(Item.session_id == self._session.id, Item.list == lists.STAKEHOLDERS, Item.holder.in_(clients))
        return list(self._transaction.scalars(found.order_by(Item.id)))

    def _changed(self, name: str) -> ItemList:
        if self._version is None:
            self._session.version += 1
            self._version = self._session.version
        found = self._lists.get(name)
        if found is None:
            found = self._lists[name] = self._transaction.get_one(ItemList, (self._session.id, name))
            found.version = self._version
        return found

    def _forget_old_deletions(self, changed: ItemList) -> None:
        """Keep the newest deletions of a list only."""
        of_list = (Deletion.session_id == changed.session_id, Deletion.list == changed.name)
        newest = sa.select(Deletion.version).where(*of_list).order_by(Deletion.version.desc()).offset(KEPT_DELETIONS).limit(1)
        last = self._transaction.scalar(newest)
        if last is not None:
            self._transaction.execute(sa.delete(Deletion).where(*of_list, Deletion.version <= last))
            changed.horizon = max(changed.horizon, last)


def create(transaction: Transaction, session: Session, content: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    """Create the lists of a new session. content: items by the names of their lists, each with its `id`."""
    session.version = 1
    for name, items in content.items():
        rows = [_item(session.id, name, one["id"], 1, {key: value for key, value in one.items() if key != "id"}) for one in items]
        next_id = max((row.id for row in rows), default=-1) + 1
        transaction.add(ItemList(session_id=session.id, name=name, version=1, next_id=next_id, horizon=0))
        transaction.flush()
        transaction.add_all(rows)


def content(transaction: Transaction, session_id: int) -> dict[str, list[dict[str, Any]]]:
    """Return all items by the names of their lists, as `create` takes them."""
    found: dict[str, list[dict[str, Any]]] = {
        name: [] for name in transaction.scalars(sa.select(ItemList.name).where(ItemList.session_id == session_id))
    }
    rows = sa.select(Item.list, Item.id, Item.content).where(Item.session_id == session_id).order_by(Item.id)
    for name, item_id, values in transaction.execute(rows):
        found[name].append({"id": item_id, **values})
    return found


def items(transaction: Transaction | sa.Connection, session_id: int, name: str, item_id: int | None = None) -> list[dict[str, Any]]:
    """Return the items of a list as clients see them, by id. item_id: only this one."""
    found = sa.select(*_SHOWN).outerjoin(Client, Item.holder == Client.id).where(Item.session_id == session_id, Item.list == name)
    if item_id is not None:
        found = found.where(Item.id == item_id)
    return [_shown(*row) for row in transaction.execute(found.order_by(Item.id))]


def size(transaction: Transaction | sa.Connection, session_id: int, name: str) -> int:
    """Return how many items a list has."""
    found = sa.select(sa.func.count()).select_from(Item).where(Item.session_id == session_id, Item.list == name)
    return transaction.execute(found).scalar_one()


def sizes(transaction: Transaction | sa.Connection, session_id: int) -> dict[str, int]:
    """Return how many items the lists have, by their names; empty lists are left out."""
    found = sa.select(Item.list, sa.func.count()).where(Item.session_id == session_id).group_by(Item.list)
    return dict(transaction.execute(found).all())


def versions(transaction: Transaction | sa.Connection, session_id: int) -> dict[str, int]:
    """Return the versions of all lists by their names."""
    found = sa.select(ItemList.name, ItemList.version).where(ItemList.session_id == session_id)
    return dict(transaction.execute(found).all())


def place(transaction: Transaction | sa.Connection, session_id: int) -> places.Place:
    """Return the map of a session."""
    row = transaction.execute(sa.select(Session.map_size_m, Session.lat, Session.lon).where(Session.id == session_id)).one()
    return places.Place(*row)


def client(transaction: Transaction, client_id: int) -> Client | None:
    """Return a client that is still joined. The session's row is locked, so it stays joined until the transaction ends."""
    found = transaction.get(Client, client_id)
    return None if found is None or found.released_at is not None else found


@dataclass(slots=True)
class Changed:
    """What is new in a list. items: as clients see them, by id. deletes: `id` and `version` of those that are gone; clients take the
    highest version of both for what they then have. version: up to which this is all.

    full: the items are all of the list, and whatever else the client has is gone.
    """

    version: int
    full: bool
    items: list[dict[str, Any]] = field(default_factory=list)
    deletes: list[dict[str, int]] = field(default_factory=list)


def changes_since(transaction: Transaction | sa.Connection, session_id: int, known: Mapping[str, int]) -> dict[str, Changed]:
    """Return what is new in lists, by their names; lists without news are left out.

    known: names of lists with the version that the client has. It gets the whole list (`full`) when it has none (0 or less), a version
    that is still to come, or one from before the deletes that are kept. When nothing is new this is one small query; else one more, a
    single statement, so that all it gives is of one moment at any isolation level.
    """
    clamped = {name: min(version, _NEWEST) for name, version in known.items()}
    new = {
        name: clamped[name] for name, version in versions(transaction, session_id).items() if name in clamped and clamped[name] != version
    }
    if not new:
        return {}
    found: dict[str, Changed] = {}
    rows = sorted(transaction.execute(_news(session_id, new)), key=lambda row: (row[0], row[2]))
    for kind, name, number, version, *shown in rows:
        if kind == _LIST:  # number: its horizon
            found[name] = Changed(version, not max(number, 1) <= new[name] <= version)
        elif kind == _ITEM:
            found[name].items.append(_shown(name, number, version, *shown))
        else:
            found[name].deletes.append({"id": number, "version": version})
    return found


def _news(session_id: int, known: Mapping[str, int]) -> sa.CompoundSelect[Any]:
    """Select rows of three kinds: the lists themselves (with their horizons as numbers), new items and deletions."""
    has = sa.case({name: sa.literal(version, sa.BigInteger) for name, version in known.items()}, value=ItemList.name)
    is_partial = has.between(ItemList.horizon, ItemList.version) & (has > 0)
    since = sa.case((is_partial, has), else_=-1)
    mine = (ItemList.session_id == session_id, ItemList.name.in_(known))
    nothing = tuple(sa.cast(sa.null(), one) for one in (sa.JSON, sa.BigInteger, sa.String, sa.String))  # of `_SHOWN`, from its content on
    changed = sa.select(sa.literal(_LIST), ItemList.name, ItemList.horizon, ItemList.version, *nothing).where(*mine)
    items = (
        sa.select(sa.literal(_ITEM), *_SHOWN)
        .join(ItemList, (ItemList.session_id == Item.session_id) & (ItemList.name == Item.list))
        .outerjoin(Client, Item.holder == Client.id)
        .where(*mine, Item.version > since)
    )
    deletions = (
        sa.select(sa.literal(_DELETION), Deletion.list, Deletion.id, Deletion.version, *nothing)
        .join(ItemList, (ItemList.session_id == Deletion.session_id) & (ItemList.name == Deletion.list))
        .where(*mine, has > 0, Deletion.version > has)
    )
    return sa.union_all(changed, items, deletions)


def _item(session_id: int, name: str, item_id: int, version: int, content: Mapping[str, Any]) -> Item:
    west, south, east, north = polygons.bounds_of(content) or (None,) * 4
    return Item(
        session_id=session_id,
        list=name,
        id=item_id,
        version=version,
        holder=None,
        west=west,
        south=south,
        east=east,
        north=north,
        points=polygons.points_of(content),
        content=dict(content),
    )


def _shown(
    name: str, item_id: int, version: int, content: Mapping[str, Any], holder: int | None, client: str | None, user: str | None
) -> dict[str, Any]:
    """Return an item as clients see it; that of a stakeholder says who holds it, or null. holder: id of this client."""
    shown = {"id": item_id, "version": version, **content}
    if name == lists.STAKEHOLDERS:
        shown |= {"clientID": holder, "clientName": client, "userName": user}
    return shown
