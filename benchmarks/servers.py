"""The contenders: what each is, and how its own documentation starts it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.environments import CONTENDERS, FASTIFY, ROOT, VENV
from benchmarks.machine import cores, cpu_seconds, megabytes, pin

SECRET_KEY = "a secret for benchmarks, long enough to sign with"
BCRYPT_ROUNDS = 4
START_SECONDS = 60


@dataclass(frozen=True)
class Contender:
    """A server to measure. In its command `{port}` stands for where to listen."""

    name: str
    title: str
    command: tuple[str, ...]
    folder: Path = CONTENDERS
    peer: bool = True  # a framework in Python that does the same job


def _uvicorn(module: str) -> tuple[str, ...]:
    """As uvicorn's documentation advises for production, one worker; no contender but Tandem writes a log."""
    uvicorn = str(VENV / "bin" / "uvicorn")
    return (uvicorn, f"{module}:app", "--port", "{port}", "--no-access-log", "--log-level", "warning", "--workers", "1")


def _gunicorn(urls: str) -> tuple[str, ...]:
    """Django's "How to use Django with Gunicorn"; threads, since one worker may have one core."""
    gunicorn = str(VENV / "bin" / "gunicorn")
    threads = ("--worker-class", "gthread", "--workers", "1", "--threads", "10", "--keep-alive", "60")
    quiet = ("--log-level", "warning", "--no-control-socket")
    served = ("django_wsgi:application", "--env", f"ROOT_URLCONF={urls}")
    return (gunicorn, *served, "--bind", "127.0.0.1:{port}", *threads, *quiet)


CONTENDERS_BY_NAME = {
    contender.name: contender
    for contender in (
        Contender(
            "tandem",
            "Tandem",
            (sys.executable, "-m", "app", "serve", "--port", "{port}"),
            folder=ROOT,
            peer=False,
        ),
        Contender("limit", "the limit: raw ASGI, asyncpg, orjson", _uvicorn("limit"), peer=False),
        Contender("textbook", "FastAPI's tutorials", _uvicorn("textbook")),
        Contender("cadwyn", "Cadwyn over Tandem's core", _uvicorn("over_cadwyn")),
        Contender("litestar", "Litestar, SQLAlchemy async", _uvicorn("with_litestar")),
        Contender("ninja", "Django Ninja", _gunicorn("with_ninja")),
        Contender("drf", "Django REST framework", _gunicorn("with_drf")),
        Contender("fastify", "Fastify and pg, on Node", ("node", "server.js"), folder=FASTIFY, peer=False),
    )
}


class Server:
    """A contender that runs, for the length of a `with` block, on a free port and the server's core."""

    def __init__(self, contender: Contender, database_url: str, folder: Path, **environment: str) -> None:
        self.contender = contender
        self.port = free_port()
        self.log = folder / f"{contender.name}.log"
        self._environment = {**os.environ, **_settings(database_url), **environment}

    def __enter__(self) -> Self:
        command = [word.format(port=self.port) for word in self.contender.command]
        with self.log.open("wb") as log:
            self._popen = subprocess.Popen(
                command,
                cwd=self.contender.folder,
                env={**self._environment, "PORT": str(self.port)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.process = psutil.Process(self._popen.pid)
        pin(self.process, cores().server)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._popen.poll() is None:
            try:
                if self.get("/livez") == 200:
                    return self
            except OSError:
                time.sleep(0.02)
        self.__exit__(None, None, None)
        raise RuntimeError(f"{self.contender.name} did not start:\n{self.log.read_text()[-3000:]}")

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._popen.terminate()
        self._popen.wait(timeout=30)

    def get(self, path: str) -> int:
        """The status of a GET, over a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process)

    def megabytes(self) -> float:
        return megabytes(self.process)


def _settings(database_url: str) -> Mapping[str, str]:
    """The environment of every contender. Of the rest Tandem has its defaults, with all that they switch on."""
    return {
        "DATABASE_URL": database_url,
        "SECRET_KEY": SECRET_KEY,
        "BCRYPT_ROUNDS": str(BCRYPT_ROUNDS),
        "ACCESS_TOKEN_EXPIRE_MINUTES": "1440",
        "ENVIRONMENT": "production",
        "WORKERS": "1",
        "LOG_LEVEL": "INFO",
        "NODE_ENV": "production",
        "PYTHONPATH": str(ROOT),
        # Counted all the same, but nobody is refused.
        "RATE_LIMIT_ACCOUNT": "100000000/minute",
        "RATE_LIMIT_CLIENT": "100000000/minute",
        "RATE_LIMIT_ADDRESS": "100000000/minute",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
