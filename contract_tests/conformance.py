"""How Schemathesis is run, by the tests and by `make fuzz`: every check, every phase, nothing left out."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from app.versioning import ApiVersion

ROOT = Path(__file__).parents[1]
IN_PROCESS = "http://127.0.0.1:9"  # where nobody answers: all requests go to the application


def run(
    version: ApiVersion, target: str, folder: Path, *options: str, document: Path | None = None, show: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run all checks on a version of the service; the exit code is 0 if it found nothing.

    `target` is the URL of a running server, or of a database for the service in Schemathesis' own process: then the
    `document` is read from a file. `options` are Schemathesis' own. Its output goes to the terminal on `show`.
    """
    where: Sequence[str] = [f"{target}{version.prefix}/openapi.json"]
    if document is not None:
        where = [str(document), "--url", IN_PROCESS]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(ROOT / "schemathesis.toml"), "run", *where),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure", "--no-color"),
        *options,
    ]
    hooks = {
        "SCHEMATHESIS_HOOKS": "contract_tests.hooks",
        "CONFORMANCE_TARGET": target,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",  # the order of sets would differ from run to run
    }
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **hooks}, capture_output=not show, text=True, check=False
    )
