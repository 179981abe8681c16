"""Online test-driven RL: only the coder learns, from tests that the current policy writes (the paper's section 4).

Beside ZeroCoder it shows what the tester's own evolution is worth: tests are drawn anew in every step, and nothing
tells the good ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zerocoder.algorithms.base import Algorithm, Labels
from zerocoder.interaction import Interaction
from zerocoder.problems import Role
from zerocoder.rewarding import Rewarder
from zerocoder.rewards import Rewards
from zerocoder.selection.base import Consensus


@dataclass
class Online(Algorithm):
    """A program is rewarded with 1 iff it passes all tests of the step."""

    name: ClassVar[str] = "online"
    selects: ClassVar[bool] = False
    labels: ClassVar[Labels] = Labels.NONE
    turns: ClassVar[tuple[Role, ...]] = (Role.CODER,)

    def coder_rewards(self, rewarder: Rewarder, interaction: Interaction, consensus: Consensus) -> Rewards:
        return rewarder.coder_by_tests(interaction)
