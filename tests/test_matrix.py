"""The passing matrix: what is shown, hidden, masked and counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocoder.execution.verdicts import Verdict
from zerocoder.matrix import PassingMatrix

LETTERS = {"p": Verdict.PASS, "f": Verdict.FAIL, "e": Verdict.ERROR, "t": Verdict.TIMEOUT}
LETTERS |= {"m": Verdict.MEMORY, "i": Verdict.INFRA, "u": Verdict.UNSUPPORTED, "-": Verdict.SKIPPED}


def matrix(*rows: str) -> PassingMatrix:
    return PassingMatrix(np.array([[LETTERS[c] for c in row] for row in rows], dtype=np.int8))


def test_what_is_shown() -> None:
    found = matrix("pf-", "---", "pi-", "et-")
    assert found.shape == (4, 3)
    assert found.passed.tolist() == [
        [True, False, False],
        [False, False, False],
        [True, False, False],
        [False, False, False],
    ]
    assert found.programs.tolist() == [True, False, True, True]
    assert found.solutions_masked.tolist() == [False, False, True, False]
    assert found.solutions_shown.tolist() == [True, False, False, True]
    assert found.tests_shown.tolist() == [True, True, False]
    assert found.shown.tolist() == [[True, False], [False, False]]
    assert found.density == 0.25
    assert found.counts() == {
        "pass": 2, "fail": 1, "error": 1, "timeout": 1, "memory": 0, "infra": 1, "unsupported": 0, "skipped": 6, "cancelled": 0, "broken": 0}  # fmt: skip


def test_what_parsed_can_be_said_where_the_verdicts_cannot_tell() -> None:
    verdicts = np.full((2, 3), Verdict.SKIPPED, dtype=np.int8)  # no test parsed, one program did
    assert not PassingMatrix(verdicts).programs.any()
    known = PassingMatrix(verdicts, np.array([True, False]), np.zeros(3, dtype=bool))
    assert known.programs.tolist() == [True, False] and not known.tests_shown.any()
    assert known.shown.shape == (1, 0)


@pytest.mark.parametrize(
    ("rows", "rank", "degenerate"),
    [
        (("pp", "pp"), 1, True),
        (("ff", "ff"), 0, True),
        (("pf", "ff"), 1, True),
        (("pf", "fp"), 2, False),
        (("pff", "fpf", "ppf"), 2, False),
        (("ppf", "fpp", "pfp"), 3, False),  # singular over GF(2), regular over the reals
        (("pf", "fi"), 1, True),  # the second row was never fully run
        (("pf", "--"), 1, True),
        (("--",), 0, True),
    ],
)
def test_rank(rows: tuple[str, ...], rank: int, degenerate: bool) -> None:
    assert matrix(*rows).rank == rank
    assert matrix(*rows).degenerate is degenerate


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_empty_matrices(shape: tuple[int, int]) -> None:
    found = PassingMatrix(np.zeros(shape, dtype=np.int8))
    assert found.rank == 0 and found.density == 0.0 and found.degenerate
    assert found.passed.shape == shape and sum(found.counts().values()) == 0


@given(st.lists(st.lists(st.sampled_from("pf"), min_size=6, max_size=6), min_size=1, max_size=8))
def test_rank_is_bounded_by_the_number_of_patterns(rows: list[list[str]]) -> None:
    found = matrix(*("".join(row) for row in rows))
    patterns = {tuple(row) for row in rows if "p" in row}
    assert min(len(patterns), 1) <= found.rank <= min(len(patterns), 6)


def test_wrong_shapes() -> None:
    with pytest.raises(ValueError, match=r"verdicts must be \[N, K\]"):
        PassingMatrix(np.zeros(3, dtype=np.int8))
    with pytest.raises(ValueError, match=r"tests_parsed must be \[2\]"):
        PassingMatrix(np.zeros((3, 2), dtype=np.int8), None, np.ones(3, dtype=bool))


def test_a_broken_checker_hides_a_row_as_a_failure_of_ours_does() -> None:
    found = PassingMatrix(np.array([[Verdict.PASS, Verdict.BROKEN], [Verdict.PASS, Verdict.FAIL]], dtype=np.int8))
    assert found.solutions_masked.tolist() == [True, False] and found.counts()["broken"] == 1
