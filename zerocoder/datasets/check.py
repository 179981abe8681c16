"""`python -m zerocoder.datasets check data=mbpp`: does every reference solution pass the official tests of its problem?

What does not pass is a wrong reference, a test of many right answers, a limit that is too tight, or a fault in how a
data set is read: before a score on it is trusted, each should have its reason. Runs through the verifier, as everything
that comes with a data set.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zerocoder.binding import TARGET
from zerocoder.compose import load, to_dict
from zerocoder.console import bar
from zerocoder.datasets.base import ProblemSource
from zerocoder.execution import Executor, Job, Verdict
from zerocoder.execution.machine import factor
from zerocoder.execution.verdicts import UNKNOWN
from zerocoder.problems import Problem, Program, ZeroCoderError

_SHOWN_IDS = 8
_FILE_WIDTH = 160
_WORDS = {
    Verdict.FAIL: "a wrong value",
    Verdict.ERROR: "raises, exits or does not compile",
    Verdict.TIMEOUT: "out of time",
    Verdict.MEMORY: "out of memory",
    Verdict.INFRA: "could not be run (our failure)",
    Verdict.BROKEN: "the data set's checker fails",
    Verdict.UNSUPPORTED: "returns a value that cannot be compared",
    Verdict.CANCELLED: "not run to its end",
}


@dataclass
class Findings:
    """What came of a check.

    passed: ids of the problems whose reference passes all tests.
    failed: by the verdict on the first test that is not passed, the ids with how many of how many tests pass.
    unlabelled: ids of the problems without solution or tests.
    left_out: rows that are no problems, by reason; of the whole data set, whatever the limit.
    """

    passed: list[str] = field(default_factory=list)
    failed: dict[Verdict, dict[str, tuple[int, int]]] = field(default_factory=dict)
    unlabelled: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    isolation: str = ""
    seconds: float = 0.0

    @property
    def checked(self) -> int:
        """References that a verdict was reached on."""
        return len(self.passed) + sum(len(ids) for kind, ids in self.failed.items() if kind not in UNKNOWN)

    @property
    def share(self) -> float | None:
        """Of the checked references that pass; None where there are none."""
        return len(self.passed) / self.checked if self.checked else None


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 when every reference passes, 1 when one does not. Raises ZeroCoderError for a mistake."""
    arguments = _parser().parse_args(argv)
    overrides, limit = _limit(arguments.overrides)
    config = load(overrides)
    source: ProblemSource = config.data.source
    settings = to_dict(config)["data"]["source"]
    with config.verifier.build() as executor:
        findings = check(source, executor, limit)
    if arguments.json:
        print(json.dumps(as_json(findings, settings), indent=2, ensure_ascii=False))
    else:
        print_tables(findings, settings, Console(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH))
    return 0 if not findings.failed else 1


def check(source: ProblemSource, executor: Executor, limit: int | None = None) -> Findings:
    """Run all references of a data set, or of a fixed sample of `limit` problems, against their official tests."""
    start = time.perf_counter()
    problems = _sampled([*source.train(), *source.heldout()], limit)
    findings = Findings(left_out=source.report())
    labelled = [p for p in problems if p.label is not None and p.label.solution and p.label.tests]
    findings.unlabelled = [p.id for p in problems if p.label is None or not p.label.solution or not p.label.tests]
    with bar("references", len(labelled)) as advance:
        matrices = executor.run((_job(p) for p in labelled), lambda _: advance(1))
    for problem, [row] in zip(labelled, matrices, strict=True):
        missed = row[row != Verdict.PASS]
        if not len(missed):
            findings.passed.append(problem.id)
        else:
            group = findings.failed.setdefault(Verdict(missed[0]), {})
            group[problem.id] = (len(row) - len(missed), len(row))
    findings.isolation = executor.isolation
    findings.seconds = time.perf_counter() - start
    return findings


def as_json(findings: Findings, settings: dict[str, Any]) -> dict[str, Any]:
    """The findings as plain values."""
    return {
        "source": settings,
        "checked": findings.checked,
        "passed": len(findings.passed),
        "share": findings.share,
        "failed": {
            kind.name: [{"id": id_, "passed": passed, "tests": tests} for id_, (passed, tests) in ids.items()]
            for kind, ids in findings.failed.items()
        },
        "unlabelled": findings.unlabelled,
        "left_out": findings.left_out,
        "isolation": findings.isolation,
        "machine_factor": round(factor(), 3),
        "seconds": round(findings.seconds, 2),
    }


def print_tables(findings: Findings, settings: dict[str, Any], console: Console) -> None:
    """The share that passes, what the rest fails at, and the rows that were left out."""
    share = "no reference to check" if findings.share is None else f"{100 * findings.share:.1f} % pass"
    name = str(settings.get(TARGET, "")).rpartition(".")[2]
    console.print(Text(f"{name}: {len(findings.passed)} of {findings.checked} references, {share}", "bold"))
    if findings.failed or findings.unlabelled:
        table = Table(box=None, pad_edge=False)
        for column in ("reference", "problems", "which (tests passed)"):
            table.add_column(column, overflow="fold", justify="right" if column == "problems" else "left")
        for kind, ids in sorted(findings.failed.items()):
            told = [f"{id_} ({passed}/{tests})" for id_, (passed, tests) in ids.items()]
            table.add_row(Text(_WORDS.get(kind, kind.name.lower())), str(len(ids)), Text(_listed(told)))
        if findings.unlabelled:
            table.add_row("no solution or no tests", str(len(findings.unlabelled)), Text(_listed(findings.unlabelled)))
        console.print(table)
    if findings.left_out:
        table = Table(box=None, pad_edge=False)
        table.add_column("rows left out", overflow="fold")
        table.add_column("rows", justify="right")
        for reason, count in sorted(findings.left_out.items(), key=lambda item: -item[1]):
            table.add_row(Text(reason), str(count))
        console.print(table)
    console.print(
        Text(f"{findings.seconds:.1f} s, time limits x {factor():.2f} on this machine, {findings.isolation}", "dim")
    )


def _job(problem: Problem) -> Job:
    assert problem.label is not None
    label = problem.label
    return Job((Program(label.solution),), label.tests, problem.entry_point, cancel=False, grading=label.grading)


def _sampled(problems: list[Problem], limit: int | None) -> list[Problem]:
    """The same problems at every call, in their own order."""
    if limit is None or limit >= len(problems):
        return problems
    order = np.random.default_rng(0).permutation(len(problems))
    return [problems[i] for i in sorted(order[:limit])]


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _SHOWN_IDS
    return ", ".join(texts[:_SHOWN_IDS]) + (f" and {more} more (--json lists all)" if more > 0 else "")


def _limit(overrides: Sequence[str]) -> tuple[list[str], int | None]:
    """The settings but `limit=`, and the last value that it is given."""
    limit = None
    rest = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key != "limit":
            rest.append(override)
        elif value == "null":
            limit = None
        elif value.isdecimal() and int(value) > 0:
            limit = int(value)
        else:
            raise ZeroCoderError(f"limit={value}: it must be a whole number above 0, or null")
    return rest, limit


def _parser() -> argparse.ArgumentParser:
    from zerocoder.datasets.__main__ import Parser

    parser = Parser(
        prog="python -m zerocoder.datasets check",
        description="Runs every reference solution of a data set against its own tests.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="data=<name of conf/data>, data.source.path=<file>, limit=<so many problems>, verifier.workers=2, ...",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object with all ids")
    return parser
