"""The next version, and the end of an old one, in a copy of the repository."""

import difflib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("alembic", "app", "contracts", "tests", "alembic.ini", "pyproject.toml", "ARCHITECTURE.md", "CHANGELOG.md")
MOST_LINES = 20


@pytest.fixture
def tree(tmp_path):
    """A copy of what the service and its tests are made of."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, tmp_path / part)
    return tmp_path


def run(tree, *arguments, succeeds=True):
    """Run a Python module on the copy; gives what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "DATABASE_URL": f"sqlite:///{tree}/data/t.db"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode == 0) == succeeds, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_noun_gets_its_migration(tree):
    """What Alembic writes for a new table with every type of column is a migration that runs, and leaves no drift."""
    models = tree / "app/domain/models.py"
    kinds = ("Id", "Boolean", "String(32)", "Text", "OrderedString", "OrderedText", "UtcDateTime", "LargeBinary")
    columns = "".join(f'    Column("column_{number}", {kind}, nullable=False),\n' for number, kind in enumerate(kinds))
    models.write_text(
        models.read_text()
        + f'comments = Table(\n    "comments",\n    metadata,\n    Column("id", Id, primary_key=True),\n'
        f'{columns}    Column("post_id", Id, ForeignKey("posts.id", ondelete="CASCADE"), index=True),\n)\n'
    )
    run(tree, "app", "db", "upgrade")
    run(tree, "alembic", "revision", "--autogenerate", "--rev-id", "9999", "-m", "comments")
    assert run(tree, "app", "db", "upgrade") == "at 9999 (newest)\n"
    run(tree, "app", "db", "check")
    run(tree, "app", "db", "downgrade", "-1")


def sources(tree, *versions):
    """The text of every file of these versions."""
    return {
        path: path.read_text() for version in versions for path in sorted((tree / "app/api" / version).glob("*.py"))
    }


def test_a_scaffolded_version_passes_its_tests(tree):
    """`tandem versions new v3` makes a preview whose copied tests pass at once, and touches no other version."""
    before = sources(tree, "v1", "v2")
    shown = run(tree, "app", "versions", "new", "v3")
    assert "app/api/v3/posts.py" in shown
    assert sources(tree, "v1", "v2") == before
    some = ("tests/v3/test_posts.py", "tests/v3/test_listing.py", "tests/test_routes.py", "tests/test_architecture.py")
    assert " passed" in run(tree, "pytest", *some, "-k", "not postgresql", "-o", "addopts=")
    assert re.search(r"^v3 +preview", run(tree, "app", "versions", "list"), re.MULTILINE)
    again = run(tree, "app", "versions", "new", "v3", succeeds=False)
    assert again == ""


def test_renaming_a_field_in_the_next_version(tree):
    """A member with another name in v3 costs a few lines of v3, and the contracts of v1 and v2 are as released."""
    run(tree, "app", "versions", "new", "v3")
    others, file = sources(tree, "v1", "v2"), tree / "app/api/v3/posts.py"
    before = file.read_text()
    model, reply = before.partition("class Post(TypedDict):")[::2]
    renamed = model.replace('"content": "Notes."', '"text": "Notes."') + "class Post(TypedDict):"
    file.write_text(renamed + reply.replace("    content: str", "    text: str").replace("content=post.", "text=post."))
    changed = [line for line in difflib.ndiff(before.splitlines(), file.read_text().splitlines()) if line[0] in "+-"]
    assert 0 < len(changed) <= MOST_LINES
    assert sources(tree, "v1", "v2") == others
    run(tree, "app", "contract", "check", "--documents-only")
    assert '"text"' in run(tree, "app", "openapi", "v3")
    assert '"text"' not in run(tree, "app", "openapi", "v2")


def test_deleting_the_oldest_version(tree):
    """Version 1 goes with its folder and its word in VERSIONS; version 2 keeps its contract and passes its tests."""
    shutil.rmtree(tree / "app/api/v1")
    shutil.rmtree(tree / "tests/v1")
    registration = tree / "app/api/__init__.py"
    word = (
        registration.read_text().replace("import v1, ", "import ").replace("(v1.VERSION, v2.VERSION)", "(v2.VERSION,)")
    )
    registration.write_text(word)
    run(tree, "app", "contract", "check", "--documents-only")
    some = ("tests/v2/test_posts.py", "tests/v2/test_users.py", "tests/test_routes.py", "tests/test_architecture.py")
    assert " passed" in run(tree, "pytest", *some, "-k", "not postgresql", "-o", "addopts=")
    assert "v1" not in run(tree, "app", "versions", "list")
