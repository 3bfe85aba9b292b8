"""What clients get to see of sessions and clients, with the field names of both generations of Tygron's SDK."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from services.sessions.items.rules import lists
from services.sessions.models import Client, Session
from services.sessions.sessions.rules import timing, types


def client(one: Client, now: dt.datetime, token: str | None = None) -> dict[str, Any]:
    """Show a client. token: only to itself."""
    return {
        "id": one.id,
        "address": one.address,
        "computerName": one.computer_name,
        "fullName": one.full_name,
        "userName": one.user_name,
        "subscription": one.app_type,
        "clientToken": token,
        "lastSeen": milliseconds(one.last_seen),
        "updated": one.polled,
        "connectionState": timing.state(now, one.last_seen, polled=one.polled, released=one.released_at is not None),
        "serverEventCounter": 0,
    }


def seen_by_others(one: Client, now: dt.datetime) -> dict[str, Any]:
    """Show a client to those who are in the session with it."""
    return {
        "id": one.id,
        "computerName": one.computer_name,
        "fullName": one.full_name,
        "appType": one.app_type,
        "state": timing.state(now, one.last_seen, polled=one.polled, released=one.released_at is not None),
    }


def joined(session: Session, one: Client, client_token: str, session_token: str, now: dt.datetime, *, today: bool) -> dict[str, Any]:
    """Answer a join. today: as today's clients name types, here and below."""
    return {
        "client": client(one, now, client_token),
        "serverToken": session_token,
        "apiToken": session_token,
        "platform": "Gatehouse",
        "sessionType": types.shown(session.started_as, today=today),
        "sessionID": session.id,
        "project": session.project_name,
        "languague": session.language,  # Tygron writes it so
        "language": session.language,
        "lists": list(lists.ALL),
    }


def info(
    session: Session, limit: dt.timedelta, *, today: bool, app_type: str | None = None, tokens: dict[str, str] | None = None
) -> dict[str, Any]:
    """Show a session to those who may join it. limit: how long it may be silent. app_type, tokens: of the client that may go on."""
    return {
        "id": session.id,
        "name": session.name,
        "project": session.project_name,
        "language": session.language,
        "tokenPair": tokens,
        "groupToken": session.group_token,
        "appType": app_type,
        "sessionType": types.shown(session.started_as, today=today),
        "wizardFinished": True,
        "detailed": session.detailed,
        "mapSizeM": [session.map_size_m, session.map_size_m],
        "timeoutMS": int(limit.total_seconds() * 1000),
    }


def data(session: Session, clients: Iterable[Client], now: dt.datetime, *, today: bool) -> dict[str, Any]:
    """Show a session to those who may host it."""
    return {
        "clients": [client(one, now) for one in clients],
        "sessionID": session.id,
        "name": session.name,
        "keepAlive": session.keep_alive,
        "sessionType": types.shown(session.started_as, today=today),
    }


def milliseconds(moment: dt.datetime) -> int:
    """Write a moment as milliseconds since 1970."""
    return int(moment.timestamp() * 1000)
