"""Announcements where there is one worker: it tells itself."""

from __future__ import annotations

from collections.abc import Iterable

from services.gateway.announcements.port import Apply, not_taken_in, worker_name


class OneWorker:
    """This worker tells itself."""

    def __init__(self) -> None:
        self._apply: Apply | None = None
        self._name = worker_name()

    def start(self, apply: Apply) -> None:
        self._apply = apply

    def publish(self, kind: str, items: Iterable[str] = ()) -> list[str]:
        try:
            assert self._apply is not None
            self._apply(kind, list(items))
        except Exception as error:
            not_taken_in(kind, error)
            return [self._name]
        return []

    def workers(self) -> list[str]:
        return [self._name]

    def stop(self) -> None:
        """Do nothing: nothing runs."""
