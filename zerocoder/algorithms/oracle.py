"""Oracle: both roles in turn, rewarded by ground truth: the reference that label-free training is held against.

The rewards are those that ZeroCoder gives on labelled problems (the paper's section 5.3), on all problems.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zerocoder.algorithms.base import Algorithm, Labels
from zerocoder.problems import Role


@dataclass
class Oracle(Algorithm):
    """A program is rewarded with 1 iff it passes all official tests, a test by the official solution as its proxy.

    Solutions need no tests of the policy's, nor tests its solutions: only the role whose turn it is answers.
    """

    name: ClassVar[str] = "oracle"
    selects: ClassVar[bool] = False
    labels: ClassVar[Labels] = Labels.ALL

    def answering(self, role: Role) -> tuple[Role, ...]:
        return (role,)
