"""CodeT: believe the group with the largest (#tests passed) * sqrt(#solutions) (Chen et al., 2022).

The square root is the variant that the B4 paper's code and ZeroCoder compare against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from zerocoder.selection.base import Consensus, groups


@dataclass(frozen=True)
class CodeT:
    """Ties: the larger group, then more tests, then the first row."""

    name: ClassVar[str] = "codet"
    needs_labels: ClassVar[bool] = False

    def select(self, matrix: NDArray[np.bool_]) -> Consensus:
        candidates = groups(matrix)
        if not len(candidates):
            return Consensus.none(*matrix.shape)
        # Compared by their squares, which are whole numbers: 3 * sqrt(8) and 6 * sqrt(2) must tie exactly.
        squares = (candidates.num_passed**2 * candidates.sizes).astype(np.float64)
        best = int(candidates.best(squares))
        return candidates.consensus(best, np.sqrt(squares[best]))
