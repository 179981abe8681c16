"""The passing matrix: what happened when every solution of a problem met every test of it.

It keeps the full verdicts, because a failure of ours (INFRA) must not count as a wrong answer and an answer that did
not parse (SKIPPED) must not take part in the selection. Needs numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution.verdicts import Verdict, is_unknown


@dataclass(frozen=True, slots=True)
class PassingMatrix:
    """Verdicts of N solutions against K tests.

    Which answers parsed is read off the verdicts: a row or column that is SKIPPED throughout has no program or test.
    Where every test failed to parse that says nothing about the solutions (and the other way round); a caller who
    knows better says so in `solutions_parsed` and `tests_parsed`.

    Example: `PassingMatrix(np.array([[PASS, FAIL], [SKIPPED, SKIPPED]], dtype=np.int8))` has passed
    [[True, False], [False, False]], solutions_shown [True, False] and tests_shown [True, True].
    """

    verdicts: NDArray[np.int8]  # [N, K], values of Verdict
    solutions_parsed: NDArray[np.bool_] | None = None  # [N]
    tests_parsed: NDArray[np.bool_] | None = None  # [K]

    def __post_init__(self) -> None:
        if self.verdicts.ndim != 2:
            raise ValueError(f"verdicts must be [N, K], got shape {self.verdicts.shape}")
        for name, size in (("solutions_parsed", self.verdicts.shape[0]), ("tests_parsed", self.verdicts.shape[1])):
            parsed = getattr(self, name)
            if parsed is not None and parsed.shape != (size,):
                raise ValueError(f"{name} must be [{size}], got shape {parsed.shape}")

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)"""
        return self.verdicts.shape[0], self.verdicts.shape[1]

    @property
    def passed(self) -> NDArray[np.bool_]:
        """[N, K] whether the solution passes the test; hidden rows and columns included."""
        return np.asarray(self.verdicts == Verdict.PASS)

    @property
    def solutions_masked(self) -> NDArray[np.bool_]:
        """[N] rows hit by a failure of ours, or of a checker: neither rewarded nor punished."""
        return np.asarray(is_unknown(self.verdicts).any(axis=1))

    @property
    def programs(self) -> NDArray[np.bool_]:
        """[N] rows that are a parsed program."""
        if self.solutions_parsed is not None:
            return self.solutions_parsed
        return np.asarray(~(self.verdicts == Verdict.SKIPPED).all(axis=1))

    @property
    def solutions_shown(self) -> NDArray[np.bool_]:
        """[N] rows the selector sees: a parsed program, every cell of which was really run."""
        return self.programs & ~self.solutions_masked

    @property
    def tests_shown(self) -> NDArray[np.bool_]:
        """[K] columns the selector sees: parsed tests."""
        if self.tests_parsed is not None:
            return self.tests_parsed
        return np.asarray(~(self.verdicts == Verdict.SKIPPED).all(axis=0))

    @property
    def shown(self) -> NDArray[np.bool_]:
        """[n, k] the part of `passed` that the selector sees, hidden rows and columns cut out."""
        return self.passed[np.ix_(self.solutions_shown, self.tests_shown)]

    @property
    def rank(self) -> int:
        """Rank over the reals of the shown part (hidden cells count as 0 and cannot add to it)."""
        shown = self.shown
        return int(np.linalg.matrix_rank(shown.astype(np.float64))) if shown.size else 0

    @property
    def density(self) -> float:
        """Share of passed cells in the shown part; 0 when nothing is shown."""
        shown = self.shown
        return float(shown.mean()) if shown.size else 0.0

    @property
    def degenerate(self) -> bool:
        """Whether the shown part has a rank below 2: at most one pattern beside all-zero rows, nothing to select by."""
        return self.rank < 2

    def counts(self) -> dict[str, int]:
        """Cells by verdict, every kind of verdict included: {"pass": 12, "fail": 3, ...}."""
        return {v.name.lower(): int((self.verdicts == v).sum()) for v in Verdict}
