"""Answers to a draw: each is read as an answer to its own problem in its own role."""

from __future__ import annotations

from scripted import fenced, scripted_sampler

from zerocoder.problems import Problem, Program, TestCase

SAME = fenced("def one(x):\n    return 1\n\nassert one(2) == 1")
ONE, TWO = (Problem(n, f"{n.title()}.", entry_point=n, signature=f"def {n}(x):") for n in ("one", "two"))


def test_the_same_words_are_read_for_each_problem_and_role() -> None:
    texts = {problem.statement: [SAME] for problem in (ONE, TWO)}
    one, two = scripted_sampler(texts, texts, n=2).sample([ONE, TWO], ("a",))
    assert [type(r.answer) for r in one.solutions] == [Program] * 2
    # An answer that defines what it tests is no test, unless that is another function: then it tests nothing of ours.
    assert not any(isinstance(r.answer, TestCase) for r in (*one.tests, *two.tests))
    assert two.programs == (None, None)
    assert len({id(r.completion) for r in one.solutions}) == 2  # each keeps its own tokens and log-probs
