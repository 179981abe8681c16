"""Scalars of a step, by hand."""

from __future__ import annotations

import pytest
from scripted import DOUBLE_SOLUTIONS
from step_result import result

from callbacks.metrics import matrix_scalars, reward_scalars, rollout_scalars, time_scalars
from callbacks.progress import step_line
from zerocoder.problems import Role


def test_rewards_are_means_over_what_counts() -> None:
    scalars = reward_scalars(result(Role.TESTER))
    assert scalars["reward/tester"] == pytest.approx(1.5 / 7)
    assert scalars["reward/tester_valid"] == pytest.approx(2 / 7)
    assert scalars["reward/tester_mutation"] == pytest.approx(1 / 7)
    assert scalars["reward/masked"] == 1 and scalars["reward/flat_groups"] == 0.5
    assert "reward/coder" not in scalars
    assert reward_scalars(result(Role.CODER))["reward/coder"] == pytest.approx(1.5 / 7)


def test_matrix_and_verdicts() -> None:
    scalars = matrix_scalars(result(Role.CODER))
    assert scalars["matrix/rank"] == 2 and scalars["matrix/degenerate"] == 0
    assert scalars["matrix/density"] == pytest.approx(6 / 9)  # of the shown 3 x 3
    assert scalars["verdict/pass"] == pytest.approx(6 / 16) and scalars["verdict/skipped"] == pytest.approx(7 / 16)
    assert sum(v for k, v in scalars.items() if k.startswith("verdict/")) == pytest.approx(1)


def test_rollouts_of_both_roles() -> None:
    scalars = rollout_scalars(result(Role.CODER))
    assert scalars["rollout/format_errors_coder"] == 0.25 and scalars["rollout/format_errors_tester"] == 0.25
    lengths = [len(text) + 1 for text in DOUBLE_SOLUTIONS]  # bytes and the end token
    assert scalars["rollout/length_coder"] == pytest.approx(sum(lengths) / 4)
    assert scalars["rollout/truncated"] == 0


def test_times_tell_what_was_waited_for_and_what_was_hidden() -> None:
    scalars = time_scalars(result(Role.CODER))
    assert scalars["time/step"] == 4.5 and scalars["time/hidden"] == 3.5  # 2.5 s of execution, 1 s of mutation
    assert scalars["time/execution"] == 0.5 and scalars["time/busy_execution"] == 3.0
    assert scalars["time/training"] == 0


def test_the_line_of_a_step() -> None:
    metrics = {
        "reward/tester": 0.5, "reward/tester_valid": 0.75, "reward/tester_mutation": 0.25, "matrix/rank": 2.0,
        "time/step": 3.0, "time/rollout": 2.0, "time/training": 1.0, "time/mutation": 0.01,
    }  # fmt: skip
    assert step_line(8, 40, Role.TESTER, metrics) == (
        "step  8/40 tester reward  0.50 (valid 0.75, mutation 0.25)  rank 2.0  3.0s (rollout 2.0, training 1.0)"
    )
