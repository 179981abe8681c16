"""B4: believe the group with the highest Bayesian posterior (Chen et al., "B4", ASE 2024, arXiv 2409.08692).

Correct solutions pass correct tests and fail wrong ones; wrong solutions pass correct tests at an unknown rate with a
flat prior, and wrong tests at an unknown rate with the prior Beta(1, beta0), which is pulled to 0. alpha_xy is the
prior's pseudo-count on how many solutions and tests are correct. Everything stays in log space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from zerocoder.problems import ZeroCoderError
from zerocoder.selection.base import Consensus, Groups, groups

# betaln loses about 1e-8 at beta0 = 1e6, while the smallest real difference between two scores there is near 1e-6.
TIE = 1e-7


def require_positive(key: str, value: float) -> None:
    """A B4 prior is a finite number above 0.

    Raises:
        ZeroCoderError: otherwise, naming the key.
    """
    if not (math.isfinite(value) and value > 0):
        raise ZeroCoderError(f"selector.{key} must be > 0, got {value:g}")


def b4_scores(
    matrix: NDArray[np.bool_],
    candidates: Groups,
    beta0: NDArray[np.float64],
    alpha_xy: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Log-posterior of every group under every pair of priors, up to a constant.

    Args:
        matrix: [N, K], and `candidates` its G groups.
        beta0: [B] and alpha_xy: [A], the priors; all pairs are scored.

    Returns:
        [B, A, G].
    """
    num_solutions, num_tests = matrix.shape
    x, y = candidates.sizes.astype(np.float64), candidates.num_passed.astype(np.float64)  # [G]
    # ones in (all solutions) x (tests of y) less those of the group itself, which passes all of y and nothing else
    passes_per_test = matrix.sum(axis=0, dtype=np.float64)  # [K]
    ones_in = candidates.patterns @ passes_per_test - x * y
    ones_out = passes_per_test.sum() - x * y - ones_in
    cells_in = (num_solutions - x) * y
    cells_out = (num_solutions - x) * (num_tests - y)

    alpha = alpha_xy[:, None]  # [A, 1]
    prior = betaln(y + alpha, num_tests - y + 1) + betaln(x + alpha, num_solutions - x + 1)  # [A, G]
    wrong_on_correct = betaln(ones_in + 1, cells_in - ones_in + 1)  # [G]
    wrong_on_wrong = betaln(ones_out + 1, cells_out - ones_out + beta0[:, None])  # [B, G]
    return np.asarray(wrong_on_wrong[:, None, :] + prior[None, :, :] + wrong_on_correct)


@dataclass(frozen=True)
class B4:
    """B4 with fixed priors; the paper's "(4,3)" is beta0=1e4, alpha_xy=1e3. The score is the log-posterior.

    Ties: the larger group, then more tests, then the first row.
    """

    beta0: float = 1e4
    """Prior strength of the belief that wrong solutions fail wrong tests; > 0."""
    alpha_xy: float = 1e3
    """Pseudo-count of correct solutions and tests: larger prefers larger groups and more tests; > 0."""

    name: ClassVar[str] = "b4"
    needs_labels: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_positive("beta0", self.beta0)
        require_positive("alpha_xy", self.alpha_xy)

    def select(self, matrix: NDArray[np.bool_]) -> Consensus:
        candidates = groups(matrix)
        if not len(candidates):
            return Consensus.none(*matrix.shape)
        scores = b4_scores(matrix, candidates, np.array([self.beta0]), np.array([self.alpha_xy]))[0, 0]
        best = int(candidates.best(scores, TIE))
        return candidates.consensus(best, scores[best])
