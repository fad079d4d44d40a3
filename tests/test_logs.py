"""The log: whoever cannot be told anything is served all the same."""

import sys

import pytest
import structlog

from app.logs import configure_logging


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize("closed", ["before the process began", "since"])
def test_a_closed_standard_error_stops_nobody(monkeypatch, tmp_path, json, closed):
    """An event that nobody can be told raises nothing."""
    stream = (tmp_path / "log").open("w")
    stream.close()
    monkeypatch.setattr(sys, "stderr", None if closed == "before the process began" else stream)
    configure_logging(json=json, level="WARNING")
    structlog.get_logger("tandem").warning("unheard")
