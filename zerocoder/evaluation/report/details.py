"""What the page says of every problem: its statement, the official tests, and each model's answers with verdicts.

Texts are cut where a page has no use for more, and what is the same for all models is there once. The whole is packed
as gzip in base64, in chunks that the page unpacks when it needs them: base64 has no character that HTML or a script
could trip over.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zerocoder.evaluation.records import Answer, CoderItem, Item, Results, TesterItem
from zerocoder.problems import Problem, TestCase

CHUNK = 100  # problems
_STATEMENT = 20_000  # characters
_ANSWER = 20_000
_TEST = 600
_TITLE = 120
_OFFICIAL_TESTS = 5  # that are shown beside those that somebody fails


def index(results: Results, problems: Mapping[str, Sequence[Problem]]) -> list[dict[str, Any]]:
    """What the list shows of every problem, in the benchmarks' order."""
    return [
        {
            "benchmark": benchmark,
            "id": problem.id,
            "title": _cut(" ".join(problem.statement.split()), _TITLE),
            "difficulty": problem.difficulty,
            "outcomes": [None if item is None else _outcome(item) for item in items],
        }
        for benchmark, problem, items in _rows(results, problems)
    ]


def chunks(results: Results, problems: Mapping[str, Sequence[Problem]]) -> Iterator[str]:
    """The problems of the index in the same order, `CHUNK` a text."""
    rows = _rows(results, problems)
    while chunk := [_detail(problem, items) for _, problem, items in itertools.islice(rows, CHUNK)]:
        packed = gzip.compress(json.dumps(chunk, separators=(",", ":")).encode(), 6, mtime=0)
        yield base64.b64encode(packed).decode()


def _rows(
    results: Results, problems: Mapping[str, Sequence[Problem]]
) -> Iterator[tuple[str, Problem, list[Item | None]]]:
    """(benchmark, problem, its item by model) of everything that was measured."""
    for benchmark, listed in problems.items():
        found = [
            {item.problem: item for item in scores[benchmark].items} if benchmark in scores else {}
            for scores in results.values()
        ]
        for problem in listed:
            items = [by_id.get(problem.id) for by_id in found]
            if any(items):
                yield benchmark, problem, items


def _outcome(item: Item) -> dict[str, Any]:
    """A problem in numbers: answers that are right of those whose outcome is known, tests that hold, mutants killed."""
    correct = [c.correct for c in item.coder]
    valid = [v for t in item.tester for v in t.valid]
    kills = [k for t in item.tester if t.mutants for k in (t.kills if t.tests else (0.0,)) if k is not None]
    return {
        "answers": len(correct),
        "right": correct.count(True),
        "hidden": correct.count(None),
        "unparsed": sum(c.answer.format_error is not None for c in item.coder),
        "verdicts": sorted({v for c in item.coder for v in c.verdicts}),
        "tester": len(item.tester),
        "untested": sum(t.answer.format_error is not None for t in item.tester),
        "tests": len(valid),
        "valid": valid.count(True),
        "kills": round(sum(kills) / len(kills), 4) if kills else None,
    }


def _detail(problem: Problem, items: Sequence[Item | None]) -> dict[str, Any]:
    tests = problem.label.tests if problem.label else ()
    shown = _worth_showing(len(tests), [c for item in items if item is not None for c in item.coder])
    return {
        "statement": _cut(problem.statement, _STATEMENT),
        "signature": _cut(problem.signature, _STATEMENT),
        "style": problem.style.value,
        "total": len(tests),
        "tests": [[n, *_test(tests[n])] for n in shown],
        "models": [
            None if item is None else {"coder": _coder(item.coder), "tester": _tester(item.tester)} for item in items
        ],
    }


def _worth_showing(total: int, coders: Sequence[CoderItem]) -> list[int]:
    """The first official tests, and the first one that each answer does not pass."""
    failed = {next((n for n, v in enumerate(c.verdicts) if v != "pass"), 0) for c in coders}
    return sorted(n for n in {*range(_OFFICIAL_TESTS), *failed} if n < total)


def _coder(items: Sequence[CoderItem]) -> list[dict[str, Any]]:
    return [
        _answer(item.answer)
        | {"correct": item.correct, "verdicts": [[v, len(list(run))] for v, run in itertools.groupby(item.verdicts)]}
        for item in items
    ]


def _tester(items: Sequence[TesterItem]) -> list[dict[str, Any]]:
    return [
        _answer(item.answer)
        | {
            "mutants": item.mutants,
            "tests": [
                [*_test(test), verdict, kills]
                for test, verdict, kills in zip(item.tests, item.verdicts, item.kills, strict=True)
            ],
        }
        for item in items
    ]


def _answer(answer: Answer) -> dict[str, Any]:
    return {"text": _cut(answer.text, _ANSWER), "truncated": answer.truncated, "error": answer.format_error}


def _test(test: TestCase) -> tuple[str, str]:
    """(assert statements, "") or (standard input, expected output)."""
    if test.stdin is None or test.stdout is None:
        return _cut(test.code, _TEST), ""
    return _cut(test.stdin, _TEST), _cut(test.stdout, _TEST)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most:,} more characters)"
