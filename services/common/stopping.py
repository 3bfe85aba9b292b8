"""What gunicorn's master does besides, so that a process which is told to stop loses no request and no signal."""

from __future__ import annotations

import signal
from typing import Any, Final

from services.common.listening import refuse_new

# The signals that tell a worker to stop.
ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
# Seconds that a worker which is told to stop still accepts connections: handshakes under way need a round trip, and when a whole group of
# processes is told at once, a worker may hear it before its master has refused new ones.
STILL_ACCEPTS_S: Final = 0.2


def lose_no_request(master: Any) -> None:
    """Refuse new connections when the master begins to stop; its workers accept those that came before. To be called in `on_starting`."""
    stop = master.stop

    def refuse_and_stop(graceful: bool = True) -> None:
        # One that is listened at by another master (USR2), or by systemd for the next one, must stay as it is.
        if graceful and master.reexec_pid == master.master_pid == 0 and not master.systemd:
            for listener in master.LISTENERS:
                refuse_new(listener)
        stop(graceful)

    master.stop = refuse_and_stop


def lose_no_signal(master: Any) -> None:
    """Hold back the signals that end a worker until it has handlers of its own. To be called in `on_starting`.

    Until then it has its master's, which would only note a signal in a queue that the worker never reads. The worker lets them through in
    `init_signals`.
    """
    spawn_worker = master.spawn_worker

    def spawn_with_signals_waiting() -> Any:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            return spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    master.spawn_worker = spawn_with_signals_waiting
