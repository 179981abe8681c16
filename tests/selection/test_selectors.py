"""MaxPass, CodeT and B4 against hand-worked matrices, the B4 paper's own numbers and a slow, separate B4."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zerocoder.execution.verdicts import Verdict
from zerocoder.matrix import PassingMatrix
from zerocoder.problems import ZeroCoderError
from zerocoder.selection import B4, CodeT, Consensus, DyB4, MaxPass, Selector, groups, select_shown
from zerocoder.selection.b4 import b4_scores

Matrix = NDArray[np.bool_]

SELECTORS: list[Selector] = [MaxPass(), CodeT(), B4(), B4(10, 10), B4(1e5), DyB4()]
BY_NAME = pytest.mark.parametrize("selector", SELECTORS, ids=repr)


def matrix(*rows: str) -> Matrix:
    return np.array([[c == "1" for c in row] for row in rows], dtype=bool).reshape(len(rows), -1)


def chosen(consensus: Consensus) -> tuple[list[int], list[int]]:
    return list(np.flatnonzero(consensus.solutions)), list(np.flatnonzero(consensus.tests))


FIVE_BY_FOUR = matrix("1110", "1110", "1100", "0001", "0000")


def log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def slow_b4(cells: list[list[bool]], beta0: float, alpha_xy: float) -> dict[tuple[bool, ...], float]:
    """Score of every distinct row, cell by cell, straight from the four blocks of the paper."""
    num_tests = len(cells[0])
    scores = {}
    for pattern in {tuple(row) for row in cells}:
        x = sum(tuple(row) == pattern for row in cells)
        y = sum(pattern)
        ones = {True: 0, False: 0}
        zeros = {True: 0, False: 0}
        for row in cells:
            if tuple(row) == pattern:
                continue
            for test in range(num_tests):
                (ones if row[test] else zeros)[pattern[test]] += 1
        scores[pattern] = (
            log_beta(y + alpha_xy, num_tests - y + 1)
            + log_beta(x + alpha_xy, len(cells) - x + 1)
            + log_beta(ones[True] + 1, zeros[True] + 1)
            + log_beta(ones[False] + 1, zeros[False] + beta0)
        )
    return scores


@st.composite
def matrices(draw: st.DrawFn, smallest: int = 0, largest: int = 9) -> Matrix:
    size = st.integers(smallest, largest)
    num_solutions, num_tests = draw(size), draw(size)
    cells = draw(st.lists(st.booleans(), min_size=num_solutions * num_tests, max_size=num_solutions * num_tests))
    return np.array(cells, dtype=bool).reshape(num_solutions, num_tests)


PRIORS = st.sampled_from([0.5, 1.0, 10.0, 1e3, 1e4, 1e6])


@pytest.mark.parametrize(
    ("beta0", "alpha_xy", "expected"),
    [
        (10, 10, [-24.745171, -32.470756, -34.835707]),
        (1e4, 1e3, [-63.983018, -92.91272, -131.130037]),
    ],
)
def test_b4_reproduces_the_papers_scores(beta0: float, alpha_xy: float, expected: list[float]) -> None:
    scores = b4_scores(FIVE_BY_FOUR, groups(FIVE_BY_FOUR), np.array([beta0]), np.array([alpha_xy]))
    assert scores[0, 0] == pytest.approx(expected, abs=5e-7)
    consensus = B4(beta0, alpha_xy).select(FIVE_BY_FOUR)
    assert chosen(consensus) == ([0, 1], [0, 1, 2])
    assert consensus.score == pytest.approx(expected[0], abs=5e-7)


@pytest.mark.parametrize(("beta0", "alpha_xy", "expected"), [(10, 10, -36.616159), (1e4, 1e3, -142.059472)])
def test_the_slow_b4_of_these_tests_reproduces_the_papers_last_score(
    beta0: float, alpha_xy: float, expected: float
) -> None:
    # The row that passes nothing has a score in the paper, but is never selected here.
    assert slow_b4(FIVE_BY_FOUR.tolist(), beta0, alpha_xy)[(False,) * 4] == pytest.approx(expected, abs=5e-7)


@given(matrices(smallest=1), PRIORS, PRIORS)
@settings(deadline=None, max_examples=300)
def test_b4_agrees_with_the_slow_one(cells: Matrix, beta0: float, alpha_xy: float) -> None:
    reference = slow_b4(cells.tolist(), beta0, alpha_xy)
    candidates = groups(cells)
    scores = b4_scores(cells, candidates, np.array([beta0]), np.array([alpha_xy]))[0, 0]
    for pattern, score in zip(candidates.patterns, scores, strict=True):
        assert score == pytest.approx(reference[tuple(pattern.tolist())], rel=1e-9, abs=2e-7)
    consensus = B4(beta0, alpha_xy).select(cells)
    possible = {p: s for p, s in reference.items() if any(p)}
    assert consensus.empty == (not possible)
    if possible:
        assert possible[tuple(consensus.tests.tolist())] == pytest.approx(max(possible.values()), abs=1e-6)


@pytest.mark.parametrize(
    ("cells", "solutions", "tests"),
    [
        (matrix("1110", "1110", "0111", "1100"), [0, 1, 2], [1, 2]),  # 0111 passes as many; common tests only
        (matrix("110", "011", "100"), [0, 1], [1]),
        (matrix("10", "01"), [0, 1], []),  # equally good and contradicting: no test is believed
        (matrix("111", "110"), [0], [0, 1, 2]),
    ],
)
def test_maxpass(cells: Matrix, solutions: list[int], tests: list[int]) -> None:
    consensus = MaxPass().select(cells)
    assert chosen(consensus) == (solutions, tests)
    assert consensus.score == cells[solutions[0]].sum()


@pytest.mark.parametrize(
    ("cells", "solutions", "score"),
    [
        (FIVE_BY_FOUR, [0, 1], 3 * math.sqrt(2)),
        (matrix("111000", "000111", "000111"), [1, 2], 3 * math.sqrt(2)),
        (matrix("1111", "1100", "1100"), [0], 4.0),  # 4 * 1 > 2 * sqrt(2)
        (matrix("1111", "1100", "1100", "1100", "1100"), [1, 2, 3, 4], 4.0),  # 4 * 1 = 2 * sqrt(4): the larger group
        (matrix("111111", "111111", *["000111"] * 8), list(range(2, 10)), 3 * math.sqrt(8)),  # 6*sqrt(2) = 3*sqrt(8)
        (matrix("0011", "1100"), [0], 2.0),  # equal in everything: the first row
    ],
)
def test_codet(cells: Matrix, solutions: list[int], score: float) -> None:
    consensus = CodeT().select(cells)
    assert chosen(consensus)[0] == solutions
    assert consensus.score == pytest.approx(score)


def test_selectors_disagree_where_they_should() -> None:
    """One lucky solution that passes everything against a crowd that agrees on most tests."""
    cells = matrix("11111", *["11110"] * 6)
    assert chosen(MaxPass().select(cells))[0] == [0]
    assert chosen(CodeT().select(cells))[0] == [1, 2, 3, 4, 5, 6]
    assert chosen(B4().select(cells))[0] == [1, 2, 3, 4, 5, 6]


@BY_NAME
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (4, 4)])
def test_nothing_passes(selector: Selector, shape: tuple[int, int]) -> None:
    consensus = selector.select(np.zeros(shape, dtype=bool))
    assert consensus.empty and not consensus.tests.any() and consensus.score == 0
    assert (len(consensus.solutions), len(consensus.tests)) == shape


@BY_NAME
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (8, 8)])
def test_everything_passes(selector: Selector, shape: tuple[int, int]) -> None:
    consensus = selector.select(np.ones(shape, dtype=bool))
    assert consensus.solutions.all() and consensus.tests.all() and not consensus.empty


@BY_NAME
def test_a_crowd_that_passes_nothing_is_never_selected(selector: Selector) -> None:
    assert chosen(selector.select(matrix(*["0000"] * 7, "0001")))[0] == [7]


@BY_NAME
@given(cells=matrices())
@settings(deadline=None, max_examples=60)
def test_what_holds_for_every_consensus(selector: Selector, cells: Matrix) -> None:
    consensus = selector.select(cells)
    assert consensus.empty == (not cells.any())
    if not consensus.empty:
        assert (cells[consensus.solutions].all(axis=0) == consensus.tests).all()
        assert cells[consensus.solutions].any(axis=1).all()
        if selector.name != "maxpass":
            assert len({row.tobytes() for row in cells[consensus.solutions]}) == 1
            pattern = cells[consensus.solutions][0]
            assert (consensus.solutions == (cells == pattern).all(axis=1)).all()


@BY_NAME
@given(cells=matrices(smallest=1), data=st.data())
@settings(deadline=None, max_examples=60)
def test_the_order_of_solutions_and_tests_does_not_matter(
    selector: Selector, cells: Matrix, data: st.DataObject
) -> None:
    rows = np.array(data.draw(st.permutations(range(cells.shape[0]))))
    columns = np.array(data.draw(st.permutations(range(cells.shape[1]))))
    first, second = selector.select(cells), selector.select(cells[rows][:, columns])
    assert second.score == pytest.approx(first.score, abs=1e-6)
    assert second.solutions.sum() == first.solutions.sum() and second.tests.sum() == first.tests.sum()
    shape = (int(first.solutions.sum()), int(first.tests.sum()))
    candidates = groups(cells)
    twins = zip(candidates.sizes.tolist(), candidates.num_passed.tolist(), strict=True)
    if selector.name == "maxpass" or list(twins).count(shape) == 1:  # else the first row decides
        assert (second.solutions == first.solutions[rows]).all()
        assert (second.tests == first.tests[columns]).all()


def test_groups_keep_the_order_of_first_rows() -> None:
    found = groups(matrix("110", "000", "010", "110"))
    assert found.patterns.tolist() == [[True, True, False], [False, True, False]]
    assert found.sizes.tolist() == [2, 1] and found.num_passed.tolist() == [2, 1]
    assert found.owner.tolist() == [0, -1, 1, 0]


@pytest.mark.parametrize("key", ["beta0", "alpha_xy"])
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
@pytest.mark.parametrize("kind", [B4, DyB4])
def test_priors_out_of_range(kind: type[B4 | DyB4], key: str, value: float) -> None:
    priors = {"beta0": 1.0, "alpha_xy": 1.0} | {key: value}
    with pytest.raises(ZeroCoderError, match=rf"^selector\.{key} must be > 0, got {value}$"):
        kind(beta0=priors["beta0"], alpha_xy=priors["alpha_xy"])


def test_hidden_rows_and_columns_neither_vote_nor_win() -> None:
    good, bad, none, infra = Verdict.PASS, Verdict.FAIL, Verdict.SKIPPED, Verdict.INFRA
    verdicts = np.array(
        [
            [none, none, none, none],  # did not parse
            [good, good, none, bad],
            [infra, bad, none, good],  # would outvote the row below if it were seen
            [bad, bad, none, good],
            [good, good, none, bad],
        ],
        dtype=np.int8,
    )
    consensus = select_shown(CodeT(), PassingMatrix(verdicts))
    assert chosen(consensus) == ([1, 4], [0, 1])
    assert consensus.score == pytest.approx(2 * math.sqrt(2))


@pytest.mark.parametrize("verdict", [Verdict.SKIPPED, Verdict.INFRA, Verdict.FAIL])
def test_nothing_shown_is_an_empty_consensus(verdict: Verdict) -> None:
    consensus = select_shown(B4(), PassingMatrix(np.full((3, 2), verdict, dtype=np.int8)))
    assert consensus.empty and consensus.solutions.shape == (3,) and consensus.tests.shape == (2,)
