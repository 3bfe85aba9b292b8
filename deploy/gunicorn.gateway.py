"""gunicorn's settings for the gateway; what an operator chooses comes from `GATEWAY_…` (services/gateway/settings.py)."""

import gc
import os
from pathlib import Path
from typing import Any, clear_overloads

from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from services.gateway import machine_code

# Before anything is imported that the library has, too.
try:
    _found = machine_code.install()
except machine_code.Unusable as reason:
    from services.common.settings import stop

    stop("gateway", [f"GATEWAY_COMPILED is 1, but {reason}"])

# Imported by the master, so that its workers share these pages, and one that died is back in a moment.
import services.gateway.app  # noqa: F401
from services.common import logging as logs
from services.common.core_database import CoreDatabase, holds_something_else
from services.common.metrics import board
from services.common.migrations import NotMigrated, check_migrated, head_revision
from services.common.settings import SettingsError, load_or_exit
from services.common.startup import in_a_line
from services.common.stopping import lose_no_request, lose_no_signal
from services.gateway.announcements import factory as announcements
from services.gateway.certificates import check_tls
from services.gateway.settings import Settings, load, load_with_key, operator_key
from services.gateway.stores.sealing import Sealing, WrongMasterKey
from services.gateway.worker import GatewayWorker

# The overloads that libraries registered for type checkers: nobody asks for them here, and what is imported below takes their room.
clear_overloads()


def _check(settings: Settings) -> None:
    """Check the settings, without connecting: a server that is away may come back. Raises SettingsError."""
    check_tls(settings)
    try:
        announcements.create(settings.valkey_url, settings.valkey_prefix)
    except ValueError as error:
        raise SettingsError([f"VALKEY_URL cannot be used: {error}"]) from None
    try:
        database = CoreDatabase(settings.database_url)
        database.dispose()
    except OSError as error:
        raise SettingsError([f"GATEWAY_DATABASE_URL cannot be used: {in_a_line('gateway', error)}"]) from None
    except (ArgumentError, ValueError) as error:
        raise SettingsError([f"GATEWAY_DATABASE_URL cannot be used: {error}"]) from None
    file = Path(database.engine.url.database or "")
    if database.dialect == "sqlite" and file.exists():
        if not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
            raise SettingsError([f"GATEWAY_DATABASE_URL cannot be used: {file} is not a file that can be read and written by this account"])
        if holds_something_else(file):
            raise SettingsError([f"GATEWAY_DATABASE_URL cannot be used: {file} is not an SQLite database"])


logs.configure("gateway")
if _found.why:
    logs.get("services.gateway.machine_code").warning("build not used", reason=_found.why)


def _load() -> Settings:
    settings = load_with_key()
    _check(settings)
    return settings


# In the master: `_check` imports the driver of the database, and the workers share its pages.
_settings = load_or_exit("gateway", _load)
head_revision("gateway")

wsgi_app = "services.gateway.wsgi:app"
bind = [str(_settings.proxy_bind), str(_settings.operator_bind)]
workers = _settings.workers
worker_class = "services.gateway.worker.GatewayWorker"
backlog = 2048
timeout = 30
graceful_timeout = _settings.graceful_timeout
# The worker writes its own access log, and answers its own health.
accesslog = None
errorlog = "-"
loglevel = "warning"
# It has one fixed path, which two gateways on one machine would share.
control_socket_disable = True
proc_name = "gatehouse"


def pre_fork(server: Any, worker: Any) -> None:
    """Keep what is loaded out of garbage collection: memory that the collector does not touch stays shared."""
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    board.share(worker.wsgi.extensions)


def nworkers_changed(server: Any, new: int, old: int | None) -> None:
    """Keep to one worker without Valkey: more would each admit the whole of a limit, and TTIN and `-w` do not know that."""
    if new > 1 and _settings.valkey_url is None:
        server.log.error("further workers refused: they need VALKEY_URL, because limits would not be exact otherwise")
        server.num_workers = 1
        server.cfg.set("workers", 1)  # a reload starts as many before it looks how many there may be


def _check_database(settings: Settings) -> None:
    """Check that workers could load from the database now; wait at most 5 s for its answer. Raises SettingsError."""
    database = CoreDatabase(settings.database_url)
    try:
        check_migrated("gateway", database)
        Sealing(database, settings).check()
    except (NotMigrated, WrongMasterKey) as error:
        raise SettingsError([str(error)]) from None
    except SQLAlchemyError as error:
        raise SettingsError([in_a_line("gateway", error)]) from None
    finally:
        database.dispose()


def on_starting(server: Any) -> None:
    _reload_if_sound(server)
    _replace_leaving(server)
    lose_no_signal(server)
    _end_together(server)
    lose_no_request(server)  # before its workers are told that they end together


def _end_together(server: Any) -> None:
    """Let no worker wait for a successor when the master ends."""
    end = server.stop

    def end_all(*arguments: Any, **more: Any) -> None:
        if GatewayWorker.succession is not None:
            GatewayWorker.succession.end()
        end(*arguments, **more)

    server.stop = end_all


def _replace_leaving(server: Any) -> None:
    """Start the successor of a worker at once when it is told to stop.

    gunicorn alone starts it when the old one has ended, and until then nobody would take connections.
    """
    manage_workers = server.manage_workers

    def manage_those_that_stay() -> None:
        leaving = {pid: worker for pid, worker in server.WORKERS.items() if worker.leaving}
        for pid in leaving:
            del server.WORKERS[pid]
        try:
            manage_workers()
        finally:
            server.WORKERS.update(leaving)

    server.manage_workers = manage_those_that_stay


def _reload_if_sound(server: Any) -> None:
    """Refuse a HUP when new workers could not serve: gunicorn alone would end the old ones, or the whole gateway."""
    reload = server.reload

    def reload_if_sound() -> None:
        try:
            settings = load()
            operator_key(settings)
            _check(settings)
            _check_database(settings)
        except SettingsError as error:
            server.log.error("reload refused: %s", "; ".join(error.mistakes))
        else:
            reload()

    server.reload = reload_if_sound
