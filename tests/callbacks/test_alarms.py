"""Series of a run, made by hand: which of them should warn, and of what."""

from __future__ import annotations

import math

import numpy as np
import pytest

from callbacks.alarms import WATCHED, Change, Credit, alarms, fall, parting, sameness, silence, triviality
from zerocoder.problems import Role

W = 5
WIGGLE = (0.02, -0.03, 0.01, 0.03, -0.03)  # mean 0


def credits(paid: list[float], right: list[float], precision: list[float]) -> list[Credit]:
    """A level a window of W steps, with a wiggle: the problems of steps differ."""
    series = [[level + d for level in levels for d in WIGGLE] for levels in (paid, right, precision)]
    return [Credit(2 * i, *values) for i, values in enumerate(zip(*series, strict=True))]


def test_rising_together_is_what_training_is_for() -> None:
    assert parting(Role.CODER, credits([0.5, 0.6, 0.7], [0.45, 0.55, 0.65], [0.8, 0.82, 0.85]), W) is None


def test_parting_is_told_with_its_numbers() -> None:
    alarm = parting(Role.CODER, credits([0.5, 0.5, 0.8], [0.5, 0.5, 0.4], [0.9, 0.9, 0.5]), W)
    assert alarm is not None and alarm.kind == "parting_coder"
    assert "over its last 5 steps 80% of the programs were rewarded and 40% are right" in alarm.text
    assert "over its steps from 11 to 19 50% and 50%" in alarm.text  # every other step is the coder's
    assert "50% is right, then 90%" in alarm.text
    assert "\n" not in alarm.text


def test_the_tester_parts_in_its_own_words() -> None:
    alarm = parting(Role.TESTER, credits([0.3, 0.6], [0.35, 0.35], [0.8, 0.45]), W)
    assert alarm is not None and alarm.kind == "parting_tester" and "60% of the tests were rewarded" in alarm.text


def test_a_slow_parting_shows_against_an_early_window() -> None:
    levels = [0.50, 0.56, 0.62, 0.68]  # no two neighbours are 8 points apart
    slow = credits(levels, [0.5] * 4, [0.9, 0.84, 0.78, 0.72])
    assert parting(Role.CODER, slow[: 2 * W], W) is None
    assert parting(Role.CODER, slow, W) is not None


@pytest.mark.parametrize(
    ("paid", "right", "precision"),
    [
        ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.8, 0.8, 0.8]),  # flat
        ([0.5, 0.5, 0.5], [0.5, 0.4, 0.3], [0.8, 0.7, 0.6]),  # only the truth falls: the reward has not risen
        ([0.5, 0.8], [0.5, 0.65], [0.8, 0.7]),  # half of the rise is real
        ([0.4, 0.7], [0.7, 0.7], [0.8, 0.85]),  # the selector finds more of what was right before
        ([0.5, 0.56], [0.5, 0.3], [0.8, 0.5]),  # a rise of 6 points is none
        ([0.5], [0.5], [0.8]),  # too short for two windows
    ],
)
def test_these_are_no_parting(paid: list[float], right: list[float], precision: list[float]) -> None:
    assert parting(Role.CODER, credits(paid, right, precision), W) is None


def test_noise_is_no_parting() -> None:
    """Levels as in the parting above, but single steps are as far apart as the windows."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        noisy = rng.uniform(0.1, 0.9, size=(60, 3))
        run = [Credit(i, *row) for i, row in enumerate(noisy)]
        assert all(parting(Role.CODER, run[:n], 10) is None for n in range(20, 61, 5))
    paid = [0.1, 0.9, 0.2, 0.8, 0.5, 0.9, 0.3, 0.95, 0.7, 1.0]  # means 0.5 and 0.77
    rising = [Credit(i, p, 0.5, 0.9 if i < W else 0.5) for i, p in enumerate(paid)]
    assert parting(Role.CODER, rising, W) is None
    assert parting(Role.CODER, [Credit(i, 0.5 if i < W else 0.77, 0.5, 0.9 if i < W else 0.5) for i in range(10)], W)


def test_steps_that_paid_nothing_have_no_precision_and_spoil_none() -> None:
    run = credits([0.5, 0.8], [0.5, 0.4], [0.9, 0.5])
    run[2] = Credit(4, 0.5, 0.5, math.nan)
    assert parting(Role.CODER, run, W) is not None
    assert parting(Role.CODER, [Credit(c.step, c.paid, c.right, math.nan) for c in run], W) is None


def test_what_is_rewarded_out_of_nothing_must_be_right_in_part() -> None:
    """From no consensus at all to one on something wrong: there is no precision to fall from."""
    none = [Credit(n, 0.0, 0.0, math.nan) for n in range(W)]
    for precision, told in ((0.0, True), (0.3, True), (0.5, False)):
        run = [*none, *(Credit(W + n, 0.9 + d, 0.02, precision) for n, d in enumerate(WIGGLE))]
        assert (parting(Role.CODER, run, W) is not None) is told
    alarm = parting(Role.CODER, [*none, *(Credit(W + n, 0.9, 0.0, 0.0) for n in range(W))], W)
    assert alarm is not None and "of what is rewarded 0% is right, then hardly anything was." in alarm.text


def test_a_change_has_the_error_of_two_means() -> None:
    change = Change.of(np.array([0.0, 1.0, math.nan]), np.array([1.0, 3.0]))
    assert (change.before, change.now, change.rise) == (0.5, 2.0, 1.5)
    assert change.error == pytest.approx(math.sqrt(0.5 / 2 + 2.0 / 2))
    assert change.rises(1.5, 1.0) and not change.rises(1.6, 0.0) and not change.rises(0.0, 2.0)
    assert math.isnan(Change.of(np.array([1.0]), np.array([1.0, 2.0])).rise)


def level(*levels: float) -> list[float]:
    return [value + d for value in levels for d in WIGGLE]


def test_a_fall_of_the_truth_is_told_whatever_the_reward_does() -> None:
    alarm = fall("truth/coder", level(0.6, 0.6, 0.4), W)
    assert alarm is not None and alarm.kind == "fall_coder"
    assert "programs that are right (truth/coder) falls: 40% over the last 5 steps, 60% before" in alarm.text
    assert fall("truth/coder", level(0.6, 0.52), W) is None
    assert fall("truth/coder", level(0.4, 0.6), W) is None


SAME = {
    "matrix/density": level(0.4, 0.95),
    "matrix/degenerate": level(0.2, 0.9),
    "matrix/duplicate_programs": level(0.3, 0.5),
    "matrix/duplicate_tests": level(0.1, 0.85),
}


def test_without_labels_both_readings_are_given() -> None:
    alarm = sameness(SAME, W)
    assert alarm is not None and "\n" not in alarm.text
    assert "90% of them have a rank below 2 (at first 20%), 95% of the cells pass (at first 40%)" in alarm.text
    assert "50% of the programs and 85% of the tests repeat another one. Either these problems are solved" in alarm.text
    assert sameness({name: values[:W] for name, values in SAME.items()}, W) is None
    assert sameness({}, W) is None


def test_labels_tell_the_two_apart() -> None:
    solved, wrong = ({**SAME, "truth/coder": level(0.5, right)} for right in (0.9, 0.2))
    assert sameness(solved, W) is None
    alarm = sameness(wrong, W)
    assert alarm is not None and "Only 20% of the programs are right: the roles agree on something wrong" in alarm.text


@pytest.mark.parametrize(
    "change",
    [
        {"matrix/degenerate": level(0.2, 0.6)},  # every second matrix still tells answers apart
        # low ranks of different answers that half of the cells pass: hard problems, not agreement
        {"matrix/density": level(0.4, 0.5), "matrix/duplicate_tests": level(0.1, 0.2)},
        {
            **dict.fromkeys(("matrix/density", "matrix/duplicate_tests"), level(0.4, 0.5)),
            "matrix/duplicate_programs": level(0.87),
        },
    ],
)
def test_these_are_no_sameness(change: dict[str, list[float]]) -> None:
    assert sameness(SAME | change, W) is None


def test_one_test_over_and_over_is_sameness_whoever_passes_it() -> None:
    assert sameness(SAME | {"matrix/density": level(0.4, 0.5)}, W) is not None


def test_nobody_is_rewarded() -> None:
    alarm = silence({"selector/empty": level(0.1, 0.9)}, W)
    assert alarm is not None and "90% of the problems of the last 5 steps have no consensus" in alarm.text
    assert silence({"selector/empty": level(0.1, 0.5)}, W) is None and silence({}, W) is None


def test_tests_that_everything_passes() -> None:
    trivial = {"reward/tester_valid": level(0.95), "mutants/survived": level(0.9)}
    assert triviality(trivial, W) is not None
    assert triviality({**trivial, "mutants/survived": level(0.5)}, W) is None
    assert triviality({"reward/tester_valid": level(0.95)}, W) is None  # mutants were never run
    assert triviality({**trivial, "reward/tester_valid": [math.nan] * W}, W) is None


def test_a_healthy_run_of_the_default_experiment_raises_nothing() -> None:
    """Of 40 steps as they were logged: density and degenerate matrices rise, the truth rises with the reward."""
    rising = np.linspace(0, 1, 40)
    history = {
        **{name: (0.3 + 0.3 * rising).tolist() for name in WATCHED},
        "matrix/degenerate": (0.25 + 0.4 * rising).tolist(),
        "selector/empty": [0.0] * 40,
    }
    own = {role: credits([0.6, 0.7, 0.8], [0.5, 0.57, 0.64], [0.7, 0.72, 0.75]) for role in Role}
    assert alarms(history, own, 10) == []


def test_all_alarms_come_together() -> None:
    own = {Role.CODER: credits([0.5, 0.8], [0.5, 0.4], [0.9, 0.5]), Role.TESTER: []}
    history = SAME | {"truth/consensus": level(0.9, 0.5), "truth/coder": level(0.5, 0.38)}
    assert [a.kind for a in alarms(history, own, W)] == ["parting_coder", "fall_coder", "fall_consensus", "sameness"]
