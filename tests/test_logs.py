"""The log: whoever cannot be told anything is served all the same."""

import json
import math
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import structlog

from app.logs import configure_logging
from tests.server import LiveServer
from tests.test_migrations import new_database


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("closed", ["before the process began", "since"])
def test_a_closed_standard_error_stops_nobody(monkeypatch, tmp_path, as_json, closed):
    """An event that nobody can be told raises nothing."""
    stream = (tmp_path / "log").open("w")
    stream.close()
    monkeypatch.setattr(sys, "stderr", None if closed == "before the process began" else stream)
    configure_logging(json=as_json, level="WARNING")
    structlog.get_logger("tandem").warning("unheard")


def test_whatever_an_event_holds_is_a_line_of_json(capsys):
    """Text that is no Unicode, numbers that JSON has not, and objects of any kind are told rather than lost."""
    configure_logging(json=True, level="WARNING")
    holds = {"text": "é\n\u2028", "half": "\ud83d", "path": Path("/tmp/x"), "number": math.inf, "bytes": b"\xff"}
    for name, value in holds.items():
        structlog.get_logger("tandem").warning("event", **{name: value})
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [next(iter(line)) for line in told] == list(holds)
    assert [line["event"] for line in told] == ["event"] * len(holds)
    assert told[0]["text"] == holds["text"]
    assert told[1]["half"] == holds["half"]
    assert "/tmp/x" in told[2]["path"]


@pytest.mark.parametrize("while_it_is_asked", [False, True])
def test_a_worker_that_dies_is_told(tmp_path, while_it_is_asked):
    """Whoever reads the log learns that one of several workers was killed, and which; also if its supervisor is just
    asking it whether it is well, which one that stands still does not answer.
    """
    with new_database("sqlite://", tmp_path) as url, LiveServer(url, tmp_path, WORKERS="2") as server:
        killed = min(server.workers())
        if while_it_is_asked:
            os.kill(killed, signal.SIGSTOP)
            time.sleep(2)
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while not (told := [line for line in server.events() if line["event"] == "worker died"]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert [(line["level"], line["pid"], line["exit_code"]) for line in told] == [("warning", killed, -signal.SIGKILL)]
