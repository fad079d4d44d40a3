"""A real browser: headless Chromium, spoken to by its DevTools protocol."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from websockets.sync.client import ClientConnection, connect

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 30
HOST = "portal.test"  # leads to this machine


class Tab:
    """One page. `complaints` are what its console has shown: errors, and what its content policy refused."""

    def __init__(self, connection: ClientConnection) -> None:
        self.complaints: list[str] = []
        self._connection = connection
        self._numbers = count(1)
        self._loaded = False
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; gives its result."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := self._receive()).get("id") != number:
            pass
        assert "error" not in message, message
        return dict(message["result"])

    def open(self, url: str) -> None:
        """Go there, and wait until the page has loaded."""
        with self.loading():
            self.send("Page.navigate", url=url)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """What is done within leads to another page; it has loaded afterwards."""
        self._loaded = False
        yield
        while not self._loaded:
            self._receive()

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def resize(self, width: int, height: int) -> None:
        """A narrow one is a phone: it obeys the page's viewport, and its scroll bars take no room."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **size)

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(timeout=_SECONDS))
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Log.entryAdded":
                self.complaints.append(message["params"]["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]))
        return message


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """A tab of a fresh browser, whose profile is in `folder`.

    Without Chromium the test is skipped; with REQUIRE_BROWSER=true, as in the workflow, it fails.
    """
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        missing = "Chromium is not installed, so no page was looked at in a browser"
        if os.environ.get("REQUIRE_BROWSER") == "true":
            pytest.fail(f"{missing}, and REQUIRE_BROWSER=true")
        pytest.skip(missing)
    options = (
        *("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"),
        *("--remote-debugging-port=0", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"),
    )
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        opened = Request(f"http://127.0.0.1:{_port(folder)}/json/new", method="PUT")
        with urlopen(opened, timeout=_SECONDS) as reply:
            address = json.load(reply)["webSocketDebuggerUrl"]
        with connect(address, max_size=None) as connection:
            yield Tab(connection)
    finally:
        process.terminate()
        process.wait(timeout=_SECONDS)


def _port(folder: Path) -> int:
    """The port that the browser has chosen; it writes it down once it listens."""
    deadline = time.monotonic() + _SECONDS
    written = folder / "DevToolsActivePort"
    while time.monotonic() < deadline:
        if written.exists() and (lines := written.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.05)
    raise RuntimeError("the browser did not start")
