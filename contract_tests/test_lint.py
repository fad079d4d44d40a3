"""Linters of others, with every rule they recommend, find nothing to say about either document."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.api import VERSIONS
from contract_tests.tools import NODE, run

versions = pytest.mark.parametrize("version", [version.name for version in VERSIONS])


def redocly(node: Path, document: Path) -> Any:
    """What Redocly has to say: errors and warnings."""
    command = (node / "redocly", "lint", "--config", NODE / "redocly.yaml", "--format", "json", document)
    return json.loads(run(*command, succeeds=False).stdout)["problems"]


def spectral(node: Path, document: Path) -> Any:
    """What Spectral has to say: errors, warnings and hints."""
    command = (node / "spectral", "lint", "--ruleset", NODE / "spectral.yaml", "--format", "json", "--quiet", document)
    return json.loads(run(*command, succeeds=False).stdout)


@versions
def test_redocly_finds_nothing(node: Path, documents: dict[str, Path], version: str):
    """Redocly's recommended rules give no error and no warning."""
    assert redocly(node, documents[version]) == []


@versions
def test_spectral_finds_nothing(node: Path, documents: dict[str, Path], version: str):
    """Spectral's recommended rules for OpenAPI give no error and no warning."""
    assert spectral(node, documents[version]) == []


@versions
def test_both_linters_read_the_document(node: Path, documents: dict[str, Path], version: str, tmp_path: Path):
    """Both see a document that says neither what an operation is called nor which token it needs."""
    damaged = json.loads(documents[version].read_text())
    del damaged["security"]
    for item in damaged["paths"].values():
        for operation in item.values():
            del operation["operationId"], operation["tags"]
    file = tmp_path / "damaged.json"
    file.write_text(json.dumps(damaged))
    assert "security-defined" in {problem["ruleId"] for problem in redocly(node, file)}
    assert {"operation-operationId", "operation-tags"} <= {problem["code"] for problem in spectral(node, file)}
