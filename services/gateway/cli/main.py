"""The command line of an operator: the operator API over HTTP. `./dev gateway --help`

The key comes from a file or the environment, never from an argument: everybody on the machine can see arguments.
Exit status: 0 done, 1 refused (the mistakes are on the standard error), 2 wrong usage, 3 the gateway cannot be reached.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from services.common.command_line import Program, fail, version_option
from services.gateway.cli.activity import activity
from services.gateway.cli.client import WRONG_USAGE, Client
from services.gateway.cli.definitions import definitions
from services.gateway.cli.exporting import exporting
from services.gateway.cli.importing.commands import importing
from services.gateway.cli.keys import keys
from services.gateway.cli.operators import audit, operators
from services.gateway.cli.policies import organisations, policies
from services.gateway.cli.webhooks import deliveries, hooks
from services.gateway.version import VERSION


@click.group(cls=Program)
@click.option("--url", envvar="GATEHOUSE_URL", default="http://127.0.0.1:8081", show_default=True, help="The operator port.")
@click.option(
    "--key-file",
    envvar="GATEHOUSE_KEY_FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("var/gateway/operator.key"),
    show_default=True,
    help="File with the operator key, or your access key; the variable GATEHOUSE_KEY takes precedence.",
)
@click.option("--author", envvar="GATEHOUSE_AUTHOR", default="", help="Who you are; it appears in the history.")
@version_option("gateway", lambda: VERSION)
@click.pass_context
def main(context: click.Context, url: str, key_file: Path, author: str) -> None:
    """Definitions, keys, policies, webhooks and operators of a running gateway."""
    context.obj = Client(url.rstrip("/"), lambda: _operator_key(key_file), author)


def _operator_key(file: Path) -> str:
    """Read the key, only when a call is made: help needs none."""
    key = os.environ.get("GATEHOUSE_KEY", "")
    if key:
        return key
    try:
        return file.read_text().strip()
    except OSError as error:
        fail(
            f"the operator key cannot be read from {file}: {error.strerror}; name its file with --key-file (`./dev up` creates it)",
            WRONG_USAGE,
        )
    except UnicodeDecodeError:
        fail(f"{file} holds no operator key: it is not text; name the right file with --key-file", WRONG_USAGE)


for part in (definitions, keys, policies, organisations, hooks, deliveries, operators, audit, activity, importing, exporting):
    main.add_command(part)
