"""`gunicorn -c deploy/gunicorn.service.py services.auth.wsgi:app`."""

from __future__ import annotations

import atexit
import threading

from services.auth.app import build
from services.auth.settings import load
from services.common import logging as logs
from services.common import startup
from services.common.refusal import Refusal
from services.common.settings import load_or_exit

threading.stack_size(512 * 1024)  # threads that wait for a password check need little

settings = load_or_exit("auth", load)
logs.configure("auth", settings.log_level)
try:
    app = build(settings)
    if startup.answers("auth", app.extensions["database"]):
        app.extensions["auth"].start()
except (Refusal, *startup.FAILURES) as error:
    startup.stop("auth", startup.in_a_line("auth", error))
app.extensions["auth"].start_housekeeping()
atexit.register(app.extensions["auth"].close)
