"""The command: its files, what the report says in numbers, mistakes, and the page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, browser, executable
from logged import config, write_run

from zerocoder.problems import ZeroCoderError
from zerocoder.report.__main__ import run

needs_browser = pytest.mark.skipif(executable() is None, reason="no Chromium on this machine")

HOSTILE = "</script></style><script>window.ran = 1</script><img src=x onerror='window.ran = 2'>|`$x^{$\n# [a](b)"
SCALARS = {
    "time/step": [(n, 2.0) for n in range(4)],
    "time/rollout": [(n, 1.5) for n in range(4)],
    "time/training": [(n, 0.5) for n in range(4)],
    "reward/coder": [(0, 0.5), (2, 0.75)],
    "truth/coder": [(n, 0.25 + n / 8) for n in range(4)],
    "matrix/rank": [(n, 2.0) for n in range(4)],
    "ranks/0": [(n, 0.25) for n in range(4)],
    "ranks/8": [(n, 0.75) for n in range(4)],
    "eval/pass_at_1": [(0, 0.5), (4, 0.75)],
}
CODET = {"_target_": "zerocoder.selection.codet.CodeT"}


def scores(pass_at_1: float) -> dict[str, Any]:
    return {"pass_at": {"1": pass_at_1}, "test_accuracy": 0.25, "mutation_score": None}


def three_runs(folder: Path) -> Path:
    """Two seeds of DyB4, and CodeT, which is at work and has warned."""
    done = {"summary": {"steps": 4}, "before": scores(0.5)}
    write_run(folder / "nano" / "1", SCALARS, config(), after=scores(0.75), **done)
    write_run(folder / "nano" / "2", SCALARS, config(trainer__seed=1), after=scores(0.625), **done)
    log = "12:00:00 warning: reward and truth part\n"
    write_run(folder / "nano" / "3", {"time/step": [(0, 1.0)]}, config(selector=CODET), log=log)
    (folder / "nano" / "latest").symlink_to("3")
    return folder


def rows(text: str) -> list[list[str]]:
    """The cells of every table of a Markdown text."""
    return [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in text.splitlines() if line[:1] == "|"]


def test_a_report_of_three_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = three_runs(tmp_path / "runs")
    assert run([str(folder), "--title", "My *report*"]) == 0
    out = folder / "report"
    assert str(out / "report.html") in capsys.readouterr().out
    text = (out / "report.md").read_text()
    assert text.startswith("# My \\*report\\*\n")
    assert "3 runs, 2 settings, 9 steps. 1 run not finished" in text
    cells = rows(text)
    assert ["nano/2", "selector=dyb4", "1", "4", "8"] in cells
    assert ["nano/3", "selector=codet", "0", "1 of 4", "1"] in cells
    # Pass@1 rises by 25 and by 12.5 points: a mean of 18.75 and a deviation of 6.25 * sqrt(2)
    assert ["selector=dyb4", "50.0 → 68.8 (+18.8 ± 8.8)", "25.0 → 25.0 (+0.0 ± 0.0)", "- → -"] in [c[:4] for c in cells]
    assert ["coder reward", "0.50 → 0.75 (+0.25 ± 0.00)", "-"] in cells
    assert ["selector=dyb4", "Rollout", "1.50 ± 0.00", "75.0", "1.50 ± 0.00", "5.6"] in cells
    assert ["", "Total", "2.00 ± 0.00", "100.0", "2.00 ± 0.00", "100.0"] in cells
    assert ["reward and truth part", "nano/3"] in cells
    assert ["torch", "2.13.0"] in cells
    assert "Not logged by selector=codet: Coder." in text
    pictures = set(re.findall(r"\((\w+\.svg)\)", text))
    assert pictures == {p.name for p in out.glob("*.svg")} == {
        f"{name}.svg" for name in ("heldout", "rewards", "matrices", "ranks", "time")
    }  # fmt: skip


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    folder = three_runs(tmp_path / "runs")
    for out in ("one", "two"):
        run([str(folder / "nano"), "--out", str(tmp_path / out)])
    files = {file.name: file.read_bytes() for file in (tmp_path / "one").iterdir()}
    assert files == {file.name: file.read_bytes() for file in (tmp_path / "two").iterdir()}
    assert len(files) == 7


def test_a_picture_that_is_no_more_goes(tmp_path: Path) -> None:
    folder = three_runs(tmp_path / "runs")
    out = tmp_path / "out"
    run([str(folder), "--out", str(out)])
    (out / "mine.svg").touch()
    run([str(folder / "nano" / "latest"), "--out", str(out)])
    assert {file.name for file in out.iterdir()} == {"report.md", "report.html", "mine.svg"}


def test_one_run_writes_beside_its_logs(tmp_path: Path) -> None:
    folder = three_runs(tmp_path / "runs") / "nano"
    assert run([str(folder / "1")]) == 0
    text = (folder / "1" / "report" / "report.md").read_text()
    assert "1 run, 4 steps." in text and "setting" not in rows(text)[0]
    assert [cells[1] for cells in rows(text) if cells[0] == "setting"] == ["coder Pass@1"]


def test_runs_without_a_step(tmp_path: Path) -> None:
    folder = three_runs(tmp_path / "runs")
    empty = write_run(folder / "nano" / "4", {}, config(trainer__seed=2))
    run([str(folder)])
    text = (folder / "report" / "report.md").read_text()
    assert ["nano/4", "selector=dyb4", "2", "0 of 4", "-"] in rows(text)
    assert "Runs without a step so far are in no picture." in text
    with pytest.raises(ZeroCoderError, match="no step has been finished yet: .*nano/4; report again after the first"):
        run([str(empty)])
    assert not (empty / "report").exists()


def test_a_damaged_log_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = {"time/step": [(n, 1.0) for n in range(3)]}
    folder = write_run(tmp_path / "nano" / "1", whole, summary={"steps": 4})
    told = "the log is damaged after step 3: it has 3 steps of 4 by summary.json"
    assert run([str(folder)]) == 0
    assert capsys.readouterr().err == f"warning: {folder}: {told}\n"
    assert [told, "nano/1"] in rows((folder / "report" / "report.md").read_text())


def test_a_finished_run_without_a_log(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "nano" / "1", {}, summary={"steps": 4})
    with pytest.raises(
        ZeroCoderError, match=r"^nothing to report: .*/nano/1: tensorboard/ has no events file"
    ) as caught:
        run([str(folder)])
    assert "no step has been finished" not in str(caught.value)
    waiting = write_run(tmp_path / "nano" / "2", {})
    with pytest.raises(
        ZeroCoderError, match=r"nothing to report: .*; no step has been finished yet: .*/nano/2; report"
    ):
        run([str(folder), str(waiting), "--out", str(tmp_path / "out")])


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = three_runs(tmp_path / "runs")
    (tmp_path / "file").touch()
    (tmp_path / "out" / "rewards.svg").mkdir(parents=True)
    (tmp_path / "old" / "policy.svg").mkdir(parents=True)  # of a figure that these runs have nothing for
    for out, told in {
        tmp_path / "file" / "x": f"cannot be written: {tmp_path / 'file'} is no folder that you may write to",
        Path("/proc/x"): "the report cannot be written to /proc/x: ",
        tmp_path / ("n" * 300): "File name too long",
        tmp_path / "out": "rewards.svg is a folder",
        tmp_path / "old": f"the report cannot be written to {tmp_path / 'old'}: ",
    }.items():
        with pytest.raises(ZeroCoderError, match=re.escape(told)):
            run([str(folder), "--out", str(out)])
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(
        ZeroCoderError, match="report cannot be written: .*; say with --out FOLDER where the report goes"
    ):
        run([str(folder)])


def test_settings_with_long_names_are_numbered(tmp_path: Path) -> None:
    paths = [f"/a/very/long/path/to/some/checkpoint/of/a/model/{n}" for n in (1, 2)]
    for n, path in enumerate(paths):
        write_run(tmp_path / "nano" / str(n), SCALARS, config(model__path=path))
    run([str(tmp_path)])
    cells = rows((tmp_path / "report" / "report.md").read_text())
    assert [["setting 1", "1", paths[0]], ["setting 2", "1", paths[1]]] == [
        c for c in cells if c[2:3] in ([p] for p in paths)
    ]


def test_what_names_leave_out_is_told(tmp_path: Path) -> None:
    for n, tau in enumerate((0, 1, 3, 4)):
        write_run(tmp_path / "nano" / str(n), SCALARS, config(data__tau=tau))
    write_run(tmp_path / "nano" / "4", SCALARS, config(selector=CODET, data__tau=0))
    run([str(tmp_path)])
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Names leave out what most settings have: selector=dyb4." in text


def test_mistakes(tmp_path: Path) -> None:
    folder = three_runs(tmp_path / "runs")
    (tmp_path / "file").touch()
    for argv, told in {
        (str(tmp_path / "rans"),): "there is no such folder",
        (str(folder / "nano" / "1"), str(folder / "nano" / "2")): "2 places are named: say with --out FOLDER",
        (str(folder), "--out", str(tmp_path / "file")): "a file has that name; name a folder",
        (str(folder), "--ot", "x"): "unrecognized arguments: --ot x; see python -m zerocoder.report --help",
    }.items():
        with pytest.raises(ZeroCoderError, match=re.escape(told)):
            run(list(argv))


def hostile_page(folder: Path) -> Path:
    """Hostile texts wherever a run can bring them: settings, names, warnings."""
    settings = config(selector={"_target_": HOSTILE}, data__tau=HOSTILE)
    log = f"12:00:00 warning: {HOSTILE.splitlines()[0]}\n"
    write_run(folder / "nano" / "a<b>$|`", SCALARS, settings, {"steps": 4}, scores(0.5), scores(0.5), log)
    write_run(folder / "nano" / "2", SCALARS, config(experiment=HOSTILE))
    run([str(folder), "--title", HOSTILE, "--out", str(folder)])
    return folder


def test_hostile_texts_in_markdown(tmp_path: Path) -> None:
    text = (hostile_page(tmp_path) / "report.md").read_text()
    outside = re.sub(r"(?ms)^(`{3,})yaml\n.*?\n\1$", "", text)
    assert text.count("```") >= 2 and outside != text
    assert not re.search(r"(?<!\\)<(?!/?(details|summary)>)", outside)
    outside = re.sub(r"<summary>[^<]*</summary>", "", outside)  # read as HTML
    assert not re.search(r"(?<![\\!])\[", re.sub(r"!\[.*?\]\(\w+\.svg\)", "", outside))
    widths = {}
    for line in outside.splitlines():
        if line.startswith("| "):
            widths.setdefault(len(re.findall(r"(?<!\\)\|", line)), line)
    assert max(widths) <= 8  # no cell has opened another one


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@needs_browser
def test_the_page_shows_everything_and_needs_nothing(tmp_path: Path, tab: Browser) -> None:
    folder = three_runs(tmp_path / "runs")
    run([str(folder), "--out", str(tmp_path / "out")])
    page = tmp_path / "alone.html"
    (tmp_path / "out" / "report.html").rename(page)
    tab.requests.clear()
    tab.errors.clear()
    tab.open(page.as_uri())
    tab.wait("[...document.images].every((image) => image.complete && image.naturalWidth > 400)")
    assert tab.run("document.images.length") == 5
    assert [address for address in tab.requests if not address.startswith("data:")] == [page.as_uri()]
    assert tab.errors == []
    shown = tab.run("document.body.innerText")
    for text in ("3 runs, 2 settings", "50.0 → 68.8 (+18.8 ± 8.8)", "reward and truth part", "RL Training"):
        assert text in shown
    ground = "getComputedStyle(document.body).backgroundColor"
    tab.prefer("light")
    assert tab.run(ground) == "rgb(255, 255, 255)"
    tab.run("document.getElementById('theme').click()")
    assert tab.run(ground) == "rgb(21, 24, 27)"


@needs_browser
def test_hostile_texts_are_shown_and_never_run(tmp_path: Path, tab: Browser) -> None:
    page = hostile_page(tmp_path) / "report.html"
    tab.requests.clear()
    tab.errors.clear()
    tab.open(page.as_uri())
    tab.run("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    assert tab.run("window.ran") is None
    assert [address for address in tab.requests if not address.startswith("data:")] == [page.as_uri()]
    assert tab.errors == []
    assert tab.run("document.scripts.length") == 1
    assert tab.run("document.querySelectorAll('[onerror], main b').length") == 0
    assert "window.ran = 2" in tab.run("document.body.innerText")
