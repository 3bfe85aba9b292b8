"""`gunicorn -c deploy/gunicorn.service.py services.devices.wsgi:app`."""

from __future__ import annotations

import atexit
import gc
import threading

from services.common import logging as logs
from services.common import startup
from services.common.settings import SettingsError, load_or_exit
from services.devices.app import build
from services.devices.settings import load

# live streams are threads that wait; 512 KB of stack each is ample for Flask and SQLAlchemy
threading.stack_size(512 * 1024)
# a batch is hundreds of new objects, none of them in a circle: with the default of 700 the collector takes an eighth of its time
gc.set_threshold(50_000, 20, 20)

settings = load_or_exit("devices", load)
logs.configure("devices", settings.log_level)
try:
    app = build(settings)
    app.extensions["devices"].start()
    # calls of actions that are under way end first: one that is cut off would be made again, two minutes later
    atexit.register(app.extensions["devices"].courier.stop, 2.0)
except SettingsError as error:
    startup.stop("devices", "; ".join(error.mistakes))
except startup.FAILURES as error:
    startup.stop("devices", startup.in_a_line("devices", error))
gc.collect()
gc.freeze()  # what is there now stays
