"""A small API of somebody else's, over HTTP, that says of its life what a test tells it to."""

from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Self


class Announcer:
    """Answers every request with `status` and `headers`, for the length of a `with` block; `seen` has the requests."""

    def __init__(self, headers: Sequence[tuple[str, str]] = (), status: int = 200) -> None:
        self.headers = headers
        self.status = status
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        announcer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                announcer.seen.append((self.command, self.path, dict(self.headers.items())))
                self.send_response(announcer.status)
                for name, value in announcer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815  the names the standard library looks for

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
