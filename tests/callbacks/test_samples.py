"""What people see of a matrix: text and image, on a matrix small enough to check by eye."""

from __future__ import annotations

import numpy as np

from callbacks.samples import CELL, COLOURS, matrix_image, matrix_text
from zerocoder.execution import Verdict

VERDICTS = np.array(
    [[Verdict.PASS, Verdict.FAIL, Verdict.SKIPPED], [Verdict.TIMEOUT, Verdict.PASS, Verdict.ERROR]], dtype=np.int8
)
SOLUTIONS, TESTS = np.array([True, False]), np.array([True, False, False])


def test_text_marks_the_consensus() -> None:
    assert matrix_text(VERDICTS, SOLUTIONS, TESTS).splitlines() == [
        "          *",
        "  * s0    1 0 -",
        "    s1    t 1 e",
    ]


def test_image_has_a_cell_a_verdict_and_marks_the_consensus() -> None:
    image = matrix_image(VERDICTS, SOLUTIONS, TESTS)
    assert image.shape == (3 * CELL, 4 * CELL, 3) and image.dtype == np.uint8
    middle = lambda row, column: tuple(image[row * CELL + CELL // 2, column * CELL + CELL // 2])  # noqa: E731
    assert middle(1, 1) == COLOURS[Verdict.PASS] and middle(1, 2) == COLOURS[Verdict.FAIL]
    assert middle(2, 1) == COLOURS[Verdict.TIMEOUT] and middle(2, 3) == COLOURS[Verdict.ERROR]
    white = (255, 255, 255)
    assert middle(1, 0) != white and middle(2, 0) == white  # solutions
    assert middle(0, 1) != white and middle(0, 2) == white  # tests


def test_every_verdict_has_a_mark_and_a_colour() -> None:
    from callbacks.samples import MARKS

    assert set(MARKS) == set(COLOURS) == set(Verdict)
    assert len(set(MARKS.values())) == len(set(COLOURS.values())) == len(Verdict)
