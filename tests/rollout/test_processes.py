"""Several processes against one: the same answers, of the weights last handed over, and an end that is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch
from tiny import tiny_policy, tiny_tokenizer

from zerocoder.problems import ZeroCoderError
from zerocoder.rollout.decoding import TransformersEngine
from zerocoder.rollout.engine import Completion, Request, Sampling
from zerocoder.rollout.processes import LEAST_SHARE, Call, ProcessesEngine
from zerocoder.rollout.transformers import TransformersRollout

WARM = Sampling(0.7, 0.8, 0, 12)
REQUESTS = [Request(tuple(range(5, 9 + n)), tuple(range(LEAST_SHARE // 2))) for n in range(5)]
"""Enough for two processes, not for three."""


def alone(seed: int = 0) -> TransformersEngine:
    return TransformersEngine(tiny_policy(seed), tiny_tokenizer(), 64)


@pytest.fixture(scope="module")
def engine() -> Iterator[ProcessesEngine]:
    made = ProcessesEngine(alone(), 3)
    yield made
    made.close()


def tokens(answers: list[list[Completion]]) -> list[list[tuple[int, ...]]]:
    return [[completion.token_ids for completion in row] for row in answers]


def decoders() -> list[int]:
    return [child.pid or 0 for child in active_children() if child.name == "zerocoder-decoding"]


def test_answers_are_those_of_one_process(engine: ProcessesEngine) -> None:
    seen: dict[tuple[int, int], Completion] = {}
    theirs = engine.generate(REQUESTS, WARM, lambda r, s, c: seen.update({(r, s): c}))
    ours = alone().generate(REQUESTS, WARM)
    assert tokens(theirs) == tokens(ours)
    assert [[c.text for c in row] for row in theirs] == [[c.text for c in row] for row in ours]
    assert seen == {(r, s): c for r, row in enumerate(theirs) for s, c in enumerate(row)}
    assert len(decoders()) == 1  # of the two that are allowed: the call has answers for one


def test_a_small_call_is_decoded_here(engine: ProcessesEngine) -> None:
    engine.generate(REQUESTS, WARM)
    (pid,) = decoders()
    few = [Request(request.prompt, (1,)) for request in REQUESTS]
    os.kill(pid, signal.SIGSTOP)  # nobody waits for it
    try:
        assert tokens(engine.generate(few, WARM)) == tokens(alone().generate(few, WARM))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert decoders() == [pid]
    assert engine.generate([], WARM) == []


def test_new_weights_reach_every_process(engine: ProcessesEngine) -> None:
    engine.generate(REQUESTS, WARM)
    other = alone(seed=1)
    engine.sync_weights(other.policy)
    assert tokens(engine.generate(REQUESTS, WARM)) == tokens(other.generate(REQUESTS, WARM))
    with torch.no_grad():
        for parameter in other.policy.parameters():
            parameter.mul_(1.5)
    engine.sync_weights(other.policy)
    assert tokens(engine.generate(REQUESTS, WARM)) == tokens(other.generate(REQUESTS, WARM))


def test_a_call_that_was_left_early_does_not_disturb_the_next(engine: ProcessesEngine) -> None:
    def leave(request: int, sample: int, completion: Completion) -> None:
        raise KeyboardInterrupt

    engine.generate(REQUESTS, WARM)
    with pytest.raises(KeyboardInterrupt):
        engine.generate(REQUESTS, Sampling(1.0, 1.0, 0, 200), leave)
    assert not decoders()
    engine.sync_weights(tiny_policy())
    assert tokens(engine.generate(REQUESTS, WARM)) == tokens(alone().generate(REQUESTS, WARM))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_the_whole_group_are_not_for_it(engine: ProcessesEngine, number: signal.Signals) -> None:
    engine.generate(REQUESTS, WARM)
    (pid,) = decoders()
    os.kill(pid, number)
    engine.generate(REQUESTS, WARM)
    assert decoders() == [pid]
    assert number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())  # but for us


def test_a_trainer_that_ends_without_a_word_takes_it_along() -> None:
    """An exception that nobody catches: the interpreter ends its other processes, and waits for them."""
    script = (
        "import test_processes as t\n"
        "if __name__ == '__main__':\n"
        "    engine = t.ProcessesEngine(t.alone(), 2)\n"
        "    engine.generate(t.REQUESTS, t.WARM)\n"
        "    print(*t.decoders(), flush=True)\n"
        "    raise SystemExit(3)\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ends.py")
        file.write_text(script)
        done = subprocess.run(
            [sys.executable, str(file)], env={**os.environ, "PYTHONPATH": path}, capture_output=True, timeout=100
        )
    assert done.returncode == 3, done.stderr
    (pid,) = map(int, done.stdout.split())
    assert not Path(f"/proc/{pid}").exists()


def test_torch_has_its_threads_back(engine: ProcessesEngine) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        engine.generate(REQUESTS, WARM)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_too_long_prompts_are_refused_before_anything_is_decoded() -> None:
    engine = ProcessesEngine(alone(), 2)
    with pytest.raises(ValueError, match="1020 tokens and 12 new ones exceed the model's 1024"):
        engine.generate([*REQUESTS, Request((5,) * 1020, (0,))], WARM)


def test_a_process_that_fails_or_dies_is_told() -> None:
    engine = ProcessesEngine(alone(), 2)
    engine.generate(REQUESTS, WARM)
    engine._helpers[0].ask(Call([Request((10_000,), (0,))], WARM))  # the policy has no such token
    with pytest.raises(RuntimeError, match=r"a process of rollout.processes failed:\n(.|\n)*IndexError"):
        while True:
            engine._helpers[0].hear()
    (pid,) = set(decoders()) & {engine._helpers[0]._process.pid}
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"ended with exit code -9, mostly for want of memory: rollout.processes=1"):
        engine.generate(REQUESTS, WARM)
    engine.close()
    assert pid not in decoders()


def test_settings() -> None:
    with pytest.raises(ZeroCoderError, match="rollout.processes must be > 0, or null to decide .*, got 0"):
        TransformersRollout(processes=0)
    assert TransformersRollout(processes=2).deciding == TransformersRollout().deciding


@pytest.mark.parametrize(
    ("asked", "threads", "hidden", "several"),
    [(None, 2, 32, True), (None, 1, 32, False), (None, 2, 1536, False), (2, 1, 32, True), (1, 2, 32, False)],
)
def test_small_policies_get_a_process_for_every_thread(
    asked: int | None, threads: int, hidden: int, several: bool
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        engine = TransformersRollout(processes=asked).start(tiny_policy(hidden=hidden), tiny_tokenizer())
        assert type(engine) is (ProcessesEngine if several else TransformersEngine)
    finally:
        torch.set_num_threads(before)
