"""`keys …`: find, show, create, revoke and rotate keys, and set the passwords of users."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from typing import Any
from urllib.parse import urlencode

import click

from services.common.clock import UTC, isoformat
from services.common.command_line import Duration, Failure, Group, Moment, fail, moment_text, print_table, show, table_time, time_of
from services.gateway.cli.client import REFUSED, Client, every_page, path_of, warn


@click.group(cls=Group)
def keys() -> None:
    """Keys of clients."""


@keys.command("list", example="./dev gateway keys list --api orders --tag trial")
@click.option("--api", help="Only the keys of this API.")
@click.option("--search", "q", help="A part of the alias.")
@click.option("--alias", help="The whole alias.")
@click.option("--owner", help="Whose keys.")
@click.option("--tag", multiple=True, help="A tag that they have (may be repeated).")
@click.option("--org", "org_id", help="Only the keys of this organisation.")
@click.option("--policy", help="Only the keys that name this policy.")
@click.pass_obj
def list_keys(
    client: Client, api: str | None, q: str | None, alias: str | None, owner: str | None, tag: tuple[str, ...], org_id: str | None,
    policy: str | None,
) -> None:  # fmt: skip
    """List keys, one line each, by alias, those without one last; secrets cannot be shown again. Users are shown by their name."""
    wanted = {"q": q, "alias": alias, "owner": owner, "org_id": org_id, "policy": policy}
    query = urlencode([(name, value) for name, value in wanted.items() if value] + [("tag", one) for one in tag])
    path = f"{path_of('api', 'apis', api, 'keys') if api else '/api/keys'}?{query}"
    found = every_page(client, path, lambda answer: answer["data"]["details"])
    found.sort(key=lambda one: (not one["alias"], one["alias"].casefold(), one["created_at"], one["id"]))
    rows = [
        (
            one["id"],
            one["alias"] or one["user_name"] or "",
            one["owner"],
            ",".join(one["apis"]) or ("all" if not one["is_inactive"] else ""),
            ",".join(one["policies"]),
            table_time(_ends(one)),
            time_of(one["last_used_at"]),
            _state(one),
        )
        for one in found
    ]
    columns = ("ID", "ALIAS", "OWNER", "APIS", "POLICIES", "EXPIRES", "LAST USED", "STATE")
    show(found, lambda: print_table(columns, rows, whole=("ID", "STATE")))


@keys.command("show", example="./dev gateway keys show 495837d4977d74133c08626e")
@click.argument("id")
@click.pass_obj
def show_key(client: Client, id: str) -> None:
    """Show one key (its id, or the name of a user) as JSON: what it says itself, and in `details` what counts with its policies."""
    click.echo(json.dumps(client.call("GET", path_of("api", "keys", id)), ensure_ascii=False, indent=2))


def _ends(key: dict[str, Any]) -> dt.datetime | None:
    """None = never, or a moment that no calendar has."""
    try:
        return dt.datetime.fromtimestamp(key["expires"], UTC) if key["expires"] > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _state(key: dict[str, Any]) -> str:
    return "inactive" if key["is_inactive"] else "expired" if 0 < key["expires"] <= time.time() else "active"


@keys.command("create", example="./dev gateway keys create --api orders --alias shop --rate 10 --per 1 --expires 90d")
@click.option("--api", "apis", multiple=True, help="An API the key may reach (may be repeated).")
@click.option("--all-apis", is_flag=True, help="The key may reach every API.")
@click.option("--version", "versions", multiple=True, default=("Default",), show_default=True, help="A version of these APIs.")
@click.option("--alias", default="", help="A name for the key.")
@click.option("--owner", default="", help="Whose key it is.")
@click.option("--tag", "tags", multiple=True, help="A word to find the key by (may be repeated).")
@click.option("--policy", "policies", multiple=True, help="A policy (may be repeated); what it says takes the place of the rest.")
@click.option("--org", "org_id", default="", help="The organisation; without it, that of the policies or of the first API.")
@click.option("--signed", is_flag=True, help="Requests are signed (HMAC); shows what with.")
@click.option("--rate", type=float, default=0, help="Requests in `--per` seconds; 0 = no limit.")
@click.option("--per", type=float, default=0, help="Seconds.")
@click.option("--quota", type=int, default=-1, help="Requests in `--quota-renewal` seconds; -1 = no limit.")
@click.option("--quota-renewal", type=Duration(), default=0, help="Seconds, or 12h, 30d; 0 = never renewed.")
@click.option(
    "--expires", type=Moment(), default="never", show_default=True, help="A date (2030-01-31, 2030-01-31T12:00Z), 90d, 12h, or never."
)
@click.pass_obj
def create_key(
    client: Client, apis: tuple[str, ...], all_apis: bool, versions: tuple[str, ...], alias: str, owner: str, tags: tuple[str, ...],
    policies: tuple[str, ...], org_id: str, signed: bool, rate: float, per: float, quota: int, quota_renewal: int,
    expires: dt.datetime | None,
) -> None:  # fmt: skip
    """Create a key. Its secret is shown only now.

    A date without a time means its first moment; a time without a zone is UTC.
    """
    if bool(apis or policies) == all_apis:
        raise click.UsageError("name the APIs with --api, or the policies with --policy, or say --all-apis")
    if (rate > 0) != (per > 0):
        raise click.UsageError("--rate and --per go together")
    session = {
        "access_rights": {api: {"api_id": api, "versions": list(versions)} for api in apis},
        "alias": alias, "owner": owner, "tags": list(tags), "rate": rate, "per": per,
        "quota_max": quota, "quota_renewal_rate": quota_renewal, "expires": int(expires.timestamp()) if expires else 0,
        "apply_policies": list(policies), "org_id": org_id, "hmac_enabled": signed,
    }  # fmt: skip
    answer = client.call("POST", "/api/keys", session)
    warn(answer)
    _show_secret({**answer, "expires_at": isoformat(expires) if expires else None}, f"\nexpires: {moment_text(expires)}")


def _show_secret(answer: dict[str, Any], more: str = "") -> None:
    signing = answer["data"].get("hmac_string", "")
    signed = f"\nsigning: {signing}" if signing else ""
    last = "Neither of them is shown again." if signing else "The secret is not shown again."
    show(answer, f"id:      {answer['id']}\nsecret:  {answer['key_id']}{signed}{more}\n{last}")


@keys.command("revoke", example="./dev gateway keys revoke 495837d4977d74133c08626e")
@click.argument("ids", nargs=-1, required=True)
@click.pass_obj
def revoke_keys(client: Client, ids: tuple[str, ...]) -> None:
    """Delete keys by their ids; when the command ends, they open nothing. When one does not exist, none is deleted."""
    chosen = list(dict.fromkeys(ids))
    try:
        answer = client.call("POST", "/api/gatehouse/keys/revoke", {"ids": chosen})
    except Failure as error:
        if error.details.get("code") != "key-not-found":
            raise
        unknown = [chosen[int(one["pointer"].rpartition("/")[2])] for one in error.details["mistakes"]]
        fail(f"no such key: {', '.join(unknown)}; nothing was revoked", REFUSED, {**error.details, "unknown": unknown})
    warn(answer)
    show({"revoked": answer["Meta"], "unconfirmed": answer.get("Unconfirmed", [])}, "\n".join(f"revoked {id}" for id in chosen))


@keys.command("rotate", example="./dev gateway keys rotate 495837d4977d74133c08626e --overlap 7d")
@click.argument("id")
@click.option("--overlap", type=Duration(), default="1d", show_default=True, help="How long the present secret still works.")
@click.pass_obj
def rotate_key(client: Client, id: str, overlap: int) -> None:
    """Create another secret for a key, and another one to sign requests with if it has one. They are shown only now."""
    answer = client.call("POST", path_of("api", "keys", id, "rotate"), {"overlap": overlap})
    warn(answer)
    _show_secret(answer)


@keys.command("user", example="./dev gateway keys user zoe --api orders < password.txt")
@click.argument("name")
@click.option("--api", "apis", multiple=True, help="An API the user may reach (may be repeated).")
@click.option("--version", "versions", multiple=True, default=("Default",), show_default=True, help="A version of these APIs.")
@click.option("--policy", "policies", multiple=True, help="A policy (may be repeated).")
@click.option("--org", "org_id", default="", help="The organisation; without it, that of the policies or of the first API.")
@click.pass_obj
def put_user(client: Client, name: str, apis: tuple[str, ...], versions: tuple[str, ...], policies: tuple[str, ...], org_id: str) -> None:
    """Create a user with a password, or give one another password.

    The password is asked for, or is the first line of the standard input. A user that exists keeps everything else, unless --api or
    --policy is given.
    """
    path = path_of("api", "apis", "keys", "basic", name)
    known = client.call("GET", path_of("api", "keys", (org_id or "default") + name), refusal=False)
    if not (apis or policies or known):
        raise click.UsageError("a new user needs --api or --policy; --org names the organisation of one that exists")
    session: dict[str, Any] = dict(known["data"]) if known and known["details"]["user_name"] else {}
    if apis or policies or not session:
        rights = {api: {"api_id": api, "versions": list(versions)} for api in apis}
        session |= {"access_rights": rights, "apply_policies": list(policies)}
    if org_id:
        session["org_id"] = org_id
    session["basic_auth_data"] = {"password": _password()}
    answer = client.call("POST", path + "?suppress_reset=1", session)
    warn(answer)
    show(answer, f"id:    {answer['id']}\nuser:  {name}")


def _password() -> str:
    """Read a password: never from an argument, which everybody on the machine can see."""
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return password
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise click.UsageError("the standard input holds no password")
    return password
