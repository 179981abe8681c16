"""The probe by hand: once before the first step, every few steps, and at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import lightning as L
import pytest
from scripted import DOUBLE, DOUBLE_SOLUTIONS, DOUBLE_TESTS, fenced, scripted_sampler
from tiny import plain_trainer, tiny_policy
from torch.utils.data import DataLoader

from callbacks.metrics import Metrics
from callbacks.selection_noise import SelectionNoise, probe
from zerocoder.config import AlgorithmConfig, Config, TrainerConfig
from zerocoder.datamodule import ProblemDataModule
from zerocoder.execution import ProcessExecutor
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import Problem
from zerocoder.selection.codet import CodeT

OTHER = replace(DOUBLE, id="other", statement="Twice x.")
MISREAD = [fenced("def double(x):\n    return x * x")] * 2 + [fenced("def double(x):\n    return 2 * x"), "no code"]


@pytest.fixture
def module() -> Iterator[ZeroCoderModule]:
    scripts = {DOUBLE.statement: DOUBLE_SOLUTIONS, OTHER.statement: MISREAD}
    with ProcessExecutor(workers=1) as executor:
        sampler = scripted_sampler(scripts, dict.fromkeys(scripts, DOUBLE_TESTS))
        algorithm, trainer = AlgorithmConfig(kl_coefficient=0.0), TrainerConfig(max_logprob_gap=None)
        yield ZeroCoderModule(tiny_policy(), None, sampler, executor, CodeT(), algorithm, trainer)


def test_rates_by_hand(module: ZeroCoderModule) -> None:
    """The first consensus holds both right programs and no other, the second two wrong ones and misses the right one."""
    assert probe(module, [DOUBLE, OTHER], 0) == pytest.approx(
        {
            "selector/noise": 1 - (1 + 0) / 2,
            "probe/consensus_recall": (1 + 0) / 2,
            "probe/coder": 3 / 8,
            "probe/tester": 4 / 8,
        }
    )


def test_what_cannot_be_known_is_left_out(module: ZeroCoderModule) -> None:
    """A test that no program passes selects nothing, a label that none meets leaves nothing to be found."""
    assert DOUBLE.label is not None
    impossible = replace(
        DOUBLE,
        label=replace(DOUBLE.label, solution="", tests=(replace(DOUBLE.label.tests[0], code="assert double(1) == 0"),)),
    )
    assert probe(module, [impossible], 0) == {"selector/noise": 1.0, "probe/coder": 0.0}


class Batches(ProblemDataModule):
    def train_dataloader(self) -> DataLoader[list[Problem]]:
        return DataLoader([[DOUBLE.unlabelled()]] * 8, batch_size=None)


class Release(L.Callback):
    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        pl_module.interrupts.release()


@pytest.mark.parametrize(("steps", "expected"), [(3, [0, 2, 3]), (4, [0, 2, 4])])
def test_it_measures_at_both_ends_and_between(
    module: ZeroCoderModule, monkeypatch: pytest.MonkeyPatch, steps: int, expected: list[int]
) -> None:
    written: list[int] = []
    metrics = Metrics()

    def write(trainer: L.Trainer, scalars: dict[str, float], step: int) -> None:
        if "selector/noise" in scalars:
            written.append(step)

    monkeypatch.setattr(metrics, "write", write)
    trainer = plain_trainer(steps, [SelectionNoise([DOUBLE], 2, metrics), Release()])
    trainer.fit(module, datamodule=Batches(Config()))
    assert written == expected
