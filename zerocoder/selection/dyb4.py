"""DyB4: B4 whose priors are chosen anew before every training step on a few labelled problems (ZeroCoder, section 3).

As the policy improves, the priors that fit its answers move ("selector drift"). The caller samples solutions and tests
for the calibration problems with the current policy; `recalibrate` tries every pair of priors on a log grid and keeps
the one whose selected solutions are most often correct.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from zerocoder.problems import ZeroCoderError
from zerocoder.selection.b4 import B4, TIE, b4_scores, require_positive
from zerocoder.selection.base import Consensus, groups


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a recalibration chose and how well every configuration did."""

    beta0: float
    alpha_xy: float
    accuracy: float  # of the chosen configuration
    accuracies: NDArray[np.float64]  # [points (beta0), points (alpha_xy)]


@dataclass
class DyB4:
    """B4 with moving priors. `beta0` and `alpha_xy` are the current configuration, at first the starting one.

    The grid's bounds and density were lost from the paper's text: every power of ten from 10^0 to 10^6 covers the
    priors that B4's authors use (beta0 from 1e4 to 1e6, alpha_xy 1e3; 10 and 10 in simulations).
    """

    beta0: float = 1e4
    alpha_xy: float = 1e3
    log10_min: float = 0.0
    """Lower end of the grid of both priors, as a power of ten."""
    log10_max: float = 6.0
    """Upper end of the grid of both priors, as a power of ten."""
    points: int = 7
    """Values tried for each prior; points x points configurations in all."""

    name: ClassVar[str] = "dyb4"
    needs_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_positive("beta0", self.beta0)
        require_positive("alpha_xy", self.alpha_xy)
        if not self.log10_min < self.log10_max:
            raise ZeroCoderError(
                f"selector.log10_min must be < selector.log10_max, got {self.log10_min:g} and {self.log10_max:g}"
            )
        if not -300 <= self.log10_min <= self.log10_max <= 300:
            raise ZeroCoderError(
                "selector.log10_min and selector.log10_max must be powers of ten between -300 and 300, "
                f"got {self.log10_min:g} and {self.log10_max:g}"
            )
        if self.points < 2:
            raise ZeroCoderError(f"selector.points must be >= 2, got {self.points}")

    def grid(self) -> NDArray[np.float64]:
        """[points] the values tried for each prior, ascending."""
        return np.logspace(self.log10_min, self.log10_max, self.points)

    def select(self, matrix: NDArray[np.bool_]) -> Consensus:
        """B4's consensus under the current configuration."""
        return B4(self.beta0, self.alpha_xy).select(matrix)

    def recalibrate(self, matrices: Sequence[NDArray[np.bool_]], correct: Sequence[NDArray[np.bool_]]) -> Calibration:
        """Move to the configuration whose selected solutions are most often correct.

        A configuration's accuracy is the mean over the problems of the share of its selected solutions that are
        correct; an empty consensus counts 0. Problems where no solution or every solution is correct cannot tell
        configurations apart; they stay in the mean, so that the accuracy reads as "how far the consensus can be
        trusted". Among the best, the current configuration stays; else the nearest to it in log space wins, then the
        smallest (beta0, alpha_xy).

        Args:
            matrices: [N, K] of each calibration problem, without the rows and columns that the selector must not see.
            correct: [N] of each problem, whether the solution passes all labelled tests.

        Raises:
            ValueError: no problems, or shapes that do not belong together.
        """
        if not matrices:
            raise ValueError("recalibration needs at least one labelled problem")
        grid = self.grid()
        pairs = list(zip(matrices, correct, strict=True))
        accuracies = np.mean([_selected_accuracy(m, c, grid, grid) for m, c in pairs], axis=0)
        here_beta0, here_alpha = np.array([self.beta0]), np.array([self.alpha_xy])
        current = float(np.mean([_selected_accuracy(m, c, here_beta0, here_alpha)[0, 0] for m, c in pairs]))

        best = float(accuracies.max())
        if current < best - 1e-12:
            rows, columns = np.nonzero(accuracies >= best - 1e-12)  # lexicographic in (beta0, alpha_xy)
            logs = np.log10(grid)
            distance = (logs[rows] - np.log10(self.beta0)) ** 2 + (logs[columns] - np.log10(self.alpha_xy)) ** 2
            nearest = int(np.argmax(distance <= distance.min() + 1e-9))
            self.beta0, self.alpha_xy = float(grid[rows[nearest]]), float(grid[columns[nearest]])
            current = float(accuracies[rows[nearest], columns[nearest]])
        return Calibration(self.beta0, self.alpha_xy, current, accuracies)

    def state_dict(self) -> dict[str, float]:
        """The current configuration."""
        return {"beta0": self.beta0, "alpha_xy": self.alpha_xy}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self.beta0, self.alpha_xy = float(state["beta0"]), float(state["alpha_xy"])


def _selected_accuracy(
    matrix: NDArray[np.bool_],
    correct: NDArray[np.bool_],
    beta0: NDArray[np.float64],
    alpha_xy: NDArray[np.float64],
) -> NDArray[np.float64]:
    """[B, A] share of correct solutions in the consensus of every pair of the priors beta0 [B] and alpha_xy [A]."""
    if correct.shape != (matrix.shape[0],):
        raise ValueError(f"correct must be [{matrix.shape[0]}], got shape {correct.shape}")
    candidates = groups(matrix)
    if not len(candidates):
        return np.zeros((len(beta0), len(alpha_xy)))
    owner = candidates.owner
    right = np.bincount(owner[(owner >= 0) & correct], minlength=len(candidates))
    chosen = candidates.best(b4_scores(matrix, candidates, beta0, alpha_xy), TIE)  # [B, A]
    return np.asarray((right / candidates.sizes)[chosen])
