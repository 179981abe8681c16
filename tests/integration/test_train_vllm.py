"""Training with vLLM: weights that do not reach the engine stop the run, and a resumed run repeats the unbroken one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from scripted import DOUBLE
from tiny import plain_trainer, tiny_policy, tiny_tokenizer
from torch.utils.data import DataLoader
from user import SMALL, User, run_folder, same

from callbacks.weight_sync import WeightSync
from zerocoder.config import AlgorithmConfig, Config, TrainerConfig
from zerocoder.datamodule import ProblemDataModule
from zerocoder.execution import Executor, ProcessExecutor
from zerocoder.module import StepResult, ZeroCoderModule
from zerocoder.problems import ZeroCoderError
from zerocoder.prompts import PromptStyle
from zerocoder.rollout.sampler import Sampler
from zerocoder.rollout.vllm import VllmRollout
from zerocoder.selection.codet import CodeT

pytestmark = pytest.mark.vllm
pytest.importorskip("vllm")

LoadWeights = Callable[[Any, Iterator[tuple[str, torch.Tensor]]], None]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessExecutor(workers=1) as running:
        yield running


class Repeat(ProblemDataModule):
    """One problem, step after step."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader([[DOUBLE.unlabelled()]] * 9, batch_size=None)


class Change(L.Callback):
    """Moves the weights as a large update would: answers of a random policy earn the same rewards and move nothing."""

    @torch.no_grad()
    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        generator = torch.Generator().manual_seed(trainer.global_step)
        for parameter in pl_module.policy.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)


class Record(L.Callback):
    def __init__(self) -> None:
        self.results: list[StepResult] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        pl_module.interrupts.release()
        self.results.append(pl_module.result)


def fit(executor: Executor, steps: int = 3) -> list[StepResult]:
    policy, tokenizer = tiny_policy(hidden=128), tiny_tokenizer()
    rollout = VllmRollout(
        max_prompt_tokens=900, max_new_tokens=24, solutions=3, tests=3, kv_cache_gb=0.5, top_p=0.8, temperature=0.7
    )
    engine = rollout.start(policy, tokenizer)
    module = ZeroCoderModule(
        policy,
        None,
        Sampler(engine, tokenizer, rollout, PromptStyle.COMPACT, 0),
        executor,
        CodeT(),
        AlgorithmConfig(kl_coefficient=0.0),
        TrainerConfig(max_logprob_gap=0.01),
    )
    record = Record()
    trainer = plain_trainer(steps, [Change(), WeightSync(), record])
    try:
        trainer.fit(module, datamodule=Repeat(Config()))
    finally:
        engine.close()
    return record.results


def test_every_step_samples_from_the_weights_of_the_last(executor: Executor) -> None:
    results = fit(executor)
    assert len(results) == 3
    assert max(r.update.logprob_gap_max for r in results) < 3e-4
    assert 0 < max(r.update.logprob_gap_mean for r in results) < 1e-4, "two computations, not one"
    assert all(r.times.busy["sync"] > 0 for r in results)


def without_the_head(load: LoadWeights) -> LoadWeights:
    """The reload as vLLM does it: a tied head keeps the copy that it multiplies by."""
    return lambda worker, weights: worker.reload_weights(weights_iterator=weights)


def base_over_synced(load: LoadWeights) -> LoadWeights:
    """What becomes of an engine that, woken up, reads its weights from the disk again."""

    def wrong(worker: Any, weights: Iterator[tuple[str, torch.Tensor]]) -> None:
        load(worker, weights)
        load(worker, iter(tiny_policy(hidden=128).named_parameters()))

    return wrong


def never(load: LoadWeights) -> LoadWeights:
    """The first weights, and no others."""
    calls = iter((True, True))  # at the start and before the first step

    def wrong(worker: Any, weights: Iterator[tuple[str, torch.Tensor]]) -> None:
        if next(calls, False):
            load(worker, weights)

    return wrong


@pytest.mark.parametrize("fault", [without_the_head, base_over_synced, never])
def test_weights_that_do_not_take_stop_the_run(
    executor: Executor, fault: Callable[[LoadWeights], LoadWeights], monkeypatch: pytest.MonkeyPatch
) -> None:
    from zerocoder.rollout import vllm_engine

    monkeypatch.setattr(vllm_engine, "load_weights", fault(vllm_engine.load_weights))
    with pytest.raises(ZeroCoderError, match=r"step \d: the rollout engine's log-probs are .* away from the policy's"):
        fit(executor)


ENGINE = ("rollout=vllm", "rollout.kv_cache_gb=0.5", "callbacks.checkpoints.every=2")


def test_resume_after_sigkill_repeats_the_unbroken_run(user: User, tmp_path: Path) -> None:
    whole = User(tmp_path / "whole")
    whole.home.mkdir()
    done = whole.train(*ENGINE)
    assert done.returncode == 0, done.stderr[-3000:]
    broken = user.start("train.py", f"trainer.root={user.home / 'runs'}", *SMALL, *ENGINE)
    end = time.monotonic() + 280
    while not list((user.home / "runs").glob("*/*/checkpoints/step_000002")):
        assert broken.poll() is None, broken.communicate()[1][-3000:]
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(broken.pid, signal.SIGKILL)
    broken.communicate()
    resumed = user.train(*ENGINE, "trainer.resume=latest")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    ours, theirs = (
        torch.load(run_folder(u) / "checkpoints" / "step_000004" / "trainer.ckpt", weights_only=False)
        for u in (user, whole)
    )
    for key in ("state_dict", "optimizer_states", "callbacks", "global_step", "ProblemDataModule", "rng"):
        assert same(ours[key], theirs[key]), key
    lines = [(run_folder(u) / "samples.jsonl").read_text() for u in (user, whole)]
    assert lines[0] == lines[1] and len(lines[0].splitlines()) == 4


def test_a_wrong_setting_costs_no_start(user: User) -> None:
    done = user.train("rollout=vllm", "rollout.max_model_len=100")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "rollout.max_model_len=100 has no room for" in done.stderr.splitlines()[-1]
