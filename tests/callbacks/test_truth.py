"""The truth beside the reward: by hand, and without any way from labels to what is learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from scripted import DOUBLE, DOUBLE_SOLUTIONS, DOUBLE_TESTS, fenced, scripted_sampler
from step_result import result
from tiny import plain_trainer, tiny_policy
from torch.utils.data import DataLoader

from callbacks.alarms import Credit
from callbacks.labels import Truth
from callbacks.metrics import Metrics
from callbacks.truth import TrueRates, credit, judged, truth_scalars
from zerocoder.config import AlgorithmConfig, Config, TestUnit, TrainerConfig
from zerocoder.datamodule import ProblemDataModule
from zerocoder.execution import Executor, ProcessExecutor
from zerocoder.interaction import Labelled
from zerocoder.module import StepResult, ZeroCoderModule
from zerocoder.problems import Label, Problem, Role, TestCase
from zerocoder.selection.codet import CodeT

OTHER = replace(DOUBLE, id="other", statement="Twice x.")
# Two of the three programs share the misreading that the third test has, too: the consensus is wrong.
MISREAD = [
    fenced("def double(x):\n    return x * x"),
    fenced("def double(x):\n    return x ** 2"),
    fenced("def double(x):\n    return 2 * x"),
    "no code",
]
PROBLEMS = [DOUBLE, OTHER]
SCRIPTS = {DOUBLE.statement: DOUBLE_SOLUTIONS, OTHER.statement: MISREAD}


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessExecutor(workers=1) as running:
        yield running


class Batches(ProblemDataModule):
    """The same problems, step after step, as an algorithm without labels gets them."""

    def train_dataloader(self) -> DataLoader[list[Problem]]:
        return DataLoader([[p.unlabelled() for p in PROBLEMS]] * 8, batch_size=None)


class Record(L.Callback):
    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.results: list[StepResult] = []
        self.scalars: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        pl_module.interrupts.release()
        self.results.append(pl_module.result)
        self.scalars.append({k: v for k, v in self.metrics.latest.items() if k.startswith("truth/")})


def run(
    executor: Executor,
    labelled: Sequence[Problem] | None,
    steps: int = 2,
    every: int = 1,
    unit: TestUnit = TestUnit.ANSWER,
) -> tuple[Record, torch.Tensor]:
    """Training with the callback on `labelled`, None without it; and the weights that were learnt."""
    tests = dict.fromkeys(SCRIPTS, DOUBLE_TESTS)
    module = ZeroCoderModule(
        tiny_policy(),
        None,
        scripted_sampler(SCRIPTS, tests),
        executor,
        CodeT(),
        AlgorithmConfig(learning_rate=1e-3, kl_coefficient=0.0, test_unit=unit),
        TrainerConfig(max_logprob_gap=None),  # the scripted engine's log-probs are made up
    )
    metrics = Metrics()
    record = Record(metrics)
    truth = [] if labelled is None else [TrueRates(labelled, metrics, every)]
    plain_trainer(steps, [metrics, *truth, record]).fit(module, datamodule=Batches(Config()))
    return record, torch.cat([p.detach().flatten() for p in module.policy.parameters()])


def test_rates_by_hand(executor: Executor) -> None:
    record, _ = run(executor, PROBLEMS)
    coder, tester = record.scalars
    both = {"truth/coder": 3 / 8, "truth/tester": 4 / 8, "truth/consensus": 1 / 2}
    # Four programs are rewarded, the two misreadings among them; three are right.
    assert coder == pytest.approx(both | {"truth/overpaid_coder": 4 / 8 - 3 / 8, "truth/precision_coder": 2 / 4})
    # Either proxy passes two tests; the misreading one passes that of the misreading instead of a right one.
    assert tester == pytest.approx(both | {"truth/overpaid_tester": 0.0, "truth/precision_tester": 3 / 4})
    assert [r.role for r in record.results] == list(Role)


def test_asserts_are_columns_and_answers_are_paid(executor: Executor) -> None:
    """With one assert an answer the columns are the answers."""
    by_answer, by_assert = (run(executor, PROBLEMS, unit=unit)[0].scalars for unit in TestUnit)
    assert by_answer == by_assert


def test_an_answer_deserves_the_mean_of_its_asserts_and_counts_only_where_all_is_known() -> None:
    assessed = result(Role.TESTER).problems[0]  # pays its four answers 1, 1, 0, 0; the last is masked
    owners = np.array([0, 0, 1, 2, 2, 3])
    valid = np.array([True, False, True, False, False, True])
    known = np.array([True, True, True, True, False, True])
    truth = Truth(Labelled(np.zeros(4, dtype=bool), np.ones(4, dtype=bool)), Labelled(valid, known))
    of_tests = judged(Role.TESTER, replace(assessed, interaction=replace(assessed.interaction, owners=owners)), truth)
    assert of_tests.right[:2].tolist() == [0.5, 1.0] and np.isnan(of_tests.right[2:]).all()
    summed = credit(7, [of_tests])
    assert summed == Credit(7, paid=1.0, right=0.75, precision=0.75)
    scalars = truth_scalars(Role.TESTER, [of_tests], summed)
    assert scalars["truth/tester"] == 3 / 5  # columns that are known
    assert scalars["truth/overpaid_tester"] == 0.25 and scalars["truth/consensus"] == 0.0
    nothing = judged(Role.TESTER, assessed, replace(truth, tests=None))
    assert credit(7, [nothing]) is None


def test_labels_do_not_reach_what_is_learnt(executor: Executor) -> None:
    """Bit for bit the same without the callback, with the labels, and with labels that say the opposite."""
    wrong = Label("def double(x):\n    return 4 * x", (TestCase("assert double(3) == 12"),))
    kinds = [None, PROBLEMS, [replace(p, label=wrong) for p in PROBLEMS]]
    runs = [run(executor, kind, steps=4) for kind in kinds]
    rates = [[scalars.get("truth/coder") for scalars in record.scalars] for record, _ in runs]
    assert rates == [[None] * 4, [3 / 8] * 4, [0.0] * 4]
    start = torch.cat([p.detach().flatten() for p in tiny_policy().parameters()])
    for record, weights in runs[1:]:
        assert torch.equal(weights, runs[0][1]) and not torch.equal(weights, start)
        for ours, theirs in zip(record.results, runs[0][0].results, strict=True):
            for a, b in zip(ours.problems, theirs.problems, strict=True):
                assert a.interaction.problem.label is None
                for term in ("total", "valid", "mutation", "format", "mask"):
                    assert np.array_equal(getattr(a.rewards, term), getattr(b.rewards, term))
            assert all(map(np.array_equal, ours.advantages, theirs.advantages))


def test_only_its_problems_are_measured(executor: Executor) -> None:
    record, _ = run(executor, [OTHER])
    assert record.scalars[0]["truth/coder"] == 1 / 4 and record.scalars[0]["truth/consensus"] == 0
    assert not any(run(executor, [replace(DOUBLE, id="elsewhere")])[0].scalars)


def test_a_label_without_a_reference_says_nothing_of_tests(executor: Executor) -> None:
    assert DOUBLE.label is not None
    bare = [replace(p, label=replace(DOUBLE.label, solution="")) for p in PROBLEMS]
    coder, tester = run(executor, bare)[0].scalars
    assert coder["truth/coder"] == 3 / 8 and "truth/tester" not in coder
    assert tester == {"truth/coder": 3 / 8, "truth/consensus": 1 / 2}


def test_every_counts_turns_of_each_role(executor: Executor) -> None:
    record, _ = run(executor, PROBLEMS, steps=6, every=2)
    assert [bool(scalars) for scalars in record.scalars] == [True, True, False, False, True, True]
