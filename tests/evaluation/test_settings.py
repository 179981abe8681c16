"""The settings of an evaluation, and what decides its answers and its scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import tiny_policy

from zerocoder.compose import load_evaluation
from zerocoder.datasets.mbpp import Mbpp
from zerocoder.evaluation.benchmarks import Benchmark, Selection
from zerocoder.evaluation.provenance import data_hash, in_a_line, origin, provenance
from zerocoder.evaluation.questions import Key, Question, Reply, prompt_hashes
from zerocoder.evaluation.saved import Header
from zerocoder.evaluation.session import Given, complete, deciding, files_digest, prompt_room, sampling
from zerocoder.execution import machine
from zerocoder.problems import Grading, Label, Problem, Role, TestCase, ZeroCoderError
from zerocoder.rollout.engine import Sampling

TESTS = (TestCase(code="assert f(1) == 1"),)
A = Problem("mbpp/1", "s", entry_point="f", label=Label("def f(x): return x", TESTS), source="mbpp")
B = Problem("mbpp/2", "t", entry_point="f", label=Label("", TESTS, Grading(seconds=6.0)), source="mbpp")
SETTINGS = {"temperature": 0.8, "top_p": 0.9, "rollout.top_k": 20, "rollout.max_new_tokens": 64, "limit": None}


def test_answers_are_greedy_unless_a_temperature_is_set() -> None:
    assert sampling(load_evaluation(["rollout.top_k=9", "top_p=0.5"])) == Sampling(0.0, 1.0, 0, 96)
    drawn = load_evaluation(["n=3", "temperature=0.8", "top_p=0.95", "rollout.top_k=9", "rollout.max_new_tokens=7"])
    assert sampling(drawn) == Sampling(0.8, 0.95, 9, 7)


@pytest.mark.parametrize(
    "benchmarks", [["benchmarks=mbpp,humaneval"], ["benchmarks=[mbpp,humaneval]"], ["'benchmarks=[mbpp, humaneval]'"]]
)
def test_several_benchmarks_in_either_form(benchmarks: list[str]) -> None:
    assert load_evaluation([b.strip("'") for b in benchmarks]).benchmarks == ["mbpp", "humaneval"]


def test_a_benchmark_is_changed_on_the_command_line() -> None:
    config = load_evaluation(["benchmark.mbpp.source.show_tests=3", "benchmarks=mbpp"])
    assert config.benchmark == {"mbpp": {"source": {"show_tests": 3}}}
    assert config.benchmarks == ["mbpp"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["n=0"], "n must be > 0, got 0"),
        (["n=5"], r"n=5 greedy answers would all be the same: set temperature=0.8 .*, or n=1"),
        (["temperature=-1"], "temperature must be >= 0"),
        (["top_p=0"], "top_p must be above 0 and at most 1"),
        (["k=[0,1]"], r"k must be a list of whole numbers > 0, got \[0, 1\]"),
        (["limit=0"], "limit must be > 0 or null, got 0"),
        (["benchmarks=[]"], "benchmarks must be at least one name"),
        (["rescore=a", "answers=b"], "set one"),
        (
            ["rescore=a", "n=2", "temperature=1"],
            "rescore= scores answers that are there and asks no model: leave n= out",
        ),
        (["answers=a", "compare=[b]"], "answers= scores answers that are there and asks no model: leave compare= out"),
        (["answers=a", "limit=3"], "leave limit= out"),
    ],
)
def test_settings_that_cannot_be(arguments: list[str], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        load_evaluation(arguments)


def test_every_setting_that_decides_answers_is_in_their_header() -> None:
    selection = Selection(Benchmark("mbpp", "M", Mbpp(), spec="mbpp:x"), (A, B), "all")

    def of(*arguments: str) -> dict[str, object]:
        return deciding(load_evaluation(arguments), [selection])

    default, drawn = of(), of("temperature=0.8")
    assert default["benchmarks"] == ["mbpp:x"]
    for key, value in {
        "seed": 3,
        "limit": 5,
        "n": 2,
        "temperature": 0.9,
        "top_p": 0.7,
        "rollout.top_k": 4,
        "rollout.max_new_tokens": 12,
        "model.revision": "abc",
        "model.dtype": "bfloat16",
        "model.prompt_style": "standard",
        "model.chat_template": "plain",
        "model.max_prompt_tokens": 99,
    }.items():
        assert of("temperature=0.8", f"{key}={value}") == drawn | {key: value}, key
    changed = of("benchmark.mbpp.source.show_tests=3")
    assert changed == default | {"benchmark": {"mbpp": {"source": {"show_tests": 3}}}}
    for key, value in {"verifier.workers": "1", "rollout.batch_size": "3", "max_mutants": "3", "threads": "1"}.items():
        assert of(f"{key}={value}") == default, key


def test_a_models_files_decide_too(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"abc")
    first = files_digest(tmp_path)
    assert files_digest(tmp_path) == first
    (tmp_path / "model.safetensors").write_bytes(b"abcd")
    assert files_digest(tmp_path) != first
    assert files_digest("org/name") is None


def test_the_room_for_prompts() -> None:
    policy = tiny_policy()  # 1024 tokens
    assert prompt_room(load_evaluation(["rollout.max_new_tokens=1000"]), policy) == 24
    assert prompt_room(load_evaluation(["model.max_prompt_tokens=20"]), policy) == 20
    with pytest.raises(
        ZeroCoderError, match="rollout.max_new_tokens=1024 leaves no room for a prompt in the 1024 tokens"
    ):
        prompt_room(load_evaluation(["rollout.max_new_tokens=1024"]), policy)


def header(**answers: int) -> Header:
    return Header("nano", SETTINGS, dict.fromkeys(answers, "aa"), answers)


def test_an_evaluation_that_was_stopped_is_not_scored() -> None:
    replies = {Key(name, str(i), Role.CODER, 0): Reply("", "x") for name in ("one", "two") for i in range(3)}
    given = Given("nano", replies, header(one=3, two=4))
    assert {key.benchmark for key in complete(given, ["one"]).replies} == {"one"}
    with pytest.raises(ZeroCoderError, match="nano has 3 of 4 answers to two: its evaluation was stopped"):
        complete(given, ["one", "two"])
    with pytest.raises(ZeroCoderError, match="nano has no answers to three; it has one, two"):
        complete(given, ["three"])


def test_what_decided_the_scores() -> None:
    benchmark = Benchmark("mbpp", "MBPP", Mbpp("somewhere/mbpp.jsonl"), (Role.CODER,))
    source = benchmark.source
    assert origin(source, [A]) == ("somewhere/mbpp.jsonl", None)
    object.__setattr__(source, "_parsed", ([A, B], {"no tests": 2}))  # as if the file had been read
    found = provenance(Selection(benchmark, (A, B), "2 of 9 (seed 0)"), header(mbpp=2), 3, 1.5, "strict: all", 12.34)
    assert (found.title, found.data_set, found.revision) == ("MBPP", "somewhere/mbpp.jsonl", None)
    assert (found.problems, found.roles, found.n, found.sample) == (2, ("coder",), 3, "2 of 9 (seed 0)")
    assert (found.temperature, found.top_p, found.top_k, found.max_new_tokens) == (0.8, 0.9, 20, 64)
    assert (found.prompts, found.left_out) == ("aa", {"no tests": 2})
    assert (found.cpu_seconds, found.isolation, found.seconds) == ((1.5, 6.0), "strict: all", 12.3)
    assert found.machine_factor == round(machine.factor(), 3)
    assert {"python", "zerocoder", "torch", "transformers"} <= found.versions.keys()
    line = in_a_line("mbpp", found)
    for told in (
        "2 problems (2 of 9 (seed 0))",
        "n=3 temperature 0.8, top-p 0.9",
        "prompts aa",
        "1.5 to 6 CPU s a test",
    ):
        assert told in line
    outside = provenance(Selection(benchmark, (A,), "all"), None, 1, 1.5, "strict: all", 1.0)
    assert (outside.temperature, outside.max_new_tokens, outside.prompts) == (None, None, None)
    assert "prompts not known" in in_a_line("mbpp", outside)


def test_where_problems_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZEROCODER_DATA", raising=False)
    assert origin(Mbpp(revision="abc"), [A]) == ("mbpp", "abc")
    monkeypatch.setenv("ZEROCODER_DATA", str(tmp_path))
    (tmp_path / "mbpp").mkdir()
    assert origin(Mbpp(revision="abc"), [A]) == (str(tmp_path / "mbpp"), None)


def test_the_hash_of_the_problems_changes_with_a_test() -> None:
    assert data_hash([A, B]) == data_hash([A, B])
    assert data_hash([A, B]) != data_hash([A])
    other = Problem(A.id, A.statement, entry_point="f", label=Label("", (TestCase(code="assert f(2) == 1"),)))
    assert data_hash([other]) != data_hash([A])


def test_the_hash_of_the_prompts_knows_roles_and_no_order() -> None:
    one, two = Question("b", A, Role.CODER), Question("b", A, Role.TESTER)
    assert prompt_hashes([one, two], [(1,), (2,)]) == prompt_hashes([two, one], [(2,), (1,)])
    assert prompt_hashes([one, two], [(1,), (2,)]) != prompt_hashes([one, two], [(2,), (1,)])
    assert prompt_hashes([one], [(1,)]).keys() == {"b"}
