"""Schemathesis against a running server: whatever it generates, the replies are those the documents promise."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.api import VERSIONS
from app.versioning import ApiVersion
from tests.server import LiveServer

ROOT = Path(__file__).parents[1]
ARCHIVES = ROOT / "build" / "contract"
SEED = 1
MAX_EXAMPLES = 40
MINIMUM_CASES = 500  # a run that reaches fewer has lost its way


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_the_service_keeps_the_document(version: ApiVersion, live_server: LiveServer, tmp_path: Path):
    """Every check and every phase of Schemathesis passes on the version's document, on either database."""
    # What was asked and answered, for `tandem contract report`.
    archive = ARCHIVES / f"{version.name}-{live_server.database}.har"
    archive.parent.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(ROOT / "schemathesis.toml")),
        *("run", f"{live_server.url}{version.prefix}/openapi.json"),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
        *("--report", "har", "--report-har-path", str(archive)),
        *("--max-examples", str(MAX_EXAMPLES), "--seed", str(SEED), "--continue-on-failure", "--no-color"),
    ]
    hooks = {"SCHEMATHESIS_HOOKS": "contract_tests.hooks", "TANDEM_URL": live_server.url, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **hooks}, capture_output=True, text=True, check=False, timeout=600
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    cases = re.search(r"(\d+) generated, \1 passed", run.stdout)
    assert cases, run.stdout
    assert int(cases[1]) > MINIMUM_CASES, run.stdout
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in run.stdout, run.stdout
