"""The command line: `python -m services.auth.cli --help`. Works on the database of the settings, beside a running service or without it."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from typing import Any

import click
from marshmallow import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from services.auth import levels, refusals
from services.auth.audit.rules import COMMAND_LINE
from services.auth.credentials.rules.opaque import generated_secret
from services.auth.credentials.schemas import NewRoleToken
from services.auth.models import User
from services.auth.people.rules import FIRST_DOMAIN, WEEK_S
from services.auth.people.schemas import NewDomain, NewUser
from services.auth.settings import load
from services.auth.signing.rules import ALGORITHMS, SUBJECTS
from services.auth.wiring import Parts, master_key
from services.common import logging as logs
from services.common.clock import SystemClock, isoformat
from services.common.command_line import Duration, Program, moment_text, show, version_option
from services.common.refusal import Refusal
from services.common.settings import load_or_exit
from services.common.startup import in_a_line


class _Commands(Program):
    """Commands that say in one line what is wrong, instead of a trace."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except ValidationError as error:
            raise click.ClickException(in_a_line("auth", refusals.invalid_document(error.messages_dict))) from None
        except (Refusal, OSError) as error:
            raise click.ClickException(in_a_line("auth", error)) from None
        except SQLAlchemyError as error:
            raise click.ClickException(f"{in_a_line('auth', error)}. Is it migrated? python -m services.common.migrate auth") from None


def _parts() -> Parts:
    settings = load_or_exit("auth", load)
    logs.configure("auth", "WARNING")
    parts = Parts(settings, SystemClock(), master_key(settings))
    click.get_current_context().call_on_close(parts.close)
    parts.keys.ensure(COMMAND_LINE)
    return parts


def _password(given: str | None) -> tuple[str, bool]:
    """Return the password and whether it was generated here. `-` reads it from the standard input: a list of processes shows arguments."""
    if given == "-":
        return sys.stdin.readline().rstrip("\r\n"), False
    return (given, False) if given else (generated_secret(24), True)


def _password_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--password", help="`-` reads it from the standard input; left out: one is made and shown.")(command)


def _add(parts: Parts, email: str, domain: str, level: str, name: str, password: str | None) -> None:
    chosen, made = _password(password)
    fields = {"email": email, "domain": domain, "level": level, "full_name": name, "password": chosen}
    user = parts.people.add(None, NewUser().load(fields), COMMAND_LINE)
    _show_user(user, f"user {user.id} {user.email} {user.level}", chosen if made else None)


def _show_user(user: User, text: str, password: str | None) -> None:
    """Print a user. password: one that was generated here and is shown this once; None when the caller knows it."""
    document = {"id": str(user.id), "email": user.email, "level": user.level}
    show(document if password is None else {**document, "password": password}, text + (f"\npassword {password}" if password else ""))


def _version() -> str:
    from services.auth.web import VERSION  # loads Flask, which no other command needs

    return VERSION


@click.group(cls=_Commands)
@version_option("auth", _version)
def main() -> None:
    """Users, role tokens and signing keys of the auth service."""


@main.command("create-admin", example="./dev auth create-admin ann@example.org")
@click.argument("email")
@click.option("--name", default="Administrator", show_default=True)
@_password_option
def create_admin(email: str, name: str, password: str | None) -> None:
    """Create a super user, and its domain when it does not exist."""
    parts = _parts()
    if not parts.domains.known(FIRST_DOMAIN):
        parts.domains.add(FIRST_DOMAIN, WEEK_S, COMMAND_LINE)
    _add(parts, email, FIRST_DOMAIN, levels.SUPER_USER, name, password)


@main.command("add-domain", example="./dev auth add-domain north --login-key-lifetime 7d")
@click.argument("name")
@click.option("--login-key-lifetime", type=Duration(), default=WEEK_S, show_default=True, help="Seconds, or 12h, 7d.")
def add_domain(name: str, login_key_lifetime: int) -> None:
    """Create a domain."""
    given = NewDomain().load({"name": name, "login_key_lifetime_s": login_key_lifetime})
    _parts().domains.add(given["name"], given["login_key_lifetime_s"], COMMAND_LINE)
    show({"domain": name}, f"domain {name}")


@main.command("add-user", example="./dev auth add-user bob@example.org --name Bob")
@click.argument("email")
@click.option("--domain", default=FIRST_DOMAIN, show_default=True)
@click.option("--level", type=click.Choice(levels.ALL), default=levels.JOIN_ONLY, show_default=True)
@click.option("--name", default="")
@_password_option
def add_user(email: str, domain: str, level: str, name: str, password: str | None) -> None:
    """Create a user."""
    _add(_parts(), email, domain, level, name, password)


@main.command("set-password", example="./dev auth set-password bob@example.org")
@click.argument("email")
@_password_option
def set_password(email: str, password: str | None) -> None:
    """Give a user a new password; ends all sign-ins and the login key."""
    parts = _parts()
    user = parts.people.by_email(email)
    if user is None:
        raise click.ClickException(f"there is no user {email}; add-user makes one")
    chosen, made = _password(password)
    parts.people.set_password(None, user.id, chosen, COMMAND_LINE)
    _show_user(user, f"user {user.id} {user.email}", chosen if made else None)


@main.command("role-token", example="./dev auth role-token generator --expires-in 90d")
@click.argument("subject", type=click.Choice(SUBJECTS))
@click.option("--label", default="")
@click.option("--expires-in", type=Duration(), help="Seconds, or 12h, 90d; left out: never.")
@click.option("--not-before", type=click.DateTime(), help="UTC.")
def role_token(subject: str, label: str, expires_in: int | None, not_before: dt.datetime | None) -> None:
    """Issue a role token; prints the JWT alone on the standard output."""
    starts = not_before.isoformat() if not_before else None
    given = NewRoleToken().load({"subject": subject, "label": label, "expires_in": expires_in, "not_before": starts})
    kept, token = _parts().role_tokens.issue(given["subject"], given["label"], given["expires_in"], given["not_before"], COMMAND_LINE)

    def text() -> None:
        click.echo(f"jti {kept.jti}, expires {moment_text(kept.expires_at)}", err=True)
        click.echo(token)

    show({"jti": str(kept.jti), "expires": isoformat(kept.expires_at) if kept.expires_at else None, "token": token}, text)


@main.command("rotate-keys", example="./dev auth rotate-keys")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default="EdDSA", show_default=True)
@click.option("--end-former", is_flag=True, help="Delete all other keys: every JWT that they signed ends. For a key that has leaked.")
def rotate_keys(algorithm: str, end_former: bool) -> None:
    """Sign with a new key from now on; the old one stays published as long as a token needs it."""
    kid = _parts().keys.rotate(algorithm, COMMAND_LINE, end_former=end_former).kid
    show({"key": kid}, f"key {kid}")


if __name__ == "__main__":
    main(prog_name="./dev auth")
