"""Training problems that are evaluation problems: what matches, what does not, and what the real data sets share."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from zerocoder.datasets.apps import Apps
from zerocoder.datasets.builtin import Builtin
from zerocoder.datasets.codeforces import Codeforces
from zerocoder.datasets.contamination import MIN_WORDS, RUN, Evidence, Match, find_matches
from zerocoder.datasets.livecodebench import LiveCodeBench
from zerocoder.datasets.mbpp import Mbpp
from zerocoder.problems import Problem, Style

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_real = pytest.mark.skipif(not SHARED.exists(), reason="real rows are not at hand")

WORDS = [f"w{i}" for i in range(200)]


def problem(name: str, statement: str, origins: tuple[str, ...] = (), source: str = "", signature: str = "") -> Problem:
    if not signature:
        return Problem(name, statement, Style.STDIN, origins=origins, source=source)
    return Problem(name, statement, entry_point="f", signature=signature, origins=origins, source=source)


def only(training: Problem, *evaluation: Problem, overlap: float = 0.5) -> Match | None:
    matches = find_matches([training], {"bench": evaluation}, overlap).matches
    assert len(matches) <= 1
    return matches[0] if matches else None


def test_one_name_where_it_was_first_published() -> None:
    held = problem("livecodebench/1873_A", "One text.", ("codeforces/1873/A",))
    match = only(problem("apps/train/0003", "Another text.", ("codeforces/1/A", "codeforces/1873/A")), held)
    assert match == Match("apps/train/0003", "bench: livecodebench/1873_A", Evidence.ORIGIN, 1.0)
    assert only(problem("apps/train/0003", "Another text.", ("codeforces/1873/B",)), held) is None


def test_one_row_of_a_known_data_set_but_not_one_number_in_two_files() -> None:
    assert only(problem("mbpp/7", "a text", source="mbpp"), problem("mbpp/7", "b text", source="mbpp")) is not None
    assert only(problem("7", "a text", source="mine"), problem("7", "b text", source="mine")) is None


SUM = "Write a function to add up all of the numbers that are in the list."


@pytest.mark.parametrize(
    ("statement", "matches"),
    [
        (SUM, True),
        ("write a  FUNCTION to add up `all` of the\r\nnumbers that are in the list.", True),
        ("Write a function to add up $all$ of the numbers that are in the 'list'.", True),
        ("Ｗrite a function to add up all of the numbers that are in the list.", True),  # a full-width letter
        ("Write a function to add up all of the numbers that are in the tuple.", False),
        ("Write a function to add up all of the numbers that are in the list + 1.", False),
    ],
)
def test_equal_statements(statement: str, matches: bool) -> None:
    match = only(problem("t", statement), problem("e", SUM))
    assert (match is not None) is matches
    assert match is None or match.evidence is Evidence.STATEMENT


def test_operators_and_numbers_tell_statements_apart() -> None:
    for one, other in (("a + b", "a - b"), ("n < 5", "n > 5"), ("7 items", "8 items")):
        text = "Read the values and print the result of {} on a line of its own."
        assert only(problem("t", text.format(one)), problem("e", text.format(other))) is None


def test_a_very_short_statement_counts_together_with_its_signature() -> None:
    held = problem("e", "Complete the function.", signature="def f(x): ...")
    assert only(problem("t", "Complete the function.", signature="def f(x):  ..."), held) is not None
    assert only(problem("t", "Complete the function.", signature="def f(x, y): ..."), held) is None


def share_by_hand(a: list[str], b: list[str]) -> float:
    one, other = ({tuple(w[i : i + RUN]) for i in range(len(w) - RUN + 1)} for w in (a, b))
    return len(one & other) / min(len(one), len(other))


def test_long_statements_match_by_their_runs_of_words() -> None:
    held = WORDS[:100]
    rng = random.Random(1)
    for cut in (0, 20, 40, 60, 80):  # words of the evaluation problem that the training problem lacks
        text = [*WORDS[150:170], *held[cut:], *WORDS[170:190]]
        share = share_by_hand(text, held)
        training, evaluation = problem("t", " ".join(text)), problem("e", ", ".join(held).upper())
        others = [problem(f"o{i}", " ".join(rng.sample(WORDS, 90))) for i in range(20)]
        match = only(training, *others, evaluation, overlap=0.01)
        assert match is not None and match.share == round(share, 3) and match.evaluation == "bench: e"
        assert match.evidence is Evidence.OVERLAP
        assert (only(training, *others, evaluation) is not None) is (share >= 0.5)


def test_a_part_of_a_longer_statement_is_all_of_the_shorter() -> None:
    match = only(problem("t", " ".join(WORDS[30:90])), problem("e", " ".join(WORDS)))
    assert match is not None and match.share == 1.0


def test_short_statements_do_not_match_by_wording() -> None:
    long, short = WORDS[:MIN_WORDS], WORDS[: MIN_WORDS - 1]
    assert only(problem("t", " ".join(long)), problem("e", " ".join([*long, "end"]))) is not None
    assert only(problem("t", " ".join(short)), problem("e", " ".join([*short, "end"]))) is None
    assert only(problem("t", " ".join(short)), problem("e", " ".join(WORDS))) is None


def test_what_is_reported() -> None:
    evaluation = {"own": [problem("e1", SUM), problem("e2", "x")], "mbpp": [problem("e3", "y")], "empty": []}
    training = [problem("t1", "z"), problem("t2", SUM)]
    findings = find_matches(training, evaluation)
    assert findings.ids == {"t2"}
    assert findings.line(dropped=True) == (
        "contamination: 1 dropped (1 by statement) of 2 training problems match an evaluation problem "
        "(2 of own, 1 of mbpp)"
    )
    assert "1 kept" in findings.line(dropped=False)
    assert json.loads(json.dumps(findings.as_dict())) == {
        "training_problems": 2,
        "compared_with": {"own": 2, "mbpp": 1, "empty": 0},
        "run_of_words": 13,
        "overlap": 0.5,
        "matches": [{"training": "t2", "evaluation": "own: e1", "evidence": "statement", "share": 1.0}],
    }
    nothing = find_matches(training, {"own": []})
    assert nothing.matches == () and "none of 2" in nothing.line(True) and "nothing to compare" in nothing.line(True)


def test_the_builtin_problems_lose_none_to_their_family_likeness() -> None:
    builtin = Builtin()
    training, held = builtin.train(), builtin.heldout()
    assert find_matches(training, {"own": held}, overlap=0.01).matches == ()
    assert max(len(p.statement.split()) for p in (*training, *held)) < MIN_WORDS
    assert len(find_matches(training, {"own": training}).ids) == len(training)


@needs_real
def test_mbpp_holds_problems_twice() -> None:
    mbpp = Mbpp(str(SHARED / "mbpp.jsonl"))
    texts = {p.id: " ".join(p.statement.split()) for p in (*mbpp.train(), *mbpp.heldout())}
    held = {texts[p.id] for p in mbpp.heldout()}
    twice = {p.id for p in mbpp.train() if texts[p.id] in held}
    assert find_matches(mbpp.train(), {"own": mbpp.heldout()}).ids == twice and twice


@needs_real
def test_real_problems_of_different_contests_do_not_match() -> None:
    apps = Apps(path=str(SHARED / "apps_train.jsonl")).train()
    tests = Apps(path=str(SHARED / "apps_test_hf_rebuilt.jsonl")).heldout()
    files = [SHARED / f"livecodebench_{name}_noprivate.jsonl" for name in ("v1", "v5v6")]
    old, new = (LiveCodeBench(str(f), start=None, end=None, private_tests="optional").heldout() for f in files)
    elo = Codeforces(heldout_path=str(SHARED / "codeforces_codeelo.jsonl")).heldout()
    findings = find_matches([*apps, *old], {"apps": tests, "lcb": new, "codeforces": elo}, overlap=0.25)
    assert findings.matches == ()  # what contests' problems share is below a quarter, and the default is a half


@needs_real
def test_real_statements_match_their_copies() -> None:
    """As other data sets copy them: other line ends, no mathematics' marks, a note left out, an intro added."""
    held = LiveCodeBench(
        str(SHARED / "livecodebench_v1_noprivate.jsonl"), start=None, end=None, private_tests="optional"
    ).heldout()
    copies = []
    for p in held:
        words = p.statement.replace("\\", "").replace("$", "").split()
        copies.append(
            replace(p, id=f"copy/{p.id}", statement="Solve this task. " + " ".join(words[: -len(words) // 8]))
        )
    bare = [replace(p, origins=(), source="") for p in copies]
    findings = find_matches(bare, {"lcb": held})
    long = {p.id for p in bare if len(p.statement.split()) >= 2 * MIN_WORDS}
    assert long <= findings.ids and len(long) > 0.8 * len(held)
    for match in findings.matches:
        assert match.evaluation.removeprefix("lcb: ") == match.training.removeprefix("copy/")
    assert len(find_matches(copies, {"lcb": held}).ids) == len(held)  # by origin
