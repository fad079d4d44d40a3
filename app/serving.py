"""The server's end of a connection: uvicorn's own, with bounds on what one connection may cost.

uvicorn takes a head of any size, at any pace, and waits forever for whoever does not read the reply. What is bounded
here, and through which of its interfaces, docs/decisions/0016 says.
"""

import re
from asyncio import AbstractEventLoop, TimerHandle, Transport
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, cast

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.versioning import Problem, ProblemType
from app.versioning.problems import HEADERS_TOO_LARGE, MALFORMED_REQUEST, REQUEST_TIMEOUT, URI_TOO_LONG

MOST_CORKED = 64 * 1024  # bytes; whoever streams more is to hear when the client takes no more
LEAST_TAKEN = 64 * 1024  # of a reply, within `timeout`, unless less is left
LAST_CALL_SECONDS = 1.0
_FIRST_SEGMENT = re.compile(rb"/[A-Za-z0-9]*")


@dataclass(frozen=True)
class Bounds:
    """`header_bytes` is how large the head of a request may be. `timeout`, in seconds, is how long a request may take
    to arrive, from its first byte to its last, and how long a client may take nothing of a reply.
    """

    header_bytes: int
    timeout: float


class Phase(Enum):
    """Which part of a request comes next."""

    NOTHING = auto()  # none has begun
    HEAD = auto()
    BODY = auto()


class Corked:
    """A transport that sends in one piece what is written in one go: uvicorn writes a reply's head and body apart, and
    each piece costs a system call here, a packet on the way, and whoever waits for it another awakening.
    """

    def __init__(self, transport: Any, loop: AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written = bytearray()

    def write(self, data: bytes) -> None:
        if not self._written:
            self._loop.call_soon(self._send)
        self._written += data
        if len(self._written) >= MOST_CORKED:
            self._send()

    def _send(self) -> None:
        written, self._written = self._written, bytearray()
        if written and not self._transport.is_closing():
            self._transport.write(bytes(written))

    def close(self) -> None:
        self._send()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Parser(HttpRequestParser):
    """httptools', for a server that speaks nothing but HTTP/1.1. Who offers another protocol, as Java's client does in
    its first request, may be answered as if they did not (RFC 9110, section 7.8). But httptools reads no body then, and
    takes what follows the head for that protocol: so the head is read once more, without the offer.
    """

    def __init__(self, protocol: "BoundedHttp") -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self._protocol = protocol

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # what uvicorn feeds
        while data:
            try:
                super().feed_data(data)
                return
            except HttpParserUpgrade as offer:
                if not self.offers_protocol():
                    raise
                super().feed_data(self._protocol.head_without_offer())
                data = data[offer.args[0] :]

    def offers_protocol(self) -> bool:
        """Whether the request may be answered as if it had no Upgrade; CONNECT has no meaning but to change."""
        return self.should_upgrade() and self.get_method() != b"CONNECT"


class BoundedHttp(HttpToolsProtocol):
    """One connection: an `asyncio.Protocol`, and the callbacks of an `httptools.HttpRequestParser`.

    What is wrong with a request is left to the application to answer, by `scope["state"]["refusal"]`, so that also
    these replies have the form of the path's version, a request id, all headers and a log line. Then it is closed.
    """

    def __init__(self, bounds: Bounds, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self.parser: Parser = Parser(self)
        self._bounds = bounds
        self._phase = Phase.NOTHING
        self._refused = False
        self._stopping = False
        self._unframed = 0  # bytes since the last that completed a head or belonged to a body
        self._arriving_since: float | None = None  # None between two requests
        self._arrived_at = 0.0  # when the last one was complete
        self._unsent = 0  # of the reply, when the client last took enough of it
        self._taken_at = 0.0
        self._watching: TimerHandle

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast(Transport, Corked(transport, self.loop)))
        self._arriving_since = self._taken_at = self.loop.time()
        self._watch_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watching.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Called when the server stops. uvicorn would close every idle connection at once, though a request may be on
        its way: it is given LAST_CALL_SECONDS to arrive, and its reply says `Connection: close`.
        """
        self._stopping = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_CALL_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        if self._arriving_since is None:
            self._arriving_since = self.loop.time()
        while data and not self._refused:
            room = self._bounds.header_bytes - self._unframed
            piece, data = data[:room], data[room:]
            self._unframed += len(piece)
            super().data_received(piece)
            if self._unframed >= self._bounds.header_bytes and not self._refused:
                long_uri = self._phase is Phase.HEAD and len(self.url) > self._bounds.header_bytes / 2
                self._refuse(
                    URI_TOO_LONG if long_uri else HEADERS_TOO_LARGE,
                    f"The head of a request may have at most {self._bounds.header_bytes} bytes",
                )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = Phase.HEAD
        if self._arriving_since is None:  # another request in the same piece
            self._arriving_since = self.loop.time()

    def head_without_offer(self) -> bytes:
        """The head that was just read, without its Upgrade."""
        fields = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        request_line = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        return b"\r\n".join([request_line, *fields, b"", b""])

    def on_headers_complete(self) -> None:
        if self.parser.offers_protocol():
            return
        self._unframed = 0
        self.scope["headers"] = list(self.headers)  # the parser's own list will gain the trailers, which are no headers
        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False
        self._phase = Phase.BODY
        if self.parser.should_upgrade():  # by CONNECT, which we do not: but the parser will read nothing more
            super().shutdown()

    def on_body(self, body: bytes) -> None:
        self._unframed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.offers_protocol():
            return
        self._unframed = 0
        self._phase = Phase.NOTHING
        self._arriving_since = None
        self._arrived_at = self.loop.time()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words are left unsaid
        self._refuse(MALFORMED_REQUEST, "The request cannot be read as HTTP/1.1")

    def _refuse(self, type_: ProblemType, detail: str) -> None:
        """End the request where it is: the application answers it with this problem, and the connection is closed."""
        self._refused = True
        if self._phase is Phase.NOTHING:
            self.on_message_begin()
        self.scope["state"]["refusal"] = Problem(type_, detail, headers={"Connection": "close"})
        if self._phase is Phase.HEAD:
            found = _FIRST_SEGMENT.match(self.url)  # tells the version; the rest may be cut off, or be what is wrong
            self.url = found[0] if found else b"/"
            super().on_headers_complete()
        super().on_message_complete()
        super().shutdown()

    def _watch_on(self) -> None:
        self._watching = self.loop.call_later(self._bounds.timeout / 10, self._watch)

    def _watch(self) -> None:
        """Look after the clock, ten times in the time that is allowed: cheaper than timers for every request."""
        now = self.loop.time()
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or abs(unsent - self._unsent) >= LEAST_TAKEN:  # all was taken, or enough, or more is to be sent
            self._unsent, self._taken_at = unsent, now
        if now - self._taken_at > self._bounds.timeout:
            self.transport.abort()
            return
        if self._arriving_since is None:
            if now - self._arrived_at > self._bounds.timeout:
                # A body that came after the reply has stopped uvicorn's clock for idle connections.
                super().shutdown()
        elif now - self._arriving_since > self._bounds.timeout and not self._refused:
            if self._phase is Phase.NOTHING:
                self.transport.close()
            else:
                self._refuse(REQUEST_TIMEOUT, f"A request must arrive within {self._bounds.timeout:g} seconds")
        self._watch_on()
