"""The fixed tests of offline RL: greedy, of the initial policy, written once and read ever after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scripted import DOUBLE, DOUBLE_SOLUTIONS, fenced, scripted_sampler
from tiny import tiny_policy
from transformers import LlamaForCausalLM

from zerocoder.algorithms import offline
from zerocoder.algorithms.offline import Offline
from zerocoder.problems import Problem, TestCase
from zerocoder.rollout.engine import Completion, OnDone, Request, Sampling
from zerocoder.rollout.sampler import Sampler
from zerocoder.world import World

PROBLEMS = [replace(DOUBLE, id=name, statement=f"Double {name}.").unlabelled() for name in ("first", "second", "empty")]
TESTS = {
    "Double first.": [fenced("assert double(1) == 2\nassert double(2) == 4"), fenced("assert double(9) == 9")],
    "Double second.": [fenced("assert double(2) == 4")],
    "Double empty.": ["I cannot test that."],
}
FIXED = {
    "first": TestCase("assert double(1) == 2\nassert double(2) == 4\n"),
    "second": TestCase("assert double(2) == 4\n"),
    "empty": None,
}


def sampler() -> Sampler:
    """One that remembers how it was asked."""
    made = scripted_sampler({p.statement: DOUBLE_SOLUTIONS for p in PROBLEMS}, dict(TESTS))
    engine, calls = made.engine, []
    generate = engine.generate

    def remembering(
        requests: Sequence[Request], sampling: Sampling, on_done: OnDone | None = None
    ) -> list[list[Completion]]:
        calls.append((sampling.temperature, [len(r.seeds) for r in requests]))
        return generate(requests, sampling, on_done)

    engine.generate = remembering  # type: ignore[method-assign]
    engine.calls = calls  # type: ignore[attr-defined]
    return made


def prepared(
    using: Sampler, cache: Path, policy: LlamaForCausalLM | None = None, problems: list[Problem] = PROBLEMS
) -> Offline:
    algorithm = Offline()
    algorithm.prepare(problems, policy or tiny_policy(), using, cache, World())
    return algorithm


def test_one_greedy_answer_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    using = sampler()
    assert prepared(using, tmp_path).fixed == FIXED
    assert using.engine.calls == [(0.0, [1, 1, 1])]  # type: ignore[attr-defined]
    assert all(prompt.startswith("Test") for prompt in using.engine.asked)  # type: ignore[attr-defined]
    assert "fixed tests for 2 of 3 problems; the others give no reward" in capsys.readouterr().err


def test_a_later_run_reads_what_the_same_policy_wrote(tmp_path: Path) -> None:
    prepared(sampler(), tmp_path)
    again = sampler()
    assert prepared(again, tmp_path).fixed == FIXED and again.engine.calls == []  # type: ignore[attr-defined]
    trained = tiny_policy()
    with torch.no_grad():
        trained.model.layers[0].mlp.up_proj.weight[0, 0] += 1e-3
    other = sampler()
    prepared(other, tmp_path, trained)
    assert len(other.engine.calls) == 1  # type: ignore[attr-defined]


def test_more_problems_ask_for_those_that_are_missing(tmp_path: Path) -> None:
    prepared(sampler(), tmp_path, problems=PROBLEMS[:1])
    rest = sampler()
    assert prepared(rest, tmp_path).fixed == FIXED
    assert len(rest.engine.asked) == 2 and not any("first" in p for p in rest.engine.asked)  # type: ignore[attr-defined]


def test_a_writing_that_was_cut_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "PROBLEMS_AT_ONCE", 1)
    broken = sampler()
    del broken.engine.scripts["Test"]["Double empty."]  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        prepared(broken, tmp_path)
    rest = sampler()
    assert prepared(rest, tmp_path).fixed == FIXED
    assert ["empty" in prompt for prompt in rest.engine.asked] == [True]  # type: ignore[attr-defined]
