"""`gunicorn -c deploy/gunicorn.service.py services.auth.wsgi:app`."""

from __future__ import annotations

import atexit
import threading

from services.auth.app import build
from services.auth.settings import load
from services.common import logging as logs

threading.stack_size(512 * 1024)  # threads that wait for a password check need little

settings = load()
logs.configure("auth", settings.log_level)
app = build(settings)
app.extensions["auth"].start()
app.extensions["auth"].keep_house()
atexit.register(app.extensions["auth"].close)
