"""The next version of an API: begun as a copy of the newest one, in a repository laid out as this one is."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from app.versioning.version import ApiVersion

_NAME = re.compile(r"v([1-9][0-9]*)")


class ScaffoldError(Exception):
    """The version cannot be begun; the message is one line, and nothing was written."""


def scaffold(root: Path, newest: ApiVersion, name: str) -> list[Path]:
    """Begin version `name` ("v3") as a preview that is like `newest`; gives the files written.

    `root` has `app/api/<version>`, `app/api/__init__.py` with `VERSIONS`, and `tests/<version>`.
    """
    number, last = _number(name), _number(newest.name)
    if number <= last:
        raise ScaffoldError(f"{name} is not newer than {newest.name}, the newest version there is")
    source, target = root / "app" / "api" / newest.name, root / "app" / "api" / name
    if not source.is_dir():
        raise ScaffoldError(f"{source} is not there: run this in the repository")
    if target.exists():
        raise ScaffoldError(f"{target} is there already")

    def renamed(text: str) -> str:
        text = re.sub(rf"\b{newest.name}\b", name, text)
        return re.sub(rf"\b([Vv])ersion {last}\b", rf"\1ersion {number}", text)

    written = list(_copy(source, target, renamed))
    tests = root / "tests"
    if (tests / newest.name).is_dir():
        written += _copy(tests / newest.name, tests / name, renamed)
    _edit(target / "__init__.py", lambda text: _as_preview(text, newest, number))
    registration = root / "app" / "api" / "__init__.py"
    _edit(registration, lambda text: _registered(text, newest.name, name))
    return [*written, registration]


def _number(name: str) -> int:
    found = _NAME.fullmatch(name)
    if found is None:
        raise ScaffoldError(f"{name} is no name that can follow: it is v and a number, such as v3")
    return int(found[1])


def _registered(text: str, newest: str, name: str) -> str:
    text = re.sub(rf"^(from app\.api import .*\b{newest})\b", rf"\1, {name}", text, flags=re.MULTILINE)
    return text.replace(f"{newest}.VERSION", f"{newest}.VERSION, {name}.VERSION")


def _as_preview(text: str, newest: ApiVersion, number: int) -> str:
    text = text.replace(f'revision="{newest.revision}"', f'revision="{number}.0.0"')
    if newest.status == "preview":
        return text
    return text.replace("    router=router,\n", '    router=router,\n    status="preview",\n', 1)


def _copy(source: Path, target: Path, change: Callable[[str], str]) -> Iterator[Path]:
    for file in sorted(source.rglob("*.py")):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
        yield copy


def _edit(file: Path, change: Callable[[str], str]) -> None:
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
