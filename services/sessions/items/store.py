"""The lists of sessions in the database. Whoever changes one has locked the session's row (`sessions/store.lock`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session as Transaction

from services.sessions.models import Deletion, Item, ItemList, Session

KEPT_DELETIONS: Final = 1000  # of a list; whoever is further behind gets the whole list


class Changes:
    """The changes of one transaction to the lists of one session: they share one version, one above all that was before."""

    def __init__(self, transaction: Transaction, session: Session) -> None:
        """session: its locked row."""
        self._transaction = transaction
        self._session = session
        self._version: int | None = None
        self._lists: dict[str, ItemList] = {}

    def get(self, name: str, item_id: int) -> Item | None:
        """Return an item."""
        return self._transaction.get(Item, (self._session.id, name, item_id))

    def all(self, name: str) -> list[Item]:
        """Return the items of a list, by id."""
        found = sa.select(Item).where(Item.session_id == self._session.id, Item.list == name).order_by(Item.id)
        return list(self._transaction.scalars(found))

    def add(self, name: str, content: Mapping[str, Any]) -> Item:
        """Add an item; it gets the next number of its list."""
        changed = self._changed(name)
        item = Item(session_id=self._session.id, list=name, id=changed.next_id, version=changed.version, holder=None, content=dict(content))
        changed.next_id += 1
        self._transaction.add(item)
        return item

    def change(self, item: Item, content: Mapping[str, Any] | None = None) -> None:
        """Give an item a new version. content: its new one; None when only its holder was changed."""
        item.version = self._changed(item.list).version
        if content is not None:
            item.content = dict(content)

    def remove(self, item: Item) -> None:
        """Remove an item."""
        changed = self._changed(item.list)
        self._transaction.delete(item)
        self._transaction.add(Deletion(session_id=item.session_id, list=item.list, id=item.id, version=changed.version))
        self._forget_old_deletions(changed)

    def release(self, clients: Collection[int]) -> None:
        """Free what these clients hold."""
        held = sa.select(Item).where(Item.session_id == self._session.id, Item.holder.in_(clients))
        for item in self._transaction.scalars(held):
            item.holder = None
            self.change(item)

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
        rows = [Item(session_id=session.id, list=name, id=one["id"], version=1, holder=None, content=_without_id(one)) for one in items]
        next_id = max((row.id for row in rows), default=-1) + 1
        transaction.add(ItemList(session_id=session.id, name=name, version=1, next_id=next_id, horizon=0))
        transaction.flush()
        transaction.add_all(rows)


def content(transaction: Transaction, session_id: int) -> dict[str, list[dict[str, Any]]]:
    """Return all items by the names of their lists, as `create` takes them."""
    found: dict[str, list[dict[str, Any]]] = {
        name: [] for name in transaction.scalars(sa.select(ItemList.name).where(ItemList.session_id == session_id))
    }
    for item in transaction.scalars(sa.select(Item).where(Item.session_id == session_id).order_by(Item.id)):
        found[item.list].append({"id": item.id, **item.content})
    return found


def _without_id(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "id"}


def items(transaction: Transaction, session_id: int, name: str) -> list[dict[str, Any]]:
    """Return the items of a list as clients see them, by id."""
    found = sa.select(Item).where(Item.session_id == session_id, Item.list == name).order_by(Item.id)
    return [{"id": one.id, "version": one.version, **one.content} for one in transaction.scalars(found)]
