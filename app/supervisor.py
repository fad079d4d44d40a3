"""The processes that serve: how they are replaced, and how they stop without breaking a request."""

from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

LOOK_SECONDS = 0.1


class Supervisor(Multiprocess):
    """Uvicorn's, but for two things. It looks for dead workers more often, so that one is back within 2 s. And it
    stops listening before its workers do: who connects while they end would be accepted by the kernel, kept waiting,
    and reset; refused at once, they go to another node.
    """

    def run(self) -> None:
        self.init_processes()
        while not self.should_exit.wait(LOOK_SECONDS):
            self.handle_signals()
            self.keep_subprocess_alive()
            for process in self.processes:
                # The worker's end of the pipe it is asked through. While it is open here too, a worker that dies as it
                # is asked is waited for until the health check times out.
                process.child_conn.close()
        for listener in self.sockets:
            listener.close()
        self.terminate_all()
        self.join_all()


def run(app: str, **options: Any) -> None:
    """As uvicorn.run, which takes the same options."""
    # A worker that does not answer its supervisor is taken for hung: one that only starts slowly must have the time.
    options = {"timeout_worker_healthcheck": 30, **options}
    if options["workers"] == 1:
        uvicorn.run(app, **options)
        return
    config = uvicorn.Config(app, **options)
    Supervisor(config, sockets=[config.bind_socket()]).run()
