"""A device is created, and its token is good at once."""

from __future__ import annotations

import re

from tests.unit.devices.conftest import API, refused, result


def test_a_new_device_comes_with_a_token_that_is_good_at_once(api: API) -> None:
    made = result(api.post("/device", {"name": "dev-a", "type": "mutable"}), 201)
    assert re.fullmatch("[0-9a-f]{24}", made["device_id"]) and len(made["token"]) == 36
    found = result(api.get("/info", None, headers={"Device-Token": made["token"]}))
    assert found["id"] == made["device_id"] and found["name"] == "dev-a"
    assert (found["active"], found["visible"], found["type"], found["last_input"]) == (True, True, "mutable", None)


def test_an_immutable_device_needs_its_chunks(api: API) -> None:
    wrong = refused(api.post("/device", {"name": "dev-b", "type": "immutable"}), 400, "Error on Body parameters")
    assert set(wrong) == {"chunk_period", "chunk_retention"}
