"""The clock: what a step waits for, what goes on behind it, and time that is counted once."""

from __future__ import annotations

import pytest

from zerocoder import console
from zerocoder.console import Clock


class Hands:
    """A clock's hands, moved by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr(console.time, "perf_counter", hands.perf_counter)
    return hands


def test_stages_add_up_and_overlap_counts_once(hands: Hands) -> None:
    clock = Clock()
    with clock("rollout"):
        hands.now = 2.0
        with clock.busy("execution"):  # from 2 to 9, two of them between 3 and 5
            hands.now = 3.0
            with clock.busy("execution"):
                hands.now = 5.0
            hands.now = 9.0
    with clock("execution"):
        hands.now = 10.0
    times = clock.reset()
    assert times.waited == {"rollout": 9.0, "execution": 1.0} and times.step == 10.0
    assert times.busy == {"rollout": 9.0, "execution": 8.0} and times.hidden == 7.0
    assert clock.reset().busy == {}


def test_what_was_done_in_one_go_with_another_stage_can_be_told_apart(hands: Hands) -> None:
    clock = Clock()
    with clock("rollout"):
        hands.now = 8.0
    clock.move("rollout", "calibration", 2.0)
    times = clock.reset()
    assert times.waited == times.busy == {"rollout": 6.0, "calibration": 2.0} and times.step == 8.0


def test_work_that_outlasts_a_reset_counts_in_the_next_step(hands: Hands) -> None:
    clock = Clock()
    with clock.busy("mutation"):
        hands.now = 1.0
        assert clock.reset().busy == {}
        hands.now = 3.0
    assert clock.reset().busy == {"mutation": 3.0}


def test_listeners_are_told_of_stages_but_not_of_what_goes_on_behind() -> None:
    clock, told = Clock(), []
    clock.listeners.append(told.append)
    with clock("rollout"), clock.busy("execution"):
        pass
    assert told == ["rollout"]
