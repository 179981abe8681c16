"""ZeroCoder: coder and tester evolve together, supervised by the consensus of their answers (the paper's section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zerocoder.algorithms.base import Algorithm, Labels
from zerocoder.matrix import PassingMatrix
from zerocoder.selection.base import Consensus, Selector, select_shown


@dataclass
class ZeroCoder(Algorithm):
    """A coder is rewarded for being in the consensus, a tester for agreeing with it and for killing its mutants.

    Labelled calibration problems, where they are trained on, are rewarded by their labels (section 5.2).
    """

    name: ClassVar[str] = "zerocoder"
    selects: ClassVar[bool] = True
    labels: ClassVar[Labels] = Labels.CALIBRATION

    def consensus(self, selector: Selector, matrix: PassingMatrix) -> Consensus:
        return select_shown(selector, matrix)
