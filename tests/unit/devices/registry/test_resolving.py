"""A network finds the token of a device by its serial number."""

from __future__ import annotations

import sqlalchemy as sa

from services.devices.models import DeviceToken
from tests.unit.devices.conftest import ACC, API, NETWORK, NETWORK2, MakeAPI, refused, result

UNKNOWN = "Invalid serial number"


def resolve(api: API, path: str, by: str = NETWORK) -> str:
    return str(result(api.get(f"/integration/network/resolve/{path}", by)))


def test_the_token_of_a_serial_number(api: API) -> None:
    made = api.device(serie_number="AB-1")
    assert resolve(api, "AB-1") == made.token
    new = result(api.post("/device/token", {"device": made.id, "name": "x", "serie_number": "AB 2/ü"}), 201)
    refused(api.get("/integration/network/resolve/AB 2/ü", NETWORK), 404, UNKNOWN)  # the slash divides the path
    other = result(api.post("/device/token", {"device": made.id, "name": "x", "serie_number": "AB 2 ü"}), 201)
    assert resolve(api, "AB 2 ü") == other["token"] != new["token"]
    rotated = result(api.post(f"/device/token/{other['id']}/rotate"))
    assert resolve(api, "AB 2 ü") == rotated["token"]
    result(api.get("/info", rotated["token"]))


def test_only_of_its_own_account(api: API) -> None:
    made = api.device(serie_number="AB-1")
    refused(api.get("/integration/network/resolve/AB-1", NETWORK2), 404, UNKNOWN)
    other = api.device(serie_number="AB-1", by="gh_acc_two")
    assert (resolve(api, "AB-1"), resolve(api, "AB-1", NETWORK2)) == (made.token, other.token)


def test_only_live_tokens(api: API) -> None:
    made = api.device()
    given = {"device": made.id, "name": "x", "serie_number": "AB-1", "expire_time": "1 hour"}
    new = result(api.post("/device/token", given), 201)
    assert resolve(api, "AB-1") == new["token"]
    api.clock.move(3600)
    refused(api.get("/integration/network/resolve/AB-1", NETWORK), 404, UNKNOWN)
    refused(api.post("/device/token", given), 409, "The serial number belongs to another token")
    result(api.delete(f"/device/token/{new['id']}"))
    again = result(api.post("/device/token", given), 201)
    assert resolve(api, "AB-1") == again["token"]


def test_a_verification_code_must_be_given(api: API) -> None:
    made = api.device()
    given = {"device": made.id, "name": "x", "serie_number": "AB-1", "verification_code": "sésame"}
    new = result(api.post("/device/token", given), 201)
    assert resolve(api, "AB-1/sésame") == new["token"]
    for path in ("AB-1", "AB-1/sesame", "AB-1/s"):
        refused(api.get(f"/integration/network/resolve/{path}", NETWORK), 404, UNKNOWN)
    with api.parts.database.read() as session:
        assert "sésame" not in str(session.execute(sa.text("SELECT * FROM device_tokens")).all())
    plain = api.device(serie_number="AB-2")
    assert resolve(api, "AB-2/anything") == plain.token


def test_only_networks_ask(api: API) -> None:
    made = api.device(serie_number="AB-1")
    for token in (ACC, made.token):
        refused(api.get("/integration/network/resolve/AB-1", token), 403, "Authorization denied")
    refused(api.get("/integration/network/resolve/AB-1", None), 401, "Authorization denied")
    result(api.get("/integration/network/resolve/AB-1", None, headers={"Middleware-Token": NETWORK}))
    result(api.get("/integration/network/resolve/AB-1", None, headers={"Network-Token": NETWORK}))
    refused(api.get("/device", NETWORK), 403, "Authorization denied")


def test_a_token_sealed_by_another_key_is_lost_and_comes_back_by_rotation(make_api: MakeAPI) -> None:
    one = make_api(master_key="the first master key of this service")
    made = one.device(serie_number="AB-1")
    other = make_api(master_key="quite another master key of the service")
    refused(other.get("/integration/network/resolve/AB-1", NETWORK), 409, "The token cannot be read any more; rotate it")
    new = result(other.post(f"/device/token/{made.token}/rotate"))
    assert resolve(other, "AB-1") == new["token"]


def test_a_sealed_token_moved_to_another_row_does_not_open(api: API) -> None:
    api.device(serie_number="AB-1")
    api.device(serie_number="AB-2")
    with api.parts.database.transaction() as session:
        sealed = session.scalar(sa.select(DeviceToken.sealed).where(DeviceToken.serial == "AB-1"))
        session.execute(sa.update(DeviceToken).where(DeviceToken.serial == "AB-2").values(sealed=sealed))
    refused(api.get("/integration/network/resolve/AB-2", NETWORK), 409, "The token cannot be read any more; rotate it")


def test_the_key_is_drawn_once_and_kept(make_api: MakeAPI) -> None:
    made = make_api().device(serie_number="AB-1")
    assert resolve(make_api(), "AB-1") == made.token
