"""The command line: `./dev mobility --help`."""

from __future__ import annotations

import click

from services.common.command_line import Program, version_option
from services.mobility import spatial_index
from services.mobility.importing import commands


def _version() -> str:
    from services.mobility.web import VERSION  # loads Flask, which no command needs

    return VERSION


@click.group(cls=Program)
@version_option("mobility", _version)
def program() -> None:
    """Work on the data of the mobility service."""


program.add_command(commands.command)
program.add_command(spatial_index.command)

if __name__ == "__main__":
    program.main(prog_name="./dev mobility")
