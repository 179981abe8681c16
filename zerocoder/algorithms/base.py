"""What every algorithm decides, with what most of them have in common: two roles in turn, both of which answer.

A step is the same for all: the roles that the algorithm asks answer the problems, solutions meet tests, the role whose
turn it is is rewarded and takes one GRPO step. An algorithm overrides where it differs. It imports no torch, because
its name is a part of the config.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from zerocoder.interaction import Interaction
from zerocoder.matrix import PassingMatrix
from zerocoder.problems import Problem, Role, TestCase, ZeroCoderError
from zerocoder.rewarding import Rewarder
from zerocoder.rewards import Rewards
from zerocoder.rollout.sampler import RolloutGroup, Sampler
from zerocoder.selection.base import Consensus, Selector
from zerocoder.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Labels(Enum):
    """Which training problems keep their ground truth; the others lose it before the algorithm sees them."""

    NONE = "none"
    CALIBRATION = "calibration"  # the few that are set aside for it (data.calibration)
    ALL = "all"


class Algorithm:
    """One way to turn a batch of problems into rewards."""

    name: ClassVar[str]
    selects: ClassVar[bool]
    """Whether a selector picks a consensus, which is then calibrated where it can be."""
    labels: ClassVar[Labels]
    """What it is rewarded by beside execution."""
    turns: ClassVar[tuple[Role, ...]] = tuple(Role)
    """The roles that learn, step by step, over and over."""
    keeps: ClassVar[bool] = False
    """Whether `prepare` keeps in data.cache what it makes."""

    def prepare(
        self, problems: Sequence[Problem], policy: PreTrainedModel, sampler: Sampler, cache: Path, world: World
    ) -> None:
        """Make once, with the initial `policy`, what all steps on `problems` need. A call of all ranks."""

    def role(self, step: int) -> Role:
        """Whose turn it is."""
        return self.turns[step % len(self.turns)]

    def answering(self, role: Role) -> tuple[Role, ...]:
        """The roles that answer in a step of `role`'s."""
        return tuple(Role)

    def tests(self, group: RolloutGroup) -> tuple[TestCase | None, ...]:
        """What the solutions of a group meet."""
        return group.test_cases

    def consensus(self, selector: Selector, matrix: PassingMatrix) -> Consensus:
        """The solutions and tests that are believed in; empty for algorithms that do not select."""
        return Consensus.none(*matrix.shape)

    def coder_rewards(self, rewarder: Rewarder, interaction: Interaction, consensus: Consensus) -> Rewards:
        """[N] rewards of a problem's solutions: by its label where it has one, else by the consensus."""
        return rewarder.coder(interaction, consensus)

    def tester_rewards(
        self, rewarder: Rewarder, interaction: Interaction, consensus: Consensus, step: int, lam: float
    ) -> tuple[Rewards, NDArray[np.int8] | None]:
        """Rewards of a problem's tests, and the verdicts [M, K] of the proxy's mutants where there were any.

        A test is measured by a proxy of the truth: valid where the proxy passes it, and the better, with weight `lam`,
        the more of the proxy's mutants fail it.
        """
        proxy = rewarder.proxy(interaction, consensus, step)
        mutants = rewarder.mutant_verdicts(interaction, proxy)
        return rewarder.tester(interaction, proxy, mutants, lam), mutants


def require_labels(algorithm: Algorithm, problems: Sequence[Problem]) -> None:
    """Refuse problems without ground truth where the algorithm is rewarded by nothing else."""
    bare = [problem for problem in problems if problem.label is None]
    if algorithm.labels is Labels.ALL and bare:
        raise ZeroCoderError(
            f"algorithm={algorithm.name} is rewarded by ground truth, and {len(bare)} of {len(problems)} training "
            f"problems ('{bare[0].id}' is the first) lack a solution or tests: leave them out of the data, or take "
            "algorithm=zerocoder, which needs no labels"
        )
