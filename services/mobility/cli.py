"""The command line: `python -m services.mobility.cli --help`."""

from __future__ import annotations

import click

from services.common.command_line import Program
from services.mobility import spatial_index


@click.group(cls=Program)
def program() -> None:
    """Work on the data of the mobility service."""


program.add_command(spatial_index.command)

if __name__ == "__main__":
    program.main(prog_name="python -m services.mobility.cli")
