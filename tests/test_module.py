"""The training step as Lightning runs it: roles, one update a step, what it raises and what stops it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning as L
import pytest
import torch
from scripted import DOUBLE, DOUBLE_SOLUTIONS, DOUBLE_TESTS, scripted_sampler
from tiny import plain_trainer, tiny_policy
from torch.utils.data import DataLoader

from zerocoder.algorithms.base import Algorithm
from zerocoder.algorithms.offline import Offline
from zerocoder.algorithms.online import Online
from zerocoder.algorithms.oracle import Oracle
from zerocoder.algorithms.zerocoder import ZeroCoder
from zerocoder.config import AlgorithmConfig, Config, TrainerConfig
from zerocoder.datamodule import ProblemDataModule
from zerocoder.execution import Executor, ProcessExecutor
from zerocoder.experience import Experience, TrainingSample, collate
from zerocoder.logprobs import completion_logprobs
from zerocoder.module import StepResult, ZeroCoderModule, experience, training_samples
from zerocoder.problems import Problem, Role, TestCase, ZeroCoderError
from zerocoder.reference import FrozenCopy
from zerocoder.selection.base import Selector
from zerocoder.selection.codet import CodeT
from zerocoder.selection.dyb4 import DyB4


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessExecutor(workers=1) as running:
        yield running


class Repeat(ProblemDataModule):
    """One problem, step after step."""

    def __init__(self, problem: Problem, steps: int) -> None:
        super().__init__(Config())
        self.batches = [[problem]] * steps

    def train_dataloader(self) -> DataLoader[list[Problem]]:
        return DataLoader(self.batches, batch_size=None)


class Record(L.Callback):
    def __init__(self) -> None:
        self.results: list[StepResult] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        pl_module.interrupts.release()
        self.results.append(pl_module.result)


def build(
    executor: Executor,
    kl: float = 0.001,
    lr: float = 1e-3,
    micro_batch_tokens: int = 10**6,
    max_gap: float | None = None,  # the scripted engine's log-probs are made up
    method: Algorithm = ZeroCoder(),
    selector: Selector = CodeT(),
) -> ZeroCoderModule:
    sampler = scripted_sampler({"Double x.": DOUBLE_SOLUTIONS}, {"Double x.": DOUBLE_TESTS})
    return ZeroCoderModule(
        tiny_policy(),
        FrozenCopy(tiny_policy()) if kl else None,
        sampler,
        executor,
        selector,
        AlgorithmConfig(learning_rate=lr, kl_coefficient=kl, method=method),
        TrainerConfig(micro_batch_tokens=micro_batch_tokens, max_logprob_gap=max_gap),
    )


def fit(module: ZeroCoderModule, problem: Problem, steps: int) -> Record:
    record = Record()
    trainer = plain_trainer(steps, [record])
    trainer.fit(module, datamodule=Repeat(problem, steps))
    assert trainer.global_step == steps
    return record


def test_roles_take_turns_and_each_step_is_one_update(executor: Executor) -> None:
    record = fit(build(executor, micro_batch_tokens=1), DOUBLE.unlabelled(), 3)
    assert [r.role for r in record.results] == [Role.CODER, Role.TESTER, Role.CODER]
    assert [r.step for r in record.results] == [0, 1, 2]
    first = record.results[0]
    assert first.problems[0].rewards.total.tolist() == [1, 1, 0, -1]
    assert first.problems[0].consensus.solutions.tolist() == [True, True, False, False]
    assert {"rollout", "execution", "training"} <= set(first.times.waited)
    assert first.update.kl == pytest.approx(0, abs=1e-6)  # the policy still is the reference
    assert record.results[2].update.kl > 0


def test_a_coder_only_algorithm_trains_the_coder_in_every_step_and_calibrates_nothing(executor: Executor) -> None:
    module = build(executor, method=Online(), selector=DyB4())
    module.calibration_problems = [DOUBLE]
    record = fit(module, DOUBLE.unlabelled(), 3)
    assert [r.role for r in record.results] == [Role.CODER] * 3
    assert all(r.calibration is None for r in record.results)
    # No program passes both double(3) == 6 and double(3) == 9: of the rewards 0 0 0 -1 only the format is learnt.
    assert record.results[0].problems[0].rewards.total.tolist() == [0, 0, 0, -1]


def test_the_oracle_asks_only_whose_turn_it_is(executor: Executor) -> None:
    module = build(executor, method=Oracle(), selector=DyB4())
    module.calibration_problems = [DOUBLE]
    record = fit(module, DOUBLE, 2)
    coder, tester = (r.problems[0].interaction.group for r in record.results)
    assert [len(coder.solutions), len(coder.tests), len(tester.solutions), len(tester.tests)] == [4, 0, 0, 4]
    assert record.results[0].problems[0].rewards.total.tolist() == [1, 1, 0, -1]
    assert record.results[1].problems[0].rewards.valid.tolist() == [1, 1, 0, 0]
    assert all(r.calibration is None for r in record.results)


def test_what_an_algorithm_comes_to_know_stays_out_of_the_config(executor: Executor) -> None:
    method = Offline()
    module = build(executor, method=method)
    assert isinstance(module.method, Offline)
    module.method.fixed["double"] = TestCase("assert double(3) == 9")
    record = fit(module, DOUBLE.unlabelled(), 2)
    assert [r.problems[0].rewards.total.tolist() for r in record.results] == [[0, 0, 1, -1]] * 2
    assert record.results[0].problems[0].interaction.group.tests == () and not method.fixed


def test_micro_batches_do_not_change_the_weights(executor: Executor) -> None:
    modules = [build(executor, micro_batch_tokens=size) for size in (10**6, 200, 1)]
    for module in modules:
        fit(module, DOUBLE.unlabelled(), 2)
    whole, *split = [torch.cat([p.flatten() for p in m.policy.parameters()]) for m in modules]
    assert not torch.equal(whole, torch.cat([p.flatten() for p in tiny_policy().parameters()]))
    for weights in split:
        assert torch.allclose(weights, whole, atol=1e-5)


def answer_logprobs(module: ZeroCoderModule, role: Role) -> list[float]:
    """Mean log-prob of each scripted answer under the policy."""
    (group,) = module.sampler.sample([DOUBLE.unlabelled()], ("look",))
    out = []
    for rollout in group.of(role):
        s = TrainingSample(rollout.prompt, rollout.completion.token_ids, rollout.completion.logprobs, 0.0)
        with torch.no_grad():
            out.append(
                completion_logprobs(module.policy, collate([s], 0, torch.device("cpu")), 0.7, 64).logprobs.mean().item()
            )
    return out


@pytest.mark.parametrize("role", list(Role))
def test_an_update_favours_the_rewarded_answers_of_the_role(executor: Executor, role: Role) -> None:
    module = build(executor, kl=0.0, lr=3e-4)
    if role is Role.TESTER:
        fit(module, DOUBLE.unlabelled(), 1)
    before = answer_logprobs(module, role)
    record = fit_from(module, role)
    after = answer_logprobs(module, role)
    gain = [b - a for a, b in zip(before, after, strict=True)]
    best, worst = max(record), min(record)
    good = [g for g, a in zip(gain, record, strict=True) if a == best]
    bad = [g for g, a in zip(gain, record, strict=True) if a == worst]
    assert min(good) > max(bad)


def fit_from(module: ZeroCoderModule, role: Role) -> list[float]:
    """One more update for `role`; the advantages it used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ZeroCoderModule, "role", property(lambda self: role))
        record = fit(module, DOUBLE.unlabelled(), 1)
    return record.results[0].advantages[0].tolist()


def test_non_finite_loss_stops_before_the_weights_change(executor: Executor) -> None:
    module = build(executor, kl=0.0)
    with torch.no_grad():
        module.policy.model.norm.weight[0] = float("nan")
    before = [p.clone() for p in module.policy.parameters()]
    with pytest.raises(ZeroCoderError, match=r"step 0: loss nan is not finite; the weights were not"):
        fit(module, DOUBLE.unlabelled(), 1)
    assert all(
        torch.equal(
            a,
            b,
        )
        or a.isnan().any()
        for a, b in zip(before, module.policy.parameters(), strict=True)
    )


def test_an_engine_with_other_weights_stops_the_run_before_the_weights_change(executor: Executor) -> None:
    module = build(executor, max_gap=0.5)
    before = [p.clone() for p in module.policy.parameters()]
    with pytest.raises(
        ZeroCoderError, match=r"step 0: the rollout engine's log-probs are .* trainer\.max_logprob_gap is"
    ):
        fit(module, DOUBLE.unlabelled(), 1)
    assert all(torch.equal(a, b) for a, b in zip(before, module.policy.parameters(), strict=True))


def test_checkpoints_do_not_hold_the_reference(executor: Executor) -> None:
    assert all(name.startswith("policy.") for name in build(executor).state_dict())


def test_experience_is_that_of_the_role_with_the_advantages_in_place(executor: Executor) -> None:
    module = build(executor)
    result = fit(module, DOUBLE.unlabelled(), 1).results[0]
    groups = [p.interaction.group for p in result.problems]
    exp = experience(training_samples(Role.CODER, groups), result.advantages)
    assert isinstance(exp, Experience) and len(exp.sequences) == 4
    # Rewards 1 1 0 -1: mean 1/4, unbiased std sqrt((2 * .5625 + .0625 + 1.5625) / 3) = 0.9574
    assert [s.advantage for s in exp.sequences] == pytest.approx([0.7833, 0.7833, -0.2611, -1.3056], abs=1e-3)
    assert exp.tokens == sum(len(r.completion.token_ids) for r in groups[0].solutions)
