"""How different a step's answers are: distinct programs and tests, and the ranks of the matrices that they make."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from zerocoder.execution.sandbox.planner import code_key
from zerocoder.execution.sandbox.runner import compile_source
from zerocoder.module import StepResult
from zerocoder.problems import Program, TestCase

MAX_RANK = 8
"""The last bin of the histogram holds this rank and all above."""


def diversity_scalars(result: StepResult) -> dict[str, float]:
    """Shares of matrices by rank, and of answers that repeat another one of their problem (means over problems)."""
    interactions = [p.interaction for p in result.problems]
    # An algorithm may let only one role answer: there is no matrix then.
    ranks = Counter(min(i.matrix.rank, MAX_RANK) for i in interactions if i.matrix.passed.size)
    scalars = {f"ranks/{rank}": ranks[rank] / ranks.total() for rank in range(MAX_RANK + 1)} if ranks else {}
    answers = {
        "matrix/duplicate_programs": [i.group.programs for i in interactions],
        "matrix/duplicate_tests": [i.columns for i in interactions],
    }
    for name, of_problems in answers.items():
        shares = [share for answers in of_problems if (share := duplicate_share(answers)) is not None]
        if shares:
            scalars[name] = float(np.mean(shares))
    return scalars


def duplicate_share(answers: Sequence[Program | TestCase | None]) -> float | None:
    """1 - distinct / parsed, where answers are equal as they are to the executor: by the code they compile to.

    Layout and comments make no difference, names do. None where no answer parsed.
    """
    parsed = [answer for answer in answers if answer is not None]
    if not parsed:
        return None
    return 1 - len({_key(answer) for answer in set(parsed)}) / len(parsed)


def _key(answer: Program | TestCase) -> object:
    if isinstance(answer, TestCase) and answer.stdin is not None:
        return answer
    source = answer.source if isinstance(answer, Program) else answer.code
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in model-written code
            return code_key(compile_source(source, "<answer>"))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):  # equal to none but itself
        return answer
