"""Every migration can be applied while the release before it is served: squawk reads its SQL for PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

ROOT = Path(__file__).resolve().parents[1]
REVISIONS = [(it.down_revision or "base", it.revision) for it in ScriptDirectory(ROOT / "alembic").walk_revisions()]


def sql_of(before, revision):
    """What Alembic would tell PostgreSQL."""
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", f"{before}:{revision}", "--sql"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "postgresql://nobody@localhost/nothing"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def squawk(sql):
    """Its exit code, and what it said."""
    tool = str(Path(sys.executable).with_name("squawk"))
    command = [tool, "--reporter", "gcc", "--config", str(ROOT / ".squawk.toml")]
    done = subprocess.run(command, input=sql, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("before", "revision"), REVISIONS, ids=[revision for _, revision in REVISIONS])
def test_a_migration_only_expands(before, revision):
    """Nothing in it locks a table for long, or takes away what the release before reads and writes."""
    sql = sql_of(before, revision)
    assert f"version_num='{revision}'" in sql or f"('{revision}')" in sql
    code, said = squawk(sql)
    assert code == 0, said


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE INDEX ix_posts_content ON posts (content)", "require-concurrent-index-creation"),
        ("ALTER TABLE posts ADD COLUMN language text NOT NULL", "adding-required-field"),
        ("ALTER TABLE posts ADD COLUMN at timestamptz DEFAULT clock_timestamp()", "adding-field-with-default"),
        ("ALTER TABLE posts ALTER COLUMN title SET NOT NULL", "adding-not-nullable-field"),
        ("ALTER TABLE posts ALTER COLUMN title TYPE varchar(300)", "changing-column-type"),
        ("ALTER TABLE posts RENAME COLUMN title TO heading", "renaming-column"),
        ("ALTER TABLE posts DROP COLUMN title", "ban-drop-column"),
        ("DROP TABLE votes", "ban-drop-table"),
        (
            "ALTER TABLE posts ADD CONSTRAINT fk_posts_tag_id_tags FOREIGN KEY (tag_id) REFERENCES tags (id)",
            "adding-foreign-key-constraint",
        ),
    ],
)
def test_the_rule_refuses(statement, rule):
    """The gate can fail: what would lock a table for long, or break the release before, is refused by name."""
    code, said = squawk(f"BEGIN;\n{statement};\nCOMMIT;\n")
    assert code != 0
    assert rule in said
