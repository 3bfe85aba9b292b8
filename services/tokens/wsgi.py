"""`gunicorn -c deploy/gunicorn.service.py services.tokens.wsgi:app`."""

from __future__ import annotations

import sys
import threading

from services.common import logging as logs
from services.common import startup
from services.common.settings import load_or_exit
from services.tokens.app import build
from services.tokens.settings import load

# a thousand polls are a thousand threads that wait; 512 KB of stack each is ample for Flask and SQLAlchemy
threading.stack_size(512 * 1024)
# an answer passes through the interpreter's lock several times, once after each word with the store; with the default of 5 ms
# the 95th percentile of a visitor's wait was 100 ms on PostgreSQL under load, with this one 16 ms
sys.setswitchinterval(0.0005)

settings = load_or_exit("tokens", load)
logs.configure("tokens", settings.log_level)
try:
    app = build(settings)
    app.extensions["tokens"].start()
except startup.FAILURES as error:
    startup.stop("tokens", startup.in_a_line("tokens", error))
