"""The master key is rotated: tokens with a serial number, their codes and the secrets of actions stay."""

from __future__ import annotations

import dataclasses

import pytest
import sqlalchemy as sa

from services.common.resealing import Lost, Resealed
from services.devices import resealing
from services.devices.models import Action
from tests.unit.devices.actions.conftest import create, hot
from tests.unit.devices.conftest import NETWORK, MakeAPI, refused, result

NEW, OLD = "n" * 32, "o" * 32
BOTH = f"{NEW}\n{OLD}"


def test_a_rotation(make_api: MakeAPI) -> None:
    before = make_api(master_key=OLD)
    one = before.device(serie_number="AB-1")
    code = {"name": "two", "serie_number": "AB-2", "verification_code": "sésame"}
    two = result(before.post("/device/token", {"device": one.id, **code}), 201)["token"]
    action = create(before, hot(one.id))
    secret = before.parts.actions._secrets.of(action)

    both = make_api(master_key=BOTH)
    three = both.device(serie_number="AB-3")
    settings = before.parts.settings
    assert resealing.run(dataclasses.replace(settings, master_key=BOTH), leave_lost=False) == Resealed(again=4, already=1)

    for after in (both, make_api(master_key=NEW)):
        for path, token in (("AB-1", one.token), ("AB-2/sésame", two), ("AB-3", three.token)):
            assert result(after.get(f"/integration/network/resolve/{path}", NETWORK)) == token
        assert after.parts.actions._secrets._read(action) == secret
    refused(before.get("/integration/network/resolve/AB-1", NETWORK), 409, "The token cannot be read any more; rotate it")


def test_a_wrong_key_changes_nothing(make_api: MakeAPI) -> None:
    api = make_api(master_key=OLD)
    made = api.device(serie_number="AB-1")
    with pytest.raises(Lost, match=r"device_tokens.sealed of "):
        resealing.run(dataclasses.replace(api.parts.settings, master_key=NEW), leave_lost=False)
    assert result(api.get("/integration/network/resolve/AB-1", NETWORK)) == made.token
    with api.parts.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Action)) == 0
