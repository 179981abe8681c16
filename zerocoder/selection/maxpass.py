"""MaxPass: believe the solutions that pass the most tests (the majority baseline of the B4 paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from zerocoder.selection.base import Consensus


@dataclass(frozen=True)
class MaxPass:
    """All solutions with the highest number of passed tests; they may pass different ones.

    The consensus tests are those that every selected solution passes, so they may be none although solutions were
    selected. The score is the number of passed tests.
    """

    name: ClassVar[str] = "maxpass"
    needs_labels: ClassVar[bool] = False

    def select(self, matrix: NDArray[np.bool_]) -> Consensus:
        num_passed = matrix.sum(axis=1)
        most = int(num_passed.max(initial=0))
        if most == 0:
            return Consensus.none(*matrix.shape)
        solutions = num_passed == most
        return Consensus(solutions, matrix[solutions].all(axis=0), float(most))
