"""`gunicorn -c deploy/gunicorn.service.py services.sessions.wsgi:app`."""

from __future__ import annotations

import sys
import threading

from services.common import logging as logs
from services.common import startup
from services.common.settings import load_or_exit
from services.sessions.app import build
from services.sessions.settings import load

# streams, and polls that are not plain, are threads that wait; 512 KB of stack each is ample for Flask and SQLAlchemy
threading.stack_size(512 * 1024)
# many wake at once when a session changes; with the default of 5 ms each would hold up the next one for as long
sys.setswitchinterval(0.0005)

settings = load_or_exit("sessions", load)
logs.configure("sessions", settings.log_level)
try:
    app = build(settings)
    app.extensions["sessions"].start()
except startup.FAILURES as error:
    startup.stop("sessions", startup.in_a_line("sessions", error))
