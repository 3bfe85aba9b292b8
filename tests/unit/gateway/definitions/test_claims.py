"""What definitions claim, and whose it is."""

from __future__ import annotations

from services.gateway.definitions.claims import claim, place_taken
from tests.unit.gateway.exchanges import definition


def test_addresses() -> None:
    assert claim(definition()).address == "/api/"
    assert claim(definition(domain="API.example")).address == "api.example/api/"


def test_only_an_active_definition_owns_its_place() -> None:
    assert claim(definition()).place == "/api/"
    switched_off = claim(definition(active=False))
    assert (switched_off.address, switched_off.place) == ("/api/", None)


def test_who_owns_a_place_is_named_where_it_is_wanted() -> None:
    assert place_taken("one") == ("/proxy/listen_path", "one already listens on this listen_path")
    assert place_taken("`One` (one)", "h.example/a/").message == "`One` (one) already listens on h.example/a/"
