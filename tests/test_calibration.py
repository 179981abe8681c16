"""Recalibration end to end on scripted answers: only priors that pick the right group get the best accuracy."""

from __future__ import annotations

import numpy as np
from scripted import DOUBLE, fenced, scripted_sampler

from zerocoder.calibration import Recalibration
from zerocoder.config import TestUnit
from zerocoder.execution import ProcessExecutor
from zerocoder.selection.dyb4 import DyB4

RIGHT, WRONG = fenced("def double(x):\n    return 2 * x"), fenced("def double(x):\n    return x * x")
# Two programs share the misreading and pass the two tests that follow it; one right program passes the other four.
SOLUTIONS = [WRONG, RIGHT, "no code", WRONG.replace("x * x", "x ** 2")]
TESTS = [fenced(f"assert double({x}) == {y}") for x, y in [(3, 9), (4, 16), (3, 6), (4, 8), (5, 10), (1, 2)]]


def by_hand(beta0: float, alpha: float) -> bool:
    """Whether B4 prefers the right program, from its formula with log-gammas (1 right program and 4 tests, 2 wrong ones and 2)."""
    from math import lgamma

    def ln_b(a: float, b: float) -> float:
        return lgamma(a) + lgamma(b) - lgamma(a + b)

    def score(x: int, y: int, n1: int, m1: int, n0: int, m0: int) -> float:
        return (
            ln_b(y + alpha, 6 - y + 1)
            + ln_b(x + alpha, 3 - x + 1)
            + ln_b(n1 + 1, m1 - n1 + 1)
            + ln_b(n0 + 1, m0 - n0 + beta0)
        )

    right = score(1, 4, 0, 8, 4, 4)  # outside it the two wrong programs fail its four tests and pass the other two
    wrong = score(2, 2, 0, 2, 4, 4)  # outside them the right program fails their two tests and passes the other four
    return right > wrong


def test_recalibration_finds_priors_that_select_correct_solutions() -> None:
    selector = DyB4(beta0=1e6, alpha_xy=1.0)
    sampler = scripted_sampler({"Double x.": SOLUTIONS}, {"Double x.": TESTS}, n=4, tests_n=6)
    with ProcessExecutor(workers=1) as executor:
        recalibration = Recalibration(selector, [DOUBLE], executor, TestUnit.ANSWER)
        assert not recalibration.complete
        sampler.draw(recalibration.draws(step=0), recalibration.add)
        assert recalibration.complete
        chosen = recalibration.finish()
    expected = np.array([[by_hand(b, a) for a in selector.grid()] for b in selector.grid()])
    assert 0 < expected.sum() < expected.size  # the priors do decide
    assert chosen.accuracies.tolist() == expected.astype(float).tolist()
    assert chosen.accuracy == 1.0 and by_hand(chosen.beta0, chosen.alpha_xy)
    assert (selector.beta0, selector.alpha_xy) == (chosen.beta0, chosen.alpha_xy)
