"""A client of the write API, as importers use it: a session that renews itself, and bulks of nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import requests


class Client:
    """Writes nodes to one layer. Raises requests' errors, and `ValueError` with the service's message when it refuses."""

    def __init__(self, url: str, email: str, password: str) -> None:
        """url: of the service, such as `http://127.0.0.1:8080/mobility`."""
        self._url = url.rstrip("/")
        self._credentials = {"e": email, "p": password}
        self._http = requests.Session()

    def log_in(self) -> None:
        """Ask for a session key."""
        answer = self._http.post(f"{self._url}/get_session", json=self._credentials, timeout=30)
        self._http.headers["X-Auth"] = _read(answer)["results"][0]

    def write(self, layer: str, nodes: Sequence[Mapping[str, Any]], **params: Any) -> dict[str, Any]:
        """Write nodes in one transaction. params: of `create`. Returns the results."""
        body = {"create": {"params": params}, "nodes": nodes}
        found: dict[str, Any] = _read(self._http.put(f"{self._url}/nodes/{layer}", json=body, timeout=120))["create"]["results"]
        return found


def _read(answer: requests.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    if answer.status_code != 200:
        raise ValueError(found.get("message", answer.reason))
    return found
