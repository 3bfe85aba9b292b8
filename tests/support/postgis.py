"""A PostgreSQL with PostGIS, where the machine has one: Debian's `postgresql-15-postgis-3` and its like. The wheel has no PostGIS."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg

from tests.support.stores import PostgreSQL
from tests.support.waiting import wait_until

ABSENT = "PostGIS is not installed on this machine (Debian: apt-get install postgresql-15-postgis-3)"
_SERVERS = Path("/usr/lib/postgresql")
_CONTROL = "/usr/share/postgresql/{}/extension/postgis.control"
_OLDEST = 15  # the first that can order all texts by ICU
_ORDER = ("--locale-provider=icu", "--icu-locale=en-US")  # texts in the order of people, as on most servers; the wheel has that of bytes
_USER = "postgres"  # that of Debian's package: the server refuses to run as root


def programs() -> Path | None:
    """Find the folder with the programs of the newest server that has PostGIS; None when there is none."""
    versions = sorted((int(path.name) for path in _SERVERS.glob("[0-9]*") if path.name.isdecimal()), reverse=True)
    usable = (version for version in versions if version >= _OLDEST and Path(_CONTROL.format(version)).exists())
    folders = (_SERVERS / str(version) / "bin" for version in usable)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


class Server:
    """A server on the socket in a folder, whose new databases have the extension. It keeps its data there."""

    def __init__(self, folder: Path) -> None:
        found = programs()
        assert found is not None, ABSENT
        self.folder = folder
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(_USER)
            os.chown(folder, user.pw_uid, user.pw_gid)
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
        options = ("--auth=trust", "--encoding=utf8", "--username=postgres", "--no-sync", *_ORDER)
        subprocess.run([found / "initdb", *options, "-D", folder], cwd=folder, check=True, capture_output=True, **as_user)
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [found / "postgres", "-D", folder, "-h", "", "-k", folder],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
                **as_user,
            )
        wait_until(self._answers, 30, "an answer of the server with PostGIS")
        with psycopg.connect(self.url("template1"), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION postgis")

    def url(self, database: str) -> str:
        return f"postgresql://postgres:@/{database}?host={self.folder}"

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text()
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url("postgres")).close()
            return True
        return False

    def stop(self) -> None:
        """End it with its connections."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class PostGIS(PostgreSQL):
    """As PostgreSQL; its new databases have the extension."""

    def _start(self) -> None:
        self._installed = Server(self._folder)

    def _stop(self) -> None:
        self._installed.stop()
