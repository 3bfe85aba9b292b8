"""Data over HTTP: `/data` of the device of the token, `/device/<id>/data` of a device of the account.

Bodies are read and answers written by hand; what they look like stands in `schemas.py`. No answer may be cached.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlencode

from flask import Response, request

from services.common.held import ClientConnection
from services.devices import refusals
from services.devices.access import GENERIC, TYPED, DeviceRef
from services.devices.data import schemas
from services.devices.data.rules import records
from services.devices.data.rules.bodies import Body
from services.devices.data.service.data import Answer
from services.devices.registry.rules.ids import new_id
from services.devices.schemas import Failure
from services.devices.web import FAILED, LARGE_BODY, Blueprint, answer, caller, needs, parts, presented

LONGEST_KEY: Final = 255  # characters of an Idempotency-Key
LONGEST_LINK: Final = 4000  # characters: clients and proxies take header lines of some 8,000
_NOT_IN_LINKS: Final = {"cursor", "skip", *TYPED, *GENERIC, *(name.replace("-", "_") for name in TYPED)}

blueprint = Blueprint("data", __name__, description="Records of devices.")


@blueprint.get("/data")
@needs("read", "device")
@blueprint.response(200, schemas.DataAnswer, headers=schemas.NEXT)
@blueprint.alt_response(400, schema=Failure, description="`Error on Query String parameters`, `Device is deactivated`, …")
@blueprint.doc(parameters=schemas.READING)
def get_data() -> Response:
    """Records of the device, or a number or an aggregate made of them."""
    return _found(_own())


@blueprint.get("/device/<device_id>/data")
@needs("read", "account", "analysis")
@blueprint.response(200, schemas.DataAnswer, headers=schemas.NEXT)
@blueprint.alt_response(400, schema=Failure, description="As `GET /data`.")
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
@blueprint.doc(parameters=schemas.READING)
def get_device_data(device_id: str) -> Response:
    """Records of a device of the account, or a number or an aggregate made of them."""
    return _found(_of_account(device_id))


@blueprint.post("/data")
@needs("write", "device")
@blueprint.response(200, schemas.AddedAnswer)
@blueprint.alt_response(400, schema=Failure, description="`Error on Body parameters`, `Device is deactivated`, `Time must be between …`, …")
@blueprint.alt_response(409, schema=Failure, description="The Idempotency-Key was used with another body.")
@blueprint.alt_response(503, schema=Failure, description="Nothing was stored, or it is not known; try again.")
@blueprint.doc(parameters=schemas.KEY, requestBody=schemas.RECORDS)
def post_data() -> Response:
    """Store records: all of the request, or none."""
    return _added(_own())


@blueprint.post("/device/<device_id>/data")
@needs("write", "account", "analysis")
@blueprint.response(200, schemas.AddedAnswer)
@blueprint.alt_response(400, schema=Failure, description="As `POST /data`.")
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
@blueprint.alt_response(409, schema=Failure, description="The Idempotency-Key was used with another body.")
@blueprint.alt_response(503, schema=Failure, description="Nothing was stored, or it is not known; try again.")
@blueprint.doc(parameters=schemas.KEY, requestBody=schemas.RECORDS)
def post_device_data(device_id: str) -> Response:
    """Store records of a device of the account: all of the request, or none."""
    return _added(_of_account(device_id))


@blueprint.put("/data")
@needs("write", "device")
@blueprint.response(200, schemas.EditedAnswer)
@blueprint.alt_response(400, schema=Failure, description="`You cannot edit data on immutable device`, …")
@blueprint.doc(requestBody=schemas.CHANGES)
def put_data() -> Response:
    """Change records of a mutable device by their ids."""
    return _edited(_own())


@blueprint.put("/device/<device_id>/data")
@needs("write", "account", "analysis")
@blueprint.response(200, schemas.EditedAnswer)
@blueprint.alt_response(400, schema=Failure, description="As `PUT /data`.")
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
@blueprint.doc(requestBody=schemas.CHANGES)
def put_device_data(device_id: str) -> Response:
    """Change records of a mutable device of the account by their ids."""
    return _edited(_of_account(device_id))


@blueprint.delete("/data")
@needs("write", "device")
@blueprint.response(200, schemas.RemovedAnswer)
@blueprint.alt_response(400, schema=Failure, description="`Data in immutable devices cannot be deleted`, …")
@blueprint.doc(parameters=schemas.FILTERS)
def delete_data() -> Response:
    """Delete the records that `GET /data` gives for the same query. Without any filter and `qty` nothing is deleted."""
    return _removed(_own())


@blueprint.delete("/device/<device_id>/data")
@needs("write", "account", "analysis")
@blueprint.response(200, schemas.RemovedAnswer)
@blueprint.alt_response(400, schema=Failure, description="As `DELETE /data`.")
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
@blueprint.doc(parameters=schemas.FILTERS)
def delete_device_data(device_id: str) -> Response:
    """Delete the records that `GET /device/<id>/data` gives for the same query."""
    return _removed(_of_account(device_id))


@blueprint.get("/data/live")
@needs("read", "device")
@blueprint.response(200, {"type": "string"}, content_type="text/event-stream")
@blueprint.alt_response(503, schema=Failure, description="Too many streams.")
@blueprint.doc(parameters=schemas.LAST_EVENT)
def get_live() -> Response:
    """Server-sent events: `data`, whenever records of the device came or went."""
    return _live(_own)


@blueprint.get("/device/<device_id>/data/live")
@needs("read", "account", "analysis")
@blueprint.response(200, {"type": "string"}, content_type="text/event-stream")
@blueprint.alt_response(404, schema=Failure, description="`Invalid Device ID`")
@blueprint.alt_response(503, schema=Failure, description="Too many streams.")
@blueprint.doc(parameters=schemas.LAST_EVENT)
def get_device_live(device_id: str) -> Response:
    """Server-sent events: `data`, whenever records of a device of the account came or went."""
    return _live(lambda: _of_account(device_id))


def _own() -> DeviceRef:
    """The device of the token."""
    device = caller().device
    assert device is not None
    return device


def _of_account(device_id: str) -> DeviceRef:
    """A device of the account. Raises Refusal 403, 404."""
    return parts().registry.device(caller(), device_id)


def _found(device: DeviceRef) -> Response:
    with parts().shares.one(device.account):
        found = parts().data.find(device, request.args.items(multi=True))
    message = "" if found.message is None else f',"message":"{found.message}"'
    response = Response(f'{{"status":true,"result":{found.result}{message}}}', mimetype="application/json")
    if found.cursor is not None:
        _lead_on(response, found)
    return response


def _lead_on(response: Response, found: Answer) -> None:
    """Say where the list goes on. The link is relative: a gateway before this service may have another path."""
    response.headers["X-Next-Cursor"] = found.cursor
    kept = [(name, text) for name, text in request.args.items(multi=True) if name.lower() not in _NOT_IN_LINKS]
    link = f'<?{urlencode([*kept, ("cursor", found.cursor)])}>; rel="next"'
    if len(link) <= LONGEST_LINK:
        response.headers["Link"] = link


def _content() -> bytes:
    """The body. Raises Refusal 400 for text, which only a parser of the client's own could read."""
    content = request.get_data()
    if request.mimetype == "text/plain":
        raise refusals.body_invalid()
    return content


def _added(device: DeviceRef) -> Response:
    parts().ingest.check_room(device.account)
    content = request.get_data()
    # a large body is read in tens of milliseconds: those of one account take turns
    with parts().reading.one(device.account) if len(content) > LARGE_BODY else contextlib.nullcontext():
        body = Body(_content())
        if not device.active:
            raise refusals.deactivated()
        key = request.headers.get("Idempotency-Key")
        if key is not None and not 0 < len(key) <= LONGEST_KEY:
            raise refusals.key_too_long(LONGEST_KEY)
        if (failed := request.environ.get(FAILED)) is not None:
            raise failed
        read = body.read(parts().clock.now(), new_id())
    count = parts().ingest.add(device, read, idempotency=None if key is None else (key, hashlib.sha256(content).hexdigest()))
    return answer(f"{count} Data Added")


def _edited(device: DeviceRef) -> Response:
    return answer(f"{parts().data.edit(device, records.parse(_content()))} item(s) updated")


def _removed(device: DeviceRef) -> Response:
    with parts().shares.one(device.account):
        removed = parts().data.remove(device, request.args.items(multi=True))
    return answer(f"{removed} Data Removed")


def _live(find: Callable[[], DeviceRef]) -> Response:
    """A stream, in a place of its own for as long as it lasts. find: the device, of the caller of this request."""
    device = find()
    if not device.active:
        raise refusals.deactivated()
    live, tokens, registry, shown, kind = parts().live, parts().tokens, parts().registry, presented(), caller().kind

    def check() -> None:
        asks = tokens.caller(shown)
        now = asks.device if kind == "device" else registry.device(asks, device.id)
        if now is None or not now.active or asks.permission not in ("full", "read"):
            raise refusals.denied()

    events = live.follow(device, request.headers.get("Last-Event-ID"), check, ClientConnection(request.environ.get("gunicorn.socket")))
    live.take(device.account)
    response = Response(_encoded(events), content_type="text/event-stream; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(lambda: live.leave(device.account))
    return response


def _encoded(events: Iterator[str]) -> Iterator[bytes]:
    for event in events:
        yield event.encode()
