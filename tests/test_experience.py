"""Which sequences share a micro-batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocoder.experience import batch_plan, cut_to


def test_a_plan_is_cut_where_most_sequences_are() -> None:
    assert cut_to([[0], [1, 2, 3]], 2) == [[0], [1, 2, 3]]
    assert cut_to([[0], [1, 2, 3]], 3) == [[0], [1], [2, 3]]
    assert cut_to([[0], [1, 2, 3]], 4) == [[0], [1], [2], [3]]
    with pytest.raises(ValueError, match="4 sequences cannot make 5 micro-batches: ranks hold unequal numbers"):
        cut_to([[0], [1, 2, 3]], 5)


@given(st.lists(st.lists(st.integers(1, 50), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 120))
def test_all_ranks_can_make_as_many_as_the_one_that_makes_most(ranks: list[list[int]], max_tokens: int) -> None:
    plans = [batch_plan(lengths, max_tokens) for lengths in ranks]
    count = max(map(len, plans))
    for lengths, plan in zip(ranks, plans, strict=True):
        cut = cut_to(plan, count)
        assert len(cut) == count
        assert sorted(row for rows in cut for row in rows) == list(range(6))
        for rows in cut:
            assert len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= max_tokens
