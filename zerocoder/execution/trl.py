"""The verifier as a reward function of TRL's GRPOTrainer: the share of its tests that a completion's program passes.

    trainer = GRPOTrainer(model=..., reward_funcs=passing_reward, train_dataset=dataset, args=...)

The dataset has the columns `tests` (a list of assert statements, or of {"stdin", "stdout"}) and, for asserts,
`entry_point`. Nothing of TRL is imported here; its convention is `(prompts, completions, **columns) -> rewards`, where
None leaves a sample out of its group's baseline and gives it no advantage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerocoder.answers import FormatError, parse_program
from zerocoder.execution.executor import ProcessExecutor
from zerocoder.execution.jobs import Job
from zerocoder.execution.limits import Limits
from zerocoder.execution.verdicts import Verdict
from zerocoder.problems import Problem, Program, Style, TestCase, ZeroCoderError

__all__ = ["PassingReward", "passing_reward", "reward_of"]

Completion = str | Sequence[Mapping[str, Any]]
"""A text, or the messages of a conversation, of which the last one's content is the answer."""


@dataclass(frozen=True)
class _Task:
    """What the completions of one problem are checked with."""

    tests: tuple[TestCase, ...]
    entry_point: str | None


class PassingReward:
    """The reward function, with settings of its own; `passing_reward` is one with the defaults.

    all_or_nothing: 1 when every test is passed, else 0, instead of the share.
    workers: processes that run programs; 0 for this training process' part of the cores.
    limits, isolation: as for `ProcessExecutor`.

    A completion without a program gets 0. A sample gets None, which TRL leaves out, when the verifier itself failed on
    it, and when its row has no tests (`tests` is None: another reward function is for it). Rewards are computed on
    worker processes that start at the first call and end with this process, or at `close`.

    Raises ZeroCoderError for a setting out of range, and when called on columns that describe no tests.
    """

    def __init__(
        self,
        all_or_nothing: bool = False,
        workers: int = 0,
        limits: Limits = Limits(),  # noqa: B008
        isolation: str = "standard",
    ) -> None:
        self.all_or_nothing = all_or_nothing
        self.__name__ = "all_passing_reward" if all_or_nothing else "passing_reward"  # what TRL logs it as
        self._settings = (workers, limits, isolation)
        self._executor = ProcessExecutor(*self._settings)

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """One reward a completion, in order. `columns` are the dataset's, one value a completion."""
        tasks = _tasks(columns, len(completions))
        groups: dict[_Task, list[int]] = {}
        for index, task in enumerate(tasks):
            if task is not None:
                groups.setdefault(task, []).append(index)
        jobs = [
            Job(
                tuple(_program(completions[index], task) for index in members),
                task.tests,
                task.entry_point,
                first_failure=self.all_or_nothing,
            )
            for task, members in groups.items()
        ]
        matrices = self._executor.run(jobs)
        rewards: list[float | None] = [None] * len(completions)
        for members, matrix in zip(groups.values(), matrices, strict=True):
            for index, row in zip(members, matrix, strict=True):
                rewards[index] = reward_of(row, self.all_or_nothing)
        if "log_metric" in columns and matrices:
            _log(columns["log_metric"], matrices)
        return rewards

    def close(self) -> None:
        """Ends the worker processes. A later call starts new ones."""
        self._executor.close()

    def __getstate__(self) -> dict[str, Any]:
        """Without the processes, so that trainers can send it to others: every copy starts its own."""
        return {**self.__dict__, "_executor": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _executor=ProcessExecutor(*state["_settings"]))


def reward_of(verdicts: NDArray[np.int8], all_or_nothing: bool = False) -> float | None:
    """The share of passed tests in one program's verdicts [K], or 1 and 0; None when we failed on one of them."""
    if (verdicts == Verdict.INFRA).any():
        return None
    share = float((verdicts == Verdict.PASS).mean())
    return float(share == 1.0) if all_or_nothing else share


def _tasks(columns: Mapping[str, Any], size: int) -> list[_Task | None]:
    if "tests" not in columns:
        raise ZeroCoderError(
            "the dataset has no column 'tests': add one with a list of asserts, or of {'stdin', 'stdout'}, in each row"
        )
    entry_points = columns.get("entry_point") or [None] * size
    pairs = zip(columns["tests"], entry_points, strict=True)
    return [_task(tests, entry_point, f"sample {index}") for index, (tests, entry_point) in enumerate(pairs)]


def _task(tests: Any, entry_point: Any, where: str) -> _Task | None:
    """Raises ZeroCoderError for tests that are none. `entry_point` counts for asserts only."""
    if tests is None:
        return None
    if isinstance(tests, str | Mapping) or not isinstance(tests, Sequence) or not tests:
        raise ZeroCoderError(f"{where}: 'tests' must be a list with at least one test, or None for no reward")
    cases = tuple(_case(test, where) for test in tests)
    styles = {case.style for case in cases}
    if len(styles) > 1:
        raise ZeroCoderError(f"{where}: 'tests' mixes asserts and stdin/stdout; a problem has one kind")
    if styles == {Style.STDIN}:
        return _Task(cases, None)
    if not isinstance(entry_point, str) or not entry_point.isidentifier():
        raise ZeroCoderError(
            f"{where}: asserts need a column 'entry_point' with the name of the function they call, not {entry_point!r}"
        )
    return _Task(cases, entry_point)


def _case(test: Any, where: str) -> TestCase:
    if isinstance(test, str) and test.strip():
        return TestCase(code=test)
    if isinstance(test, Mapping) and isinstance(test.get("stdin"), str) and isinstance(test.get("stdout"), str):
        return TestCase(stdin=test["stdin"], stdout=test["stdout"])
    raise ZeroCoderError(f"{where}: a test is a string of asserts or a dict of two strings, 'stdin' and 'stdout'")


def _program(completion: Completion, task: _Task) -> Program | None:
    style = Style.STDIN if task.entry_point is None else Style.FUNCTION
    problem = Problem(id="", statement="", style=style, entry_point=task.entry_point)
    answer = parse_program(_text(completion), problem)
    return None if isinstance(answer, FormatError) else answer


def _text(completion: Completion) -> str:
    """The answer's text; of a conversation the last message's, whose content may come in typed parts."""
    if isinstance(completion, str):
        return completion
    content = completion[-1].get("content") if completion else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))


def _log(log_metric: Any, matrices: list[NDArray[np.int8]]) -> None:
    """Shares of the verdicts among this call's cells, to the trainer's own log."""
    cells = np.concatenate([matrix.ravel() for matrix in matrices])
    for kind in Verdict:
        log_metric(f"verdict/{kind.name.lower()}", float((cells == kind).mean()))


passing_reward = PassingReward()
"""The share of tests passed, on this machine's cores, under the verifier's default limits."""
