"""What the contenders run in: an environment of Python packages and a folder of Node's, both made when first asked for,
in exactly the pinned versions, where git ignores them.
"""

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONTENDERS = ROOT / "benchmarks" / "contenders"
FASTIFY = CONTENDERS / "fastify"
VENV = ROOT / ".venv-bench"
INSTALL_SECONDS = 600


class NotInstalled(Exception):
    """An environment could not be made; the message says why."""


def python(tell: Callable[[str], None]) -> Path:
    """The interpreter of the Python contenders; `tell` hears when it has to be installed first."""
    requirements = ROOT / "benchmarks" / "requirements.txt"
    installed, wanted = VENV / "installed", f"{sys.version}\n{requirements.read_text()}"
    if not installed.exists() or installed.read_text() != wanted:
        tell(f"installing the Python contenders into {VENV.name}")
        venv.create(VENV, clear=True, with_pip=True)
        pip = (VENV / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
        _run(*pip, "--require-hashes", "-r", requirements)
        installed.write_text(wanted)
    return VENV / "bin" / "python"


def node(tell: Callable[[str], None]) -> Path | None:
    """Node, with the packages of its contender in place; None where Node is not installed."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        return None
    installed, wanted = FASTIFY / "node_modules" / ".installed", (FASTIFY / "package-lock.json").read_text()
    if not installed.exists() or installed.read_text() != wanted:
        tell("installing the Node contender")
        _run(npm, "ci", "--no-audit", "--no-fund", cwd=FASTIFY)
        installed.write_text(wanted)
    return Path(found)


def _run(*command: object, cwd: Path = ROOT) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    if done.returncode != 0:
        raise NotInstalled(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}")
