"""Runs `redocly diff` on the corpus, beside our own comparison, and prints right and wrong verdicts by kind.

python -m contract_tests.compare_with_redocly, after `npm ci` in contract_tests/node (the only use of the network).
Redocly calls a change major, minor or patch; major is what breaks. It has no word for "cannot be proven", which counts
as breaking for both.
"""

import json
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import typer

from app.versioning.contract import compatible, diff, normalise
from contract_tests.corpus import Case, cases

REDOCLY = Path(__file__).parent / "node" / "node_modules" / ".bin" / "redocly"  # the version that package.json pins


def redocly_says(case: Case, folder: Path) -> str:
    """compatible, breaking, or failed when it gives no answer."""
    for name, document in (("old", case.old), ("new", case.new)):
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    # Not from the folder of our linter's redocly.yaml: with any configuration Redocly's own rules for changes are off.
    command = [str(REDOCLY), "diff", "old.json", "new.json", "--format", "json"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    try:
        answer: dict[str, Any] = json.loads(run.stdout)
    except ValueError:
        return "failed"
    return "breaking" if answer["summary"]["major"] else "compatible"


def ours(case: Case) -> str:
    changes = diff(normalise(case.old), normalise(case.new))
    return "compatible" if compatible(changes) else "breaking"


def main() -> None:
    right: dict[str, Counter[str]] = {"tandem": Counter(), "redocly": Counter()}
    missed: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for case in cases():
            expected = "compatible" if case.verdict == "compatible" else "breaking"
            total[case.kind] += 1
            for name, answer in (("tandem", ours(case)), ("redocly", redocly_says(case, Path(folder)))):
                right[name][case.kind] += answer == expected
                missed[name] += expected == "breaking" and answer != expected
                alarms[name] += expected == "compatible" and answer != expected
                if answer != expected:
                    typer.echo(f"{name}: {case.kind}: {case.name}: {answer}, not {expected}", err=True)
    typer.echo(
        "| kind | changes | tandem right | tandem wrong | redocly right | redocly wrong |\n|---|---|---|---|---|---|"
    )
    for kind, count in total.items():
        cells = [str(n) for name in right for n in (right[name][kind], count - right[name][kind])]
        typer.echo(f"| {kind} | {count} | {' | '.join(cells)} |")
    everything = total.total()
    sums = [str(n) for name in right for n in (right[name].total(), everything - right[name].total())]
    typer.echo(f"| **all** | {everything} | {' | '.join(sums)} |")
    for name in right:
        typer.echo(f"\n{name}: {missed[name]} breaking changes missed, {alarms[name]} harmless ones called breaking")


if __name__ == "__main__":
    main()
