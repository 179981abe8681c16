"""What every selector shares: consensus, groups of equal rows, tie-breaking, and hiding what must not be seen.

Rows of the matrix with the same pass pattern form a group (Chen et al., CodeT, 2022, call it a consensus set). A
pattern that passes no test is no evidence of anything and is never selected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from zerocoder.matrix import PassingMatrix


@dataclass(frozen=True, slots=True)
class Consensus:
    """The solutions and tests that a selector believes in. Both are empty together."""

    solutions: NDArray[np.bool_]  # [N]
    tests: NDArray[np.bool_]  # [K]
    score: float  # the selector's own scale; comparable only within one selector; 0 when empty

    @property
    def empty(self) -> bool:
        return not self.solutions.any()

    @classmethod
    def none(cls, num_solutions: int, num_tests: int) -> Consensus:
        """No solution passes any test: nothing to believe in."""
        return cls(np.zeros(num_solutions, dtype=bool), np.zeros(num_tests, dtype=bool), 0.0)


class Selector(Protocol):
    """Picks the consensus out of a passing matrix. Deterministic."""

    name: ClassVar[str]
    needs_labels: ClassVar[bool]
    """Whether it has to be calibrated on labelled problems."""

    def select(self, matrix: NDArray[np.bool_]) -> Consensus:
        """`matrix` is [N, K], True where a solution passes a test; N or K may be 0."""
        ...


@dataclass(frozen=True, slots=True)
class Groups:
    """The distinct non-empty pass patterns of a matrix, in the order of their first rows.

    Example: rows 110/110/000/010 have patterns 110 and 010, sizes 2 and 1, num_passed 2 and 1, owner 0/0/-1/1.
    """

    patterns: NDArray[np.bool_]  # [G, K]
    sizes: NDArray[np.int64]  # [G] rows of the group, |x|
    num_passed: NDArray[np.int64]  # [G] tests its rows pass, |y|
    owner: NDArray[np.int64]  # [N] group of each row, -1 where the row passes nothing

    def __len__(self) -> int:
        return len(self.patterns)

    def consensus(self, group: int, score: float) -> Consensus:
        return Consensus(self.owner == group, self.patterns[group].copy(), float(score))

    def best(self, scores: NDArray[np.float64], tolerance: float = 0.0) -> NDArray[np.int64]:
        """The group with the highest score, for scores [..., G]; at least one group is needed.

        Scores within `tolerance` of the highest are ties. Among ties the larger group wins, then the one with more
        tests, then the one whose first row comes first.
        """
        # Groups in order of preference; argmax returns the first of equals.
        preference = np.lexsort((np.arange(len(self)), -self.num_passed, -self.sizes))
        ordered = scores[..., preference]
        tied = ordered >= ordered.max(axis=-1, keepdims=True) - tolerance
        return np.asarray(preference[tied.argmax(axis=-1)], dtype=np.int64)


def groups(matrix: NDArray[np.bool_]) -> Groups:
    """Group the rows of `matrix` [N, K] by their pass pattern; rows that pass nothing belong to no group."""
    num_solutions, num_tests = matrix.shape
    index: dict[bytes, int] = {}
    owner = np.full(num_solutions, -1, dtype=np.int64)
    first: list[int] = []
    for row in np.flatnonzero(matrix.any(axis=1)):
        key = matrix[row].tobytes()
        if key not in index:
            index[key] = len(first)
            first.append(int(row))
        owner[row] = index[key]
    patterns = matrix[first] if first else np.zeros((0, num_tests), dtype=bool)
    sizes = np.bincount(owner[owner >= 0], minlength=len(first)).astype(np.int64)
    return Groups(patterns, sizes, patterns.sum(axis=1, dtype=np.int64), owner)


def select_shown(selector: Selector, matrix: PassingMatrix) -> Consensus:
    """The selector's consensus on the shown part of `matrix`, as masks over all N solutions and K tests.

    Answers that did not parse, and rows hit by a failure of ours, neither vote nor are selected.
    """
    rows, columns = matrix.solutions_shown, matrix.tests_shown
    shown = selector.select(matrix.shown)
    solutions, tests = np.zeros_like(rows), np.zeros_like(columns)
    solutions[rows] = shown.solutions
    tests[columns] = shown.tests
    return Consensus(solutions, tests, shown.score)
