"""Prompts: what is filled in, and that the worked example of `one_shot` is a right answer itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import zerocoder.prompts
from zerocoder.answers import FormatError, parse_program, parse_test
from zerocoder.execution import Job, ProcessExecutor, Verdict
from zerocoder.problems import Problem, Program, Role, Style, TestCase
from zerocoder.prompts import ONE_SHOT, STANDARD, TEMPLATES, PromptStyle, Shot, messages, prompts_hash

FUNCTION = Problem(id="a", statement="Sum {entry_point} of\n{xs}.", entry_point="total", signature="def total(xs):")
STDIN = Problem(id="b", style=Style.STDIN, statement="Read n, print n squared.")


@pytest.mark.parametrize("style", PromptStyle)
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("problem", [FUNCTION, STDIN], ids=["function", "stdin"])
def test_the_chat_ends_with_the_question(style: PromptStyle, role: Role, problem: Problem) -> None:
    chat = messages(problem, role, style)
    assert chat[-1]["role"] == "user"
    assert problem.statement in chat[-1]["content"], "braces of a statement stay as they are"
    assert problem.signature in chat[-1]["content"]
    speakers = [turn["role"] for turn in chat if turn["role"] != "system"]
    assert speakers == ["user", "assistant"] * (len(speakers) // 2) + ["user"], "chat templates want turns"
    assert all(turn["content"].strip() for turn in chat)


def test_one_shot_shows_one_example_of_the_problems_own_style() -> None:
    (standard, question), one_shot = messages(STDIN, Role.TESTER), messages(STDIN, Role.TESTER, PromptStyle.ONE_SHOT)
    assert one_shot[0] == standard
    assert one_shot[-1] == question
    assert "```input" in one_shot[2]["content"]
    assert len(one_shot) == 4


@pytest.mark.parametrize("shot", ONE_SHOT.shots, ids=lambda shot: shot.problem.id)
def test_the_example_answers_are_right(shot: Shot) -> None:
    program = parse_program(shot.answer(Role.CODER), shot.problem)
    test = parse_test(shot.answer(Role.TESTER), shot.problem)
    assert isinstance(program, Program)
    assert isinstance(test, TestCase), test.reason if isinstance(test, FormatError) else ""
    assert shot.problem.style is test.style
    with ProcessExecutor(workers=1) as executor:
        [verdicts] = executor.run([Job((program,), (test,), shot.problem.entry_point)])
    assert verdicts.tolist() == [[Verdict.PASS]]


def test_every_style_of_problem_has_an_example() -> None:
    assert {shot.problem.style for shot in ONE_SHOT.shots} == set(Style)
    assert set(TEMPLATES) == set(PromptStyle)


STARTER = "class Solution:\n    def total(self, xs: List[int]) -> int:\n        "


def test_starter_code_is_shown_whole_and_asked_for_as_it_is() -> None:
    problem = Problem(id="c", statement="Sum.", entry_point="total", signature=f"\n# Node: int\n{STARTER}")
    coder, tester = (messages(problem, role)[-1]["content"] for role in Role)
    for question in (coder, tester):
        assert f"### Starter code\n```python\n# Node: int\n{STARTER.strip()}\n```" in question
    assert "the complete class `Solution` with its method `total`" in coder
    assert "assert total(<arguments>) == <expected value>" in tester
    assert "Call `total` by its name alone, without `Solution()`." in tester
    plain = messages(FUNCTION, Role.CODER)[-1]["content"]
    assert "### Signature" in plain
    assert "the complete function `total`" in plain


@pytest.mark.parametrize("style", PromptStyle)
def test_examples_of_a_statement_are_not_cut(style: PromptStyle) -> None:
    statement = (
        "Add.\n\nSample Input 1\n\n3\n1 2 3\n\nSample Output 1\n\n6\n" + "x" * 20_000 + "\n\nNote\n\n{signature}"
    )
    for role in Role:
        assert statement in messages(replace(STDIN, statement=statement), role, style)[-1]["content"]


def test_the_hash_follows_the_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = {style: prompts_hash(style) for style in PromptStyle}
    assert len(set(hashes.values())) == len(PromptStyle)
    assert hashes == {style: prompts_hash(style) for style in PromptStyle}
    for change in (
        {"system": "You are a programmer."},
        {"coder_stdin": f"{STANDARD.coder_stdin} Now."},
        {"tester_function": STANDARD.tester_function.replace("{called}", "")},
        {"shots": ONE_SHOT.shots[:1]},
    ):
        changed = TEMPLATES | {PromptStyle.STANDARD: replace(STANDARD, **change)}
        monkeypatch.setattr(zerocoder.prompts, "TEMPLATES", changed)
        assert prompts_hash(PromptStyle.STANDARD) != hashes[PromptStyle.STANDARD]


@pytest.mark.parametrize("template", ["coder_function", "coder_stdin", "tester_function", "tester_stdin"])
def test_the_documentation_shows_the_prompts_in_full(template: str) -> None:
    text = getattr(STANDARD, template).replace("{shown}", "Signature").replace("{called}", "")
    text = text.replace("{asked}", "function `{entry_point}`")
    documentation = (Path(__file__).parents[1] / "docs" / "prompts.md").read_text("utf-8")
    assert f"````text\n{text}\n````" in documentation
