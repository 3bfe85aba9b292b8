"""`gunicorn -c deploy/gunicorn.service.py services.auth.wsgi:app`."""

from __future__ import annotations

import atexit
import sys
import threading

from sqlalchemy.exc import SQLAlchemyError

from services.auth import refusals
from services.auth.app import build
from services.auth.settings import load
from services.common import logging as logs
from services.common.app import Refusal
from services.common.migrations import NotMigrated, check_migrated

threading.stack_size(512 * 1024)  # threads that wait for a password check need little

settings = load()
logs.configure("auth", settings.log_level)
try:
    app = build(settings)
    check_migrated("auth", app.extensions["database"])
    app.extensions["auth"].start()
except (NotMigrated, Refusal, SQLAlchemyError, OSError) as error:
    sys.stderr.write(f"auth: cannot start: {refusals.in_a_line(error)}\n")
    sys.exit(3)  # gunicorn's own: the master stops, too, instead of starting the worker again and again
app.extensions["auth"].keep_house()
atexit.register(app.extensions["auth"].close)
