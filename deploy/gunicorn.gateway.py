"""gunicorn's settings for the gateway; what an operator chooses comes from `GATEWAY_…` (services/gateway/settings.py)."""

import gc
from typing import Any, clear_overloads

# Imported by the master, so that its workers share these pages, and one that died is back in a moment.
import services.gateway.app  # noqa: F401
from services.common.core_database import CoreDatabase
from services.common.migrations import head_revision
from services.common.settings import SettingsError, stop
from services.gateway import announcements
from services.gateway.settings import load, load_or_stop, operator_key
from services.gateway.worker import check_tls

# What libraries told type checkers; nobody asks for it here, and what is imported below takes its room.
clear_overloads()

_settings = load_or_stop()
try:
    check_tls(_settings)
except SettingsError as error:
    stop("gateway", error.mistakes)
head_revision("gateway")
# The driver of the database and the announcements' part for Valkey are imported by making what uses them; nothing connects.
CoreDatabase(_settings.database_url).dispose()
try:
    announcements.create(_settings.valkey_url, _settings.valkey_prefix)
except ValueError as error:
    stop("gateway", [f"VALKEY_URL cannot be used: {error}"])

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
# It would lie at one fixed path, which two gateways on one machine would share.
control_socket_disable = True
proc_name = "gatehouse"


def pre_fork(server: Any, worker: Any) -> None:
    """What the collector does not touch stays shared."""
    gc.collect()
    gc.freeze()


def on_starting(server: Any) -> None:
    """A HUP with settings that cannot serve changes nothing; gunicorn alone would end the whole gateway."""
    reload = server.reload

    def reload_if_sound() -> None:
        try:
            settings = load()
            operator_key(settings)
            check_tls(settings)
        except SettingsError as error:
            server.log.error("not reloaded, the gateway goes on as it is: %s", "; ".join(error.mistakes))
        else:
            reload()

    server.reload = reload_if_sound
