"""The processes that serve: how they are replaced, and how they stop without breaking a request."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.resource_tracker import ensure_running
from typing import Any

import structlog
import uvicorn
from uvicorn.supervisors import Multiprocess

LOOK_SECONDS = 0.1

log = structlog.get_logger("tandem")


class Supervisor(Multiprocess):
    """Uvicorn's, but for three things. It looks for dead workers more often, so that one is back within 2 s, and warns
    of them. It stops listening before its workers do: who connects while they end would be accepted by the kernel, kept
    waiting, and reset; refused at once, they go to another node. And Ctrl-C, which a terminal sends to all processes,
    is held back from a worker until it can stop in order (see `app.main.create_worker`): one that still imports would
    die of it, amid a traceback.
    """

    def run(self) -> None:
        ensure_running()  # multiprocessing's helper: as it starts, it lets SIGINT through again
        with _interrupted_later():
            self.init_processes()
        while not self.should_exit.wait(LOOK_SECONDS):
            for process in self.processes:
                # The worker's end of the pipe it is asked through. While it is open here too, a worker that dies as it
                # is asked is waited for until the health check times out.
                process.child_conn.close()
            with _interrupted_later():
                self.handle_signals()
                before = list(self.processes)
                self.keep_subprocess_alive()
            for process in before:
                if process not in self.processes:
                    log.warning("worker died", pid=process.pid, exit_code=process.exitcode)
        for listener in self.sockets:
            listener.close()
        self.terminate_all()
        self.join_all()


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Hold SIGINT back for the length of the block. A process that is started in it does so until it says otherwise."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def run(app: str, **options: Any) -> None:
    """As uvicorn.run, which takes the same options."""
    # A worker that does not answer its supervisor is taken for hung: one that only starts slowly must have the time.
    options = {"timeout_worker_healthcheck": 30, **options}
    if options["workers"] == 1:
        uvicorn.run(app, **options)
        return
    config = uvicorn.Config(app, **options)
    Supervisor(config, sockets=[config.bind_socket()]).run()
