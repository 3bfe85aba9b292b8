"""`gunicorn -c deploy/gunicorn.service.py services.mobility.wsgi:app`."""

from __future__ import annotations

import gc

from services.common import logging as logs
from services.common import startup
from services.common.settings import SettingsError, load_or_exit
from services.mobility.app import build
from services.mobility.settings import load

# a bulk is tens of thousands of new objects, none of them in a circle: with the default of 700 the collector takes a third of its time
gc.set_threshold(50_000, 20, 20)

settings = load_or_exit("mobility", load)
logs.configure("mobility", settings.log_level)
try:
    app = build(settings)
    app.extensions["mobility"].start()
except SettingsError as error:
    startup.stop("mobility", "; ".join(error.mistakes))
except startup.FAILURES as error:
    startup.stop("mobility", startup.in_a_line("mobility", error))
gc.collect()
gc.freeze()  # what is there now stays
