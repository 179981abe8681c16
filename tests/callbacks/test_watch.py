"""Warnings begin once, end, come back, and survive a restart."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from scripted import scripted_sampler
from step_result import result
from tiny import plain_trainer, tiny_policy

from callbacks.alarms import Credit
from callbacks.metrics import Metrics
from callbacks.truth import TrueRates
from callbacks.watch import Watch
from zerocoder.config import AlgorithmConfig, TrainerConfig
from zerocoder.execution import ProcessExecutor
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import Role
from zerocoder.selection.codet import CodeT

WINDOW = 2


@pytest.fixture(scope="module")
def module() -> Iterator[ZeroCoderModule]:
    with ProcessExecutor(workers=1) as executor:
        sampler = scripted_sampler({}, {})
        yield ZeroCoderModule(tiny_policy(), None, sampler, executor, CodeT(), AlgorithmConfig(), TrainerConfig())


class Steps:
    """A watch that is shown one step after the other."""

    def __init__(self, module: ZeroCoderModule, watch: Watch | None = None) -> None:
        self.module = module
        self.metrics = Metrics()
        self.truth = TrueRates([], self.metrics)
        self.watch = watch or Watch(self.metrics, self.truth, WINDOW)
        self.watch.metrics, self.watch.truth = self.metrics, self.truth
        self.trainer = plain_trainer(1, [])

    def show(self, step: int, empty: float = 0.0, credit: Credit | None = None, role: Role = Role.CODER) -> None:
        self.metrics.latest = {"selector/empty": empty}
        self.truth.credit = credit
        self.module.result = replace(result(role), step=step)
        self.watch.on_train_batch_end(self.trainer, self.module, None, None, step)


def restarted(state: dict[str, Any]) -> dict[str, Any]:
    """Through a checkpoint, which is read without unpickling code."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_a_warning_is_said_when_it_begins(module: ZeroCoderModule, capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps(module)
    for step, empty in enumerate([0.0, 0.9, 0.9, 0.9, 0.9]):
        steps.show(step, empty)
    (raised,) = steps.watch.raised
    assert (raised["kind"], raised["step"], raised["until"]) == ("silence", 2, 4)
    said = capsys.readouterr().err
    assert said.count("warning: after step 3: 90% of the problems of the last 2 steps have no consensus") == 1
    assert said.count("warning") == 1


@pytest.mark.parametrize(
    ("quiet", "raised"),
    [
        (6, [(1, 9)]),  # it held again 8 steps later: two windows of 2 steps, in turns of two roles
        (7, [(1, 1), (10, 10)]),
    ],
)
def test_it_is_said_again_after_two_quiet_windows(
    module: ZeroCoderModule, quiet: int, raised: list[tuple[int, int]]
) -> None:
    steps = Steps(module)
    for step, empty in enumerate([0.9, 0.9, *[0.0] * quiet, 0.9, 0.9]):
        steps.show(step, empty)
    assert [(w["step"], w["until"]) for w in steps.watch.raised] == raised


@pytest.mark.parametrize("cut", [0, 3, 6, 9])
def test_a_restart_changes_nothing(module: ZeroCoderModule, cut: int) -> None:
    def show(steps: Steps, numbers: range) -> None:
        for step in numbers:
            role = list(Role)[step % 2]
            late = step >= 6
            paid, right, precision = (0.9, 0.4, 0.4) if late else (0.5 + 0.001 * step, 0.5, 0.9)
            steps.show(step, 0.0, Credit(step, paid, right, precision), role)

    whole, first = Steps(module), Steps(module)
    show(whole, range(12))
    show(first, range(cut))
    watch = Watch(Metrics(), None, WINDOW)
    watch.load_state_dict(restarted(first.watch.state_dict()))
    second = Steps(module, watch)
    show(second, range(cut, 12))
    assert [w["kind"] for w in whole.watch.raised] == ["parting_coder", "parting_tester"]
    assert second.watch.state_dict() == whole.watch.state_dict()
