"""The page in a real browser: what it shows, what it keeps from running, and how it bears many problems."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import Browser, browser, executable
from measured import PROVENANCE, item, problems

from zerocoder.evaluation.paper import published
from zerocoder.evaluation.records import Answer, CoderItem, Results, score
from zerocoder.evaluation.report import make_sheet
from zerocoder.evaluation.report.html import html
from zerocoder.problems import Label, Problem, TestCase

needs_browser = pytest.mark.skipif(executable() is None, reason="no Chromium on this machine")

ATTACKS = (
    "</script><script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 3'>",
    "]]><svg onload='window.ran = 4'>",
    "\"><input autofocus onfocus='window.ran = 5'>",
    "{{ 7 * 7 }}{% raw %}${alert(1)}`",
    "javascript:window.ran = 6",
    "</style></textarea></noscript></title><script src='https://example.com/x.js'></script>",
    "<!--<script>window.ran = 2</script>",
)
HOSTILE = " ".join(ATTACKS) + " \u202e \ud800 \u2028 \x00 end"


def page(folder: Path, results: Results, listed: dict[str, list[Problem]] | None = None) -> str:
    """The address of the page of `results`."""
    listed = listed or {name: problems(s.items) for scores in results.values() for name, s in scores.items()}
    provenance = {model: dict.fromkeys(scores, PROVENANCE) for model, scores in results.items()}
    sheet = make_sheet(results, published("qwen3-4b/base"))
    text = html(sheet, results, provenance, {model: {"seed": 1} for model in results}, listed)
    file = folder / "results.html"
    file.write_text(text, encoding="utf-8", errors="replace")
    return file.as_uri()


TWO: Results = {
    "first": {
        "one": score([item("a", True), item("b", False), item("c", None)], 1.0),
        "two": score([item("mbpp/11", True, source="mbpp", difficulty="easy")], 1.0),
    },
    "second": {
        "one": score([item("a", True), item("b", True), item("c", False)], 1.0),
        "two": score([item("mbpp/11", False, source="mbpp", difficulty="easy")], 1.0),
    },
}


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def shown(tab: Browser) -> list[str]:
    """The ids in the list."""
    ids: list[str] = tab.run("[...document.querySelectorAll('#list > details .id')].map((node) => node.textContent)")
    return ids


def choose(tab: Browser, name: str, value: str) -> None:
    tab.run(f"document.getElementById('{name}').value = {json.dumps(value)}")
    tab.run(f"document.getElementById('{name}').dispatchEvent(new Event('input', {{bubbles: true}}))")


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    page(tmp_path, TWO)
    text = (tmp_path / "results.html").read_text()
    assert set(re.findall(r"""(?:src|href)=["']?(.)""", text)) == {"#"}
    assert "@import" not in text
    assert "url(" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_what_the_page_holds_of_a_problem(tmp_path: Path) -> None:
    page(tmp_path, TWO)
    [chunk] = re.findall(r'class="chunk">([^<]*)<', (tmp_path / "results.html").read_text())
    details = json.loads(gzip.decompress(base64.b64decode(chunk)))
    assert len(details) == 4
    assert details[1]["statement"] == "Return 1."
    assert [model["coder"][0]["correct"] for model in details[1]["models"]] == [False, True]
    assert details[0]["models"][0]["tester"][0]["tests"][0] == ["assert f() == 1", "", "pass", 0.5]


@needs_browser
def test_the_list_its_filters_and_its_search(tmp_path: Path, tab: Browser) -> None:
    tab.requests.clear()
    tab.errors.clear()
    address = page(tmp_path, TWO)
    tab.open(address)
    tab.wait("document.getElementById('count').textContent")
    assert shown(tab) == ["a", "b", "c", "mbpp/11"]
    choose(tab, "benchmark", "one")
    assert shown(tab) == ["a", "b", "c"]
    choose(tab, "coder", "not solved")
    assert shown(tab) == ["b", "c"]
    choose(tab, "model", "0")
    assert shown(tab) == ["b"]
    tab.run("document.querySelector('#filters [type=reset]').click()")
    tab.wait("document.getElementById('count').textContent.startsWith('4')")
    tab.run("document.getElementById('differ').click()")
    assert shown(tab) == ["b", "mbpp/11"]
    tab.run("document.getElementById('differ').click()")
    choose(tab, "difficulty", "easy")
    assert shown(tab) == ["mbpp/11"]
    tab.run("document.querySelector('#filters [type=reset]').click()")
    choose(tab, "search", "MBPP/1")
    tab.wait("document.getElementById('count').textContent.startsWith('1')")
    choose(tab, "search", "f() == 2")
    tab.wait("document.getElementById('count').textContent.startsWith('4')")
    assert tab.requests == [address]
    assert tab.errors == []


@needs_browser
def test_a_problem_opens_with_everything_about_it(tmp_path: Path, tab: Browser) -> None:
    tab.open(page(tmp_path, TWO) + "#mbpp/11")
    tab.wait("document.querySelector('.body .answers')")
    assert shown(tab) == ["mbpp/11"]
    text = tab.run("document.querySelector('.body').innerText")
    for part in ("Return 1.", "assert f() == 1", "first", "second", "not solved", "kills 50 %", "fail", "pass"):
        assert part in text


@needs_browser
def test_the_tables_show_scores_and_published_rows(tmp_path: Path, tab: Browser) -> None:
    tab.open(page(tmp_path, TWO))
    columns = tab.run("document.getElementById('columns').innerText")
    assert "Qwen3-4B (paper)" in columns
    assert "21.7" in columns
    assert "shown only where every column" in columns
    benchmarks = tab.run("document.getElementById('benchmarks').innerText")
    assert "50.0" in benchmarks  # first on one: a solved, b not, c unknown
    assert "[0.0, 100.0]" in benchmarks
    width = tab.run("document.querySelector('#benchmarks .fill').style.width")
    assert width == "50%"


@needs_browser
def test_the_keyboard_is_enough(tmp_path: Path, tab: Browser) -> None:
    tab.open(page(tmp_path, TWO))
    tab.wait("document.querySelectorAll('#list > details').length === 4")
    tab.press("/")
    assert tab.run("document.activeElement.id") == "search"
    for character in "mbpp/11":
        tab.press(character, character)
    tab.wait("document.getElementById('count').textContent.startsWith('1')")
    for _ in range(12):
        tab.press("Tab")
        if tab.run("document.activeElement.tagName") == "SUMMARY":
            break
    tab.press("Enter", "\r")
    tab.wait("document.querySelector('.body .answers')")


@needs_browser
def test_dark_and_light(tmp_path: Path, tab: Browser) -> None:
    tab.open(page(tmp_path, TWO))
    ground = "getComputedStyle(document.body).backgroundColor"
    tab.prefer("light")
    assert tab.run(ground) == "rgb(255, 255, 255)"
    tab.prefer("dark")
    assert tab.run(ground) == "rgb(21, 24, 27)"
    tab.run("document.getElementById('theme').click()")
    assert tab.run(ground) == "rgb(255, 255, 255)"
    tab.run("document.getElementById('theme').click()")
    assert tab.run(ground) == "rgb(21, 24, 27)"
    tab.prefer("light")


@needs_browser
def test_hostile_texts_are_shown_and_never_run(tmp_path: Path, tab: Browser) -> None:
    """In every place that a text from outside can reach: names, statements, answers, tests, settings."""
    answer = Answer(HOSTILE, HOSTILE, True, HOSTILE)
    hostile = item(HOSTILE, True, source=HOSTILE, difficulty=HOSTILE, answer=answer)
    program = CoderItem(answer, HOSTILE, (HOSTILE, "fail"), False)
    tests = tuple(replace(test, code=HOSTILE) for test in hostile.tester[0].tests)
    hostile = replace(hostile, coder=(program,), tester=(replace(hostile.tester[0], tests=tests),))
    label = Label(HOSTILE, (TestCase(code=HOSTILE), TestCase(stdin=HOSTILE, stdout=HOSTILE)))
    problem = Problem(HOSTILE, HOSTILE, entry_point="f", signature=HOSTILE, label=label, difficulty=HOSTILE)
    results = {HOSTILE: {HOSTILE: score([hostile], 1.0)}, "other": {HOSTILE: score([hostile], 1.0)}}
    provenance = {HOSTILE: {HOSTILE: replace(PROVENANCE, sample=HOSTILE, versions={HOSTILE: HOSTILE})}}
    text = html(make_sheet(results), results, provenance, {HOSTILE: {"key": HOSTILE}}, {HOSTILE: [problem]})
    file = tmp_path / "results.html"
    file.write_text(text, encoding="utf-8", errors="replace")
    tab.requests.clear()
    tab.errors.clear()
    tab.open(file.as_uri())
    tab.wait("document.querySelector('#list > details')")
    tab.run("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    tab.wait("document.querySelector('.body .answers')")
    assert tab.run("window.ran") is None
    assert tab.requests == [file.as_uri()]
    assert tab.errors == []
    body = tab.run("document.querySelector('.body').textContent")
    for attack in ATTACKS:
        assert attack in body
    drawn = "document.querySelectorAll('img, svg, [onerror], main input:not(#search):not(#differ)').length"
    assert tab.run(drawn) == 0
    assert tab.run("document.scripts.length") == 3  # the index, one chunk and the page's own


@needs_browser
def test_a_script_that_got_in_would_not_run(tmp_path: Path, tab: Browser) -> None:
    """The second line of defence: the page's policy runs its own script alone."""
    file = tmp_path / "results.html"
    page(tmp_path, TWO)
    file.write_text(
        file.read_text().replace("<main>", "<main><script>window.ran = 1</script><b onclick='window.ran = 2'>")
    )
    tab.open(file.as_uri())
    tab.run("document.querySelector('main b').click()")
    assert tab.run("window.ran") is None
    tab.errors.clear()


def many(count: int, models: int) -> tuple[Results, dict[str, list[Problem]]]:
    """An evaluation of `count` problems, with texts of the usual lengths that do not compress better than code does."""
    rng = random.Random(0)
    words = [
        f"{a}{b}_{n}" for n, (a, b) in enumerate((a, b) for a in ("list", "sum", "max") for b in ("of", "in", "by"))
    ]

    def prose(length: int) -> str:
        return " ".join(
            rng.choice(words) + (str(rng.random()) if rng.random() < 0.2 else "") for _ in range(length // 8)
        )

    listed = [
        Problem(
            f"big/{n}", prose(1500), entry_point="f", difficulty=rng.choice(("easy", "hard")),
            label=Label("x", tuple(TestCase(code=f"assert f({n}, {k}) == {prose(60)!r}") for k in range(20))),
        )
        for n in range(count)
    ]  # fmt: skip
    results = {
        f"model-{m}": {
            "big": score(
                [
                    item(
                        p.id, rng.random() < 0.5, difficulty=p.difficulty, answer=Answer("0", prose(1500), False, None)
                    )
                    for p in listed
                ],
                1.0,
            )
        }
        for m in range(models)
    }
    return results, {"big": listed}


@needs_browser
def test_many_problems_are_drawn_as_they_are_looked_at(tmp_path: Path, tab: Browser) -> None:
    results, listed = many(400, 2)
    tab.open(page(tmp_path, results, listed))
    tab.wait("document.getElementById('count').textContent.startsWith('400 ')")
    assert len(shown(tab)) == 50
    assert tab.run("document.getElementsByTagName('*').length") < 3_000
    tab.run("document.getElementById('more').click()")
    assert len(shown(tab)) == 100
    assert tab.run("document.activeElement === document.querySelectorAll('#list > details')[50].firstElementChild")
    statement = listed["big"][333].statement
    choose(tab, "search", statement[:200])
    tab.wait("document.getElementById('count').textContent.startsWith('1 ')")
    assert shown(tab) == ["big/333"]
    tab.run("document.querySelector('#list > details').open = true")
    tab.wait("document.querySelector('.body .answers')")
    assert tab.run("document.querySelector('.body pre').textContent") == statement
