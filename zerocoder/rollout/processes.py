"""Decoding on several CPU cores: the requests of a call are dealt out to processes, each with a copy of the policy.

Threads do little for a small policy: its products are short, and they wait for each other and for Python between them.
The trainer's process takes the first share itself and hands on what the others send as soon as it comes. As with any
engine of its own weights, the copies are those of the last `sync_weights`.

Importing this file loads no torch, so that a new process takes what it is sent before it loads anything.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker, util
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, NamedTuple

from zerocoder.rollout.engine import Completion, OnDone, Request, Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from zerocoder.rollout.decoding import TransformersEngine

LEAST_SHARE = 64
"""Answers for which another process is worth asking, and worth starting."""
ENDS_WITHIN = 5.0
"""Seconds that a process has to end by itself."""


class Call(NamedTuple):
    """What a process is to do: decode, or, without `sampling`, take the weights that follow."""

    requests: Sequence[Request] = ()
    sampling: Sampling | None = None


class Said(NamedTuple):
    """What a process says of a call: an answer, an error's text, or, with neither, that it is through."""

    request: int = 0
    sample: int = 0
    completion: Completion | None = None
    error: str = ""


class ProcessesEngine:
    """A `RolloutEngine` of `engine` and at most `processes` - 1 more like it in processes of their own, on a CPU.

    They are started when a call is large enough for them, and ended when one is left early.
    """

    def __init__(self, engine: TransformersEngine, processes: int) -> None:
        self._engine = engine
        self._processes = processes
        self._helpers: list[_Helper] = []

    def sync_weights(self, policy: PreTrainedModel) -> None:
        self._engine.sync_weights(policy)
        for helper in self._helpers:
            helper.sync_weights(policy)

    def pause(self) -> None:
        self._engine.pause()

    def close(self) -> None:
        self._end_helpers()
        self._engine.close()

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_done: OnDone | None = None
    ) -> list[list[Completion]]:
        """As the engine's own. Raises RuntimeError when a process ended or failed."""
        self._engine.check_lengths(requests, sampling)
        try:
            return self._generate(requests, sampling, on_done)
        except BaseException:  # they are still at it, and what they have yet to say belongs to no later call
            self._end_helpers()
            raise

    def _generate(
        self, requests: Sequence[Request], sampling: Sampling, on_done: OnDone | None
    ) -> list[list[Completion]]:
        own, *shares = self._dealt(requests)
        self._helpers += [_Helper(self._engine) for _ in shares[len(self._helpers) :]]
        answers: list[list[Completion | None]] = [[None] * len(request.seeds) for request in requests]

        def take(index: int, sample: int, completion: Completion) -> None:
            answers[index][sample] = completion
            if on_done is not None:
                on_done(index, sample, completion)

        working: dict[Connection, tuple[_Helper, list[int]]] = {}
        for helper, share in zip(self._helpers, shares, strict=False):
            helper.ask(Call([requests[index] for index in share], sampling))
            working[helper.connection] = helper, share

        def take_theirs(timeout: float | None) -> None:
            for connection in wait(list(working), timeout):
                assert isinstance(connection, Connection)
                helper, share = working[connection]
                said = helper.hear()
                if said.completion is None:
                    del working[connection]
                else:
                    take(share[said.request], said.sample, said.completion)

        def take_own(request: int, sample: int, completion: Completion) -> None:
            take(own[request], sample, completion)
            if working:
                take_theirs(timeout=0)

        with _one_thread():
            self._engine.generate([requests[index] for index in own], sampling, take_own)
        while working:
            take_theirs(timeout=None)
        return [[c for c in row if c is not None] for row in answers]

    def _end_helpers(self) -> None:
        helpers, self._helpers = self._helpers, []
        for helper in helpers:
            helper.close()

    def _dealt(self, requests: Sequence[Request]) -> list[list[int]]:
        """Indices of the requests for every process: as many prompts of every length for each."""
        order = sorted(range(len(requests)), key=lambda i: (len(requests[i].prompt), i))
        answers = sum(len(request.seeds) for request in requests)
        shares = max(1, min(self._processes, answers // LEAST_SHARE, len(requests)))
        return [order[start::shares] for start in range(shares)]


class _Helper:
    """A process that decodes, seen from the trainer's."""

    def __init__(self, engine: TransformersEngine) -> None:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="zerocoder-decoding", daemon=True)
        with _interrupts_blocked():
            self._process.start()
        theirs.close()
        # At exit, before multiprocessing sends a SIGTERM to what is left and waits for its effect.
        self._at_exit = util.Finalize(self, _end, (self.connection, self._process), exitpriority=0)
        self._send(pickle.dumps((engine.policy, engine.tokenizer, engine.batch_size)))

    def sync_weights(self, policy: PreTrainedModel) -> None:
        self.ask(Call())
        for values in _bytes_of(policy):
            self._send(values)

    def ask(self, call: Call) -> None:
        self._send(pickle.dumps(call))

    def hear(self) -> Said:
        try:
            said: Said = self.connection.recv()
        except (EOFError, ConnectionError) as error:
            raise self._ended() from error
        if said.error:
            raise RuntimeError(f"a process of rollout.processes failed:\n{said.error}")
        return said

    def close(self) -> None:
        self._at_exit()

    def _send(self, values: bytes | memoryview) -> None:
        try:
            self.connection.send_bytes(values)
        except ConnectionError as error:
            raise self._ended() from error

    def _ended(self) -> RuntimeError:
        self._process.join(ENDS_WITHIN)
        how = self._process.exitcode
        why = ", mostly for want of memory: rollout.processes=1 needs least" if how == -signal.SIGKILL else ""
        return RuntimeError(f"a process of rollout.processes ended with exit code {how}{why}")


def _end(connection: Connection, process: BaseProcess) -> None:
    connection.close()  # it reads the end of what it is told, and ends
    process.join(ENDS_WITHIN)
    if process.is_alive():
        process.kill()
        process.join()


def _serve(connection: Connection) -> None:
    """What a process does until nobody tells it anything any more."""
    with suppress(EOFError, ConnectionError):
        made = connection.recv_bytes()
        import torch

        from zerocoder.rollout.decoding import TransformersEngine

        torch.set_num_threads(1)
        engine = TransformersEngine(*pickle.loads(made))
        while True:
            call: Call = connection.recv()
            if call.sampling is None:
                for values in _bytes_of(engine.policy):
                    connection.recv_bytes_into(values)
            else:
                _answer(connection, engine, call, call.sampling)


def _answer(connection: Connection, engine: TransformersEngine, call: Call, sampling: Sampling) -> None:
    def tell(request: int, sample: int, completion: Completion) -> None:
        connection.send(Said(request, sample, completion))

    try:
        engine.generate(call.requests, sampling, tell)
    except (EOFError, ConnectionError):
        raise
    except Exception:
        connection.send(Said(error=traceback.format_exc()))
    else:
        connection.send(Said())


def _bytes_of(policy: PreTrainedModel) -> Iterator[memoryview]:
    """The memory of all weights, to be read or written, in an order that is the same in every process."""
    import torch

    for parameter in policy.parameters():
        values: Any = parameter.detach().view(-1).view(torch.uint8).numpy()
        yield memoryview(values)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """What is started while it lasts hears neither of Ctrl-C nor of a job's end: the trainer does, and ends it.

    Both come to a whole group of processes, from a terminal and from a batch system.
    """
    resource_tracker.ensure_running()  # later, it would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread() -> Iterator[None]:
    """torch computes with one thread while it lasts: the others' cores belong to the other processes."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
