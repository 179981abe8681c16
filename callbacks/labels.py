"""What labels say of a problem's answers: its programs against the official tests, its tests against the reference.

For measurements alone. The labels are looked up by whoever measures; the problems that are trained on have none.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution import Executor, Job, Verdict
from zerocoder.execution.verdicts import is_unknown
from zerocoder.interaction import Interaction, Labelled, label_job, labelled
from zerocoder.problems import Problem, Program


@dataclass(frozen=True, slots=True)
class Truth:
    """What is right of a problem's answers; one that did not parse is wrong."""

    solutions: Labelled  # [N] programs that pass all official tests
    tests: Labelled | None  # [K] columns that the reference passes; None without a reference


class LabelCheck:
    """Answers are put to the label of `problem`: handed to the executor at once, `result` waits."""

    def __init__(self, executor: Executor, problem: Problem, interaction: Interaction) -> None:
        self._solutions = executor.submit(label_job(problem, interaction.group.programs))
        self._tests: Future[NDArray[np.int8]] | None = None
        if problem.label is not None and problem.label.solution:
            # The official seconds are for official tests; those of a model get what the verifier gives.
            grading = replace(problem.label.grading, seconds=None)
            reference = (Program(problem.label.solution),)
            job = Job(reference, interaction.columns, problem.entry_point, cancel=False, grading=grading)
            self._tests = executor.submit(job)

    def result(self) -> Truth:
        solutions = labelled(self._solutions.result())
        if self._tests is None:
            return Truth(solutions, None)
        verdicts = self._tests.result()[0]
        return Truth(solutions, Labelled(np.asarray(verdicts == Verdict.PASS), ~is_unknown(verdicts)))

    def cancel(self) -> None:
        """End what runs for it; does nothing to what is done."""
        self._solutions.cancel()
        if self._tests is not None:
            self._tests.cancel()


def mean_known(parts: list[Labelled]) -> float | None:
    """The share of right answers among those of which it is known; None where it is of none."""
    known = sum(int(part.known.sum()) for part in parts)
    return sum(int((part.correct & part.known).sum()) for part in parts) / known if known else None
