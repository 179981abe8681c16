"""The method learns, and would be seen not to: a short label-free training, whole and with one fault at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from learning import Learnt, practise
from numpy.typing import NDArray

import zerocoder.module as module_file
from zerocoder.execution import Executor, ProcessExecutor
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import Role, ZeroCoderError
from zerocoder.rollout.transformers import TransformersRollout
from zerocoder.selection.base import Consensus

# Nats by which believed answers must gain on others. Whole, the training gives coders 1.0 to 1.2 and testers 1.0 to 1.8
# (seeds 0 to 2); with a frozen selector coders get 0.5, with swapped roles 0.2.
LEAST = Learnt(coder=0.75, tester=0.5)


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessExecutor() as executor:
        yield executor


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ranks of the pre-filter, the same in all runs of a seed."""
    return tmp_path_factory.mktemp("cache")


def has_learnt(learnt: Learnt) -> bool:
    return learnt.coder >= LEAST.coder and learnt.tester >= LEAST.tester


def test_believed_answers_become_likelier_than_others(executor: Executor, cache: Path) -> None:
    learnt = practise(executor, 0, cache)
    assert has_learnt(learnt), learnt


def test_advantages_of_the_wrong_sign_are_seen(
    executor: Executor, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = module_file.group_advantages
    monkeypatch.setattr(module_file, "group_advantages", lambda rewards, counts: -right(rewards, counts))
    learnt = practise(executor, 0, cache)
    assert learnt.coder < 0 and learnt.tester < 0 and not has_learnt(learnt), learnt


def test_a_frozen_selector_is_seen(executor: Executor, cache: Path) -> None:
    class First:
        """Believes the first solution, whatever the matrix says."""

        name: ClassVar[str] = "first"
        needs_labels: ClassVar[bool] = False

        def select(self, matrix: NDArray[np.bool_]) -> Consensus:
            solutions = np.arange(len(matrix)) == 0
            return Consensus(solutions, matrix[0], 1.0)

    def freeze(module: ZeroCoderModule) -> None:
        module.selector = First()

    learnt = practise(executor, 0, cache, freeze)
    assert not has_learnt(learnt), learnt


def test_swapped_roles_are_seen(executor: Executor, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = module_file.training_samples
    other = {Role.CODER: Role.TESTER, Role.TESTER: Role.CODER}
    monkeypatch.setattr(module_file, "training_samples", lambda role, groups: right(other[role], groups))
    learnt = practise(executor, 0, cache)
    assert not has_learnt(learnt), learnt


def test_stale_rollout_weights_stop_the_training(executor: Executor, cache: Path) -> None:
    def go_stale(module: ZeroCoderModule) -> None:
        old = copy.deepcopy(module.policy)
        module.sampler.engine = TransformersRollout(batch_size=256).start(old, module.sampler.tokenizer)

    with pytest.raises(ZeroCoderError, match="it samples from other weights than are trained"):
        practise(executor, 0, cache, go_stale)
