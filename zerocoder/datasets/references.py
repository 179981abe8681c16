"""Pseudo references: python -m zerocoder.datasets references data=livecodebench server=http://localhost:8000/v1

Samples solutions of a data set's held-out problems from an OpenAI-compatible server (server=, server_model=, the key in
$OPENAI_API_KEY) or from a local model (model.path=), 8 a problem, and keeps one that passes all official tests.
The output is one JSON object a line, {id, solution, model, sampled, passed}; data.source.references=<file> reads it.
Problems that it holds are not sampled again: a killed command goes on, and another model fills in what is missing.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zerocoder import cli
from zerocoder.answers import parse_program
from zerocoder.compose import CONF, load_references, to_yaml
from zerocoder.config import ReferencesConfig
from zerocoder.console import bar, say
from zerocoder.datasets.chat_server import ChatServer, RefusedError, Reply
from zerocoder.datasets.reading import read_rows
from zerocoder.execution import Executor
from zerocoder.files import require_writable, write_bytes
from zerocoder.interaction import label_job, labelled
from zerocoder.problems import Problem, Program, Role, ZeroCoderError
from zerocoder.prompts import PromptStyle, messages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from zerocoder.rollout.engine import RolloutEngine

PROGRAM = "python -m zerocoder.datasets references"
EXAMPLES = (
    "data=livecodebench server=http://localhost:8000/v1 output=references.jsonl",
    "data=livecodebench server=https://api.example.com/v1 server_model=big server_key=EXAMPLE_KEY concurrency=32",
    "data=livecodebench model.path=Qwen/Qwen2.5-Coder-7B-Instruct samples=8 max_tokens=2048",
)


@dataclass(frozen=True, slots=True)
class Reference:
    """What became of a problem: `solution` is empty where none of the `sampled` solutions `passed` all tests."""

    id: str
    solution: str
    model: str
    sampled: int
    passed: int


def main(argv: Sequence[str]) -> int:
    """The command; returns its exit status. Raises ZeroCoderError with one line for a user's mistake."""
    return cli.dispatch(
        run,
        lambda args: to_yaml(load_references(args)),
        lambda: cli.usage(__doc__, f"-m {PROGRAM.split(' -m ')[1]}", "references", CONF, EXAMPLES),
        list(argv),
    )


def run(argv: Sequence[str]) -> int:
    """Sample what is missing and append it to the output."""
    config = load_references(argv)
    _require_named(argv, config)
    file = ReferenceFile(Path(config.output).expanduser())
    problems = [p for p in config.data.source.heldout() if p.label is not None and p.label.tests][: config.limit]
    if not problems:
        raise ZeroCoderError("the data set has no held-out problems with tests that solutions could be checked by")
    with asker_of(config) as (model, ask), config.verifier.build() as executor:
        missing = [p for p in problems if not file.settles(p.id, model, config.samples)]
        say(f"references: {len(missing)} of {len(problems)} problems to sample from {model}, {config.samples} each")
        checker = Checker(executor, file, model)
        try:
            with bar("references", len(missing)) as advance:
                checker.on_done = advance
                ask(missing, checker)
                checker.finish()
        except ZeroCoderError:
            checker.finish()  # what has been answered is not asked again
            raise
        except KeyboardInterrupt:
            kept = ReferenceFile(file.path)  # it may have come between a line and what we remember of it
            num_kept = sum(kept.settles(p.id, model, config.samples) for p in missing)
            say(f"interrupted: {num_kept} of {len(missing)} are in {file.path}; the same command goes on")
            raise
    say(_summary(problems, file, checker.left_out))
    return 0


def _require_named(argv: Sequence[str], config: ReferencesConfig) -> None:
    """The defaults, zerocoder-nano and the built-in problems, are nothing that one would sample by mistake."""
    if config.server is None and not any(a.startswith(("model=", "model.path=")) for a in argv):
        raise ZeroCoderError("say what samples: server=http://localhost:8000/v1, or model.path=<a local model>")
    if not any(a.startswith(("data=", "data.source.")) for a in argv):
        raise ZeroCoderError("say which data set: data=livecodebench")


def _summary(problems: Sequence[Problem], file: ReferenceFile, left_out: dict[str, int]) -> str:
    solved = sum(bool(file.rows[p.id].solution) for p in problems if p.id in file.rows)
    rest = "".join(f"; {count} {reason}" for reason, count in left_out.items())
    return f"references: {solved} of {len(problems)} problems have one in {file.path}{rest}"


class ReferenceFile:
    """The output: what it holds, by problem, and a way to add to it that a crash cannot leave half done.

    Raises ZeroCoderError for a file of another kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Reference] = {}
        if not path.exists():
            require_writable(path.absolute().parent, f"output={path}")
            return
        if not os.access(path, os.W_OK):
            raise ZeroCoderError(f"output={path}: you may not write to this file; name another")
        content = path.read_bytes() if path.is_file() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            write_bytes(path, whole)  # the last line was cut off
        for row in read_rows(path, "output") if whole.strip() or not path.is_file() else ():
            sampled, passed = row.fields.get("sampled"), row.fields.get("passed")
            if not (isinstance(sampled, int) and isinstance(passed, int)):
                row.refuse('is no row of references: {"id", "solution", "model", "sampled", "passed"} is expected')
            self._remember(Reference(row.text("id"), row.text("solution"), row.text("model"), sampled, passed))

    def settles(self, problem: str, model: str, samples: int) -> bool:
        """Whether there is a reference, or this model has tried as often as it is to."""
        row = self.rows.get(problem)
        return row is not None and (bool(row.solution) or (row.model == model and row.sampled >= samples))

    def add(self, reference: Reference) -> None:
        """Append a row in one piece. Raises ZeroCoderError when it cannot be written."""
        self._remember(reference)
        line = json.dumps(asdict(reference), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ZeroCoderError(f"cannot write output={self.path}: {error.strerror}; what it held is kept") from error

    def _remember(self, reference: Reference) -> None:
        if reference.solution or not self.rows.get(reference.id, reference).solution:
            self.rows[reference.id] = reference


class Checker:
    """Runs sampled solutions against the official tests while others are being sampled."""

    def __init__(self, executor: Executor, file: ReferenceFile, model: str) -> None:
        self.left_out: dict[str, int] = {}
        self.on_done: Callable[[int], None] = lambda count: None
        self._executor = executor
        self._file = file
        self._model = model
        self._running: dict[Future[NDArray[np.int8]], tuple[Problem, list[Program], int]] = {}

    def take(self, problem: Problem, answers: Sequence[Reply] | str) -> None:
        """A problem's answers have arrived, or the reason why there are none."""
        if isinstance(answers, str):
            self._leave_out(answers)
        else:
            parsed = [parse_program(a.text, problem, a.truncated) for a in answers]
            programs = [program for program in parsed if isinstance(program, Program)]
            self._running[self._executor.submit(label_job(problem, programs))] = problem, programs, len(answers)
        self.poll()

    def poll(self) -> None:
        """Save what has been checked by now."""
        self._save([future for future in self._running if future.done()])

    def finish(self) -> None:
        """Wait for what is still running."""
        for future in list(self._running):
            future.result()
            self._save([future])

    def _save(self, finished: Sequence[Future[NDArray[np.int8]]]) -> None:
        for future in finished:
            problem, programs, sampled = self._running.pop(future)
            found = labelled(future.result())
            right = [program for program, correct in zip(programs, found.correct, strict=True) if correct]
            if not right and not found.known.all():
                self._leave_out("lost to a failure of the verifier; run the command again")
                continue
            source = right[0].source if right else ""
            self._file.add(Reference(problem.id, source, self._model, sampled, len(right)))
            self.on_done(1)

    def _leave_out(self, reason: str) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + 1
        self.on_done(1)


Ask = Callable[[Sequence[Problem], Checker], None]
"""Puts problems to a model and hands the answers to the checker as they arrive."""
_POLL_SECONDS = 0.2


@contextmanager
def asker_of(config: ReferencesConfig) -> Iterator[tuple[str, Ask]]:
    """The name of the model that the settings mean, and what puts problems to it."""
    if config.server is not None:
        server = ChatServer(config)
        try:
            yield server.model, lambda problems, checker: ask_server(server, config, problems, checker)
        finally:
            server.close()
    else:
        with _local(config) as ask:
            yield config.model.path, ask


def ask_server(server: ChatServer, config: ReferencesConfig, problems: Sequence[Problem], checker: Checker) -> None:
    """Several requests at once, from threads that do not keep an interrupted command from ending."""
    waiting: queue.SimpleQueue[Problem] = queue.SimpleQueue()
    arrived: queue.SimpleQueue[tuple[Problem, Sequence[Reply] | str | BaseException]] = queue.SimpleQueue()
    for problem in problems:
        waiting.put(problem)

    def work() -> None:
        while True:
            try:
                problem = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                chat = messages(problem.unlabelled(), Role.CODER, PromptStyle.STANDARD)
                arrived.put((problem, server.answers(chat, config.samples)))
            except RefusedError as error:
                arrived.put((problem, f"refused by the server ({error})"))
            except BaseException as error:
                arrived.put((problem, error))
                return

    for _ in range(min(config.concurrency, len(problems))):
        threading.Thread(target=work, daemon=True).start()
    left = len(problems)
    while left:
        try:
            problem, answers = arrived.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            checker.poll()
            continue
        if isinstance(answers, BaseException):
            raise answers
        checker.take(problem, answers)
        left -= 1


@contextmanager
def _local(config: ReferencesConfig) -> Iterator[Ask]:
    """The repository's own engines, with the model on this machine."""
    import torch

    from zerocoder import preflight
    from zerocoder.models import load_policy, load_tokenizer

    if config.threads is not None:
        torch.set_num_threads(config.threads)
    tokenizer = load_tokenizer(config.model)
    policy = load_policy(config.model, preflight.device(config.accelerator, "accelerator"))
    engine = config.rollout.start(policy, tokenizer)
    try:
        room = _prompt_room(config, getattr(policy.config, "max_position_embeddings", None))
        yield lambda problems, checker: _ask_engine(engine, tokenizer, config, room, problems, checker)
    finally:
        engine.close()


def _new_tokens(config: ReferencesConfig) -> int:
    tokens: int = config.max_tokens or config.rollout.max_new_tokens
    return tokens


def _prompt_room(config: ReferencesConfig, context: int | None) -> int:
    """Tokens that a prompt may have, of a model with a `context` of so many."""
    room = config.model.max_prompt_tokens if context is None else context - _new_tokens(config)
    if room < 1:
        raise ZeroCoderError(
            f"max_tokens={_new_tokens(config)} leaves no room for a prompt in the {context} tokens of "
            f"{config.model.path}; lower it"
        )
    return min(config.model.max_prompt_tokens, room)


def _ask_engine(
    engine: RolloutEngine,
    tokenizer: PreTrainedTokenizerBase,
    config: ReferencesConfig,
    room: int,
    problems: Sequence[Problem],
    checker: Checker,
) -> None:
    from zerocoder.prompting import prompt_ids
    from zerocoder.rollout.engine import Completion, Request, Sampling, request_seed

    sampling = Sampling(config.temperature, config.top_p, 0, _new_tokens(config))
    fitting: list[Problem] = []
    requests: list[Request] = []
    for problem in problems:
        prompt = prompt_ids(tokenizer, problem.unlabelled(), Role.CODER, config.model.prompt_style)
        if len(prompt) > room:
            checker.take(problem, f"with a prompt of more than {room} tokens")
            continue
        fitting.append(problem)
        seeds = (request_seed(config.seed, "references", problem.id, n) for n in range(config.samples))
        requests.append(Request(prompt, tuple(seeds)))
    answers: list[list[Reply]] = [[] for _ in requests]

    def on_done(request: int, sample: int, completion: Completion) -> None:
        answers[request].append(Reply(completion.text, completion.truncated))
        if len(answers[request]) == config.samples:
            checker.take(fitting[request], answers[request])
        else:
            checker.poll()

    engine.generate(requests, sampling, on_done)
