"""`keys …`"""

from __future__ import annotations

import click

from services.gateway.cli.client import Client, path_of, print_table, warn


@click.group()
def keys() -> None:
    """Keys of clients."""


@keys.command("list")
@click.option("--api", help="Only the keys of this API.")
@click.pass_obj
def list_keys(client: Client, api: str | None) -> None:
    """One line a key; secrets are not known any more."""
    found = client.call("GET", (path_of("api", "apis", api, "keys") if api else "/api/keys") + "?p=-1")["data"]["details"]

    def text() -> None:
        rows = [("ID", "ALIAS", "OWNER", "APIS", "LAST USED", "STATE")]
        for one in found:
            state = "inactive" if one["is_inactive"] else "active"
            rows.append((one["id"], one["alias"], one["owner"], ",".join(one["apis"]) or "all", one["last_used_at"] or "never", state))
        print_table(rows)

    client.show(found, text)


@keys.command("create")
@click.option("--api", "apis", multiple=True, help="An API the key may reach (may be repeated).")
@click.option("--all-apis", is_flag=True, help="The key may reach every API.")
@click.option("--version", "versions", multiple=True, default=("Default",), show_default=True, help="A version of these APIs.")
@click.option("--alias", default="", help="A name for the key.")
@click.option("--owner", default="", help="Whose key it is.")
@click.option("--tag", "tags", multiple=True)
@click.option("--rate", type=float, default=0, help="Requests in `--per` seconds; 0 = no limit.")
@click.option("--per", type=float, default=0, help="Seconds.")
@click.option("--quota", type=int, default=-1, help="Requests in `--quota-renewal` seconds; -1 = no limit.")
@click.option("--quota-renewal", type=int, default=0, help="Seconds; 0 = never renewed.")
@click.option("--expires", type=int, default=0, help="Epoch seconds; 0 = never.")
@click.pass_obj
def create_key(
    client: Client, apis: tuple[str, ...], all_apis: bool, versions: tuple[str, ...], alias: str, owner: str, tags: tuple[str, ...],
    rate: float, per: float, quota: int, quota_renewal: int, expires: int,
) -> None:  # fmt: skip
    """Make a key. Its secret is shown this once."""
    if bool(apis) == all_apis:
        raise click.UsageError("name the APIs with --api, or say --all-apis")
    if (rate > 0) != (per > 0):
        raise click.UsageError("--rate and --per go together")
    session = {
        "access_rights": {api: {"api_id": api, "versions": list(versions)} for api in apis},
        "alias": alias, "owner": owner, "tags": list(tags), "rate": rate, "per": per,
        "quota_max": quota, "quota_renewal_rate": quota_renewal, "expires": expires,
    }  # fmt: skip
    answer = client.call("POST", "/api/keys", session)
    warn(answer)
    client.show(answer, lambda: click.echo(f"id:     {answer['id']}\nsecret: {answer['key_id']}\nThe secret is not shown again."))


@keys.command("revoke")
@click.argument("ids", nargs=-1, required=True)
@click.pass_obj
def revoke_keys(client: Client, ids: tuple[str, ...]) -> None:
    """Delete keys by their ids; they open nothing any more when this ends."""
    for id in ids:
        warn(client.call("DELETE", path_of("api", "keys", id)))
    client.show({"revoked": list(ids)}, "\n".join(f"revoked {id}" for id in ids))


@keys.command("rotate")
@click.argument("id")
@click.option("--overlap", type=int, default=86400, show_default=True, help="Seconds for which the present secret still works.")
@click.pass_obj
def rotate_key(client: Client, id: str, overlap: int) -> None:
    """Make another secret for a key. It is shown this once."""
    answer = client.call("POST", path_of("api", "keys", id, "rotate"), {"overlap": overlap})
    warn(answer)
    client.show(answer, lambda: click.echo(f"id:     {answer['id']}\nsecret: {answer['key_id']}\nThe secret is not shown again."))
