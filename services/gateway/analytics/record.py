"""The record of one request, as Tyk's gateway writes it, made of what the recorder noted.

It names a key by its public id and has no query: keys travel in it. `RawPath` is the path that the access log has; `Path` is the path below
the listen path, with numbers and ids in it replaced, so that one endpoint is one path.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final, NamedTuple

from services.common.logging import mask_secrets
from services.gateway.analytics.detail import MASK
from services.gateway.analytics.paths import grouped
from services.gateway.exchange import CompiledApi
from services.gateway.keys.model import Key

# epoch seconds, API, key, method, path, path below the listen path, version, status, seconds spent, length of the body, head
Noted = tuple[float, CompiledApi, Key | None, str, str, str, str, int, float, int, str]

NOT_VERSIONED: Final = "Non Versioned"
DAY_S: Final = 86_400
_SWITCHING: Final = 101  # a tunnel lasts as long as its client likes
_LONGEST_NAME: Final = 200
_LONGEST_TAGS: Final = 2000


class Record(NamedTuple):
    """at: epoch milliseconds. expires: epoch seconds. request_us: microseconds from the head of the request to the end of its answer, 0 for
    a tunnel. content_length: of the request's body in bytes, -1 = chunked. tags: JSON. user_agent, raw_request: "" unless the API asks
    for detail.
    """

    at: int
    expires: int
    org_id: str
    api_id: str
    api_name: str
    version: str
    key_id: str
    alias: str
    tags: str
    oauth_id: str
    method: str
    path: str
    raw_path: str
    code: int
    request_us: int
    content_length: int
    user_agent: str
    raw_request: str


class Batch(NamedTuple):
    """Records that are written together. writer: a name that no other worker has. number: rises with each batch of the writer."""

    writer: str
    number: int


def kept_for(api: CompiledApi, keep_s: int) -> int:
    """Return how many seconds records of an API are kept. keep_s: what the setting says, which a definition only shortens."""
    return min(api.expire_analytics_after or keep_s, keep_s)


def record_of(noted: Noted, keep_s: int) -> Record:
    """Return the record of a request. keep_s: as of `kept_for`."""
    at, api, key, method, path, relative, version, status, spent, length, head = noted
    shown = mask_secrets(path)
    alias, tags, oauth_id = ("", "[]", "") if key is None else _said_by(key)
    return Record(
        at=int(at * 1000),
        expires=int(at) + kept_for(api, keep_s),
        org_id=api.org_id,
        api_id=api.api_id,
        api_name=api.name[:_LONGEST_NAME],
        version=_version(api.definition, version),
        key_id="" if key is None else key.id,
        alias=alias,
        tags=tags,
        oauth_id=oauth_id,
        method=method[:16],
        path=grouped(relative or "/" if shown == path else _masked(path, shown, relative)),
        raw_path=shown,
        code=status,
        request_us=0 if status == _SWITCHING else int(spent * 1_000_000),
        content_length=length,
        user_agent=_user_agent(head) if head else "",
        raw_request=head,
    )


def _masked(path: str, shown: str, relative: str) -> str:
    """Return the part of a masked path that is below the listen path. shown: the whole of it; what makes a secret of it may stand above."""
    above = path.removesuffix(relative)
    return shown.removeprefix(above) if above != path and shown.startswith(above) else f"/{MASK}"


def _said_by(key: Key) -> tuple[str, str, str]:
    """Return alias, tags and OAuth2 client of a key."""
    return key.alias[:_LONGEST_NAME], _tags(key.tags), str(key.session.get("oauth_client_id") or "")[:_LONGEST_NAME]


@lru_cache(1000)
def _tags(tags: tuple[str, ...]) -> str:
    text = json.dumps(tags, ensure_ascii=False)
    return text if len(text) <= _LONGEST_TAGS else "[]"


def _version(definition: Any, name: str) -> str:
    """definition: a bare mapping when the stored one does not compile."""
    return NOT_VERSIONED if getattr(definition, "not_versioned", True) else name or NOT_VERSIONED


def _user_agent(head: str) -> str:
    for line in head.split("\r\n"):
        name, _, value = line.partition(": ")
        if name.lower() == "user-agent":
            return value
    return ""
