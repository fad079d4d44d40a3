"""The house rules that an import linter cannot see (it runs in `make architecture`)."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(ROOT.glob("app/**/*.py"))
LONGEST_MODULE = 400


def test_the_walk_finds_the_sources():
    """The tests below look at something."""
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_name_of_another_package(path):
    """Names that begin with an underscore belong to who wrote them; frameworks change theirs without notice."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        else:
            continue
        assert not [name for name in names if name.startswith("_")], ast.unparse(node)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_say_what_they_are_for_and_stay_short(path):
    """A newcomer learns from the first line what a room is for, and can read it in one sitting."""
    source = path.read_text()
    assert ast.get_docstring(ast.parse(source)), "no docstring"
    assert source.count("\n") <= LONGEST_MODULE


def test_requests_that_write_are_tried_again():
    """Whatever writes for a request is decorated with `retried`: no transaction that met another is an error."""
    found = 0
    for path in SOURCES:
        nodes = list(ast.walk(ast.parse(path.read_text())))
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for block in (node for node in nodes if isinstance(node, ast.With)):
            for_requests = {"api", "portal", "domain"} & set(path.parts)
            if for_requests and re.search(r"\.(write|autocommit)\(\) as ", ast.unparse(block.items[0])):
                around = [
                    function for function in functions if function.lineno < block.lineno <= (function.end_lineno or 0)
                ]
                innermost = max(around, key=lambda function: function.lineno)
                decorators = [*map(ast.unparse, innermost.decorator_list)]
                if "contextmanager" in decorators and innermost.name == "write":  # whoever calls it is looked at, too
                    continue
                assert "retried" in decorators, f"{path}: {innermost.name}"
                found += 1
    assert found > 10


def test_architecture_names_every_room():
    """ARCHITECTURE.md lists each package of the application, in at most 80 lines."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert text.count("\n") <= 80
    packages = {str(path.parent.relative_to(ROOT)) for path in SOURCES} - {"app"}
    for package in sorted({re.sub(r"api/v\d+$", "api/vN", package) for package in packages}):
        assert f"`{package}/`" in text, package
    for module in {re.sub(r"^cli_.*", "cli_*.py", path.name) for path in ROOT.glob("app/*.py")} - {"__init__.py"}:
        assert f"`app/{module}`" in text, module


@pytest.mark.parametrize("path", sorted(ROOT.glob("app/api/v*/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_version_stands_alone(path):
    """A version imports no other version, so that any can be taken away, and nothing that speaks to a database."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            imported = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        else:
            continue
        for name in imported:
            version = re.match(r"app\.api\.(v\d+)\b", name)
            assert version is None or version[1] == path.parent.name, name
            assert name.partition(".")[0] not in {"sqlalchemy", "alembic", "psycopg2", "sqlite3"}, name
