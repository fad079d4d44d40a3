"""Tools from outside Python's environment: Node's, and those of the Python clients. Each is installed when first asked
for, in exactly the pinned versions, into a folder that git ignores.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
CLIENTS = ROOT / "contract_tests" / "clients"
NODE = ROOT / "contract_tests" / "node"
VENV = ROOT / ".venv-clients"
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
INSTALL_SECONDS = 600


def run(*command: object, cwd: Path = ROOT, succeeds: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a tool; what it says is in the failure when it fails."""
    words = [str(word) for word in command]
    settings = {"env": os.environ, "timeout": 120, **more}
    settings["env"] = {**settings["env"], **QUIET}
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0 or not succeeds, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done


def node_modules() -> Path:
    """The folder of commands of the pinned Node packages. Without Node the test is skipped; in CI it fails."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        missing = "Node is not installed, so the TypeScript clients and the linters of documents were not run"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{missing}; CI needs Node")
        pytest.skip(missing)
    installed, wanted = NODE / "node_modules" / ".installed", (NODE / "package-lock.json").read_text()
    if not installed.exists() or installed.read_text() != wanted:
        run("npm", "ci", cwd=NODE, timeout=INSTALL_SECONDS)
        installed.write_text(wanted)
    return NODE / "node_modules" / ".bin"


def client_environment() -> Path:
    """The folder of commands of the environment that makes, checks and runs the Python clients."""
    requirements = CLIENTS / "requirements.txt"
    installed, wanted = VENV / "installed", f"{sys.version}\n{requirements.read_text()}"
    if not installed.exists() or installed.read_text() != wanted:
        venv.create(VENV, clear=True, with_pip=True)
        pip = (VENV / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
        run(*pip, "--require-hashes", "-r", requirements, timeout=INSTALL_SECONDS)
        installed.write_text(wanted)
    return VENV / "bin"
