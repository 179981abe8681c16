"""Verdicts that are known already are not run again, and a broken cache harms nothing."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from execution_helpers import as_job

from zerocoder.execution import Job, Limits, ProcessExecutor, Verdict
from zerocoder.execution.cache import VerdictCache, digest
from zerocoder.execution.executor import SANDBOX, code_digest

LIMITS = Limits(cpu_seconds=0.3, cpu_floor=0.1)
RIGHT, ENDLESS = "def f(x): return x + 1", "def f(x):\n    while True: x += 1"
DICE = "import time\ndef f(x): return time.time_ns()"  # never the same twice
TESTS = ["assert f(1) == 2", "for y in [f(2)]: assert y == 3"]


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[ProcessExecutor]:
    with ProcessExecutor(workers=1, limits=LIMITS, cache=tmp_path / "deep" / "verdicts.sqlite") as executor:
        yield executor


def counts(executor: ProcessExecutor) -> tuple[int, int]:
    assert executor.cache is not None
    return executor.cache.num_hits, executor.cache.num_misses


def test_what_is_known_is_not_run(cached: ProcessExecutor) -> None:
    job = as_job([RIGHT, "def f(x): return x", "def f(x): 1 / 0", "def f(x: broken", None], [*TESTS, None])
    [first] = cached.run([job])
    assert counts(cached) == (0, 8)
    cached.close()
    [second] = cached.run([job])
    assert (first == second).all()
    assert counts(cached) == (6, 10)  # what does not compile is settled without running, and not kept


def test_a_known_pass_needs_no_worker(cached: ProcessExecutor) -> None:
    [first] = cached.run([as_job([RIGHT], TESTS)])
    for worker in cached._workers:
        worker.kill()
    [second] = cached.run([as_job([RIGHT, RIGHT], [TESTS[1], TESTS[0]])])
    assert first.tolist() == [[Verdict.PASS] * 2] and second.tolist() == [[Verdict.PASS] * 2] * 2


def test_what_was_cancelled_is_not_known(cached: ProcessExecutor) -> None:
    slow = "def f(x):\n    while x < 2: pass\n    return x + 1"
    job = as_job([slow], ["assert f(0) == 1", "assert f(2) == 3"], limits=replace(LIMITS, cancel_after=1))
    assert cached.run([job])[0].tolist() == [[Verdict.TIMEOUT, Verdict.CANCELLED]]
    assert cached.run([replace(job, cancel=False)])[0].tolist() == [[Verdict.TIMEOUT, Verdict.PASS]]


def test_the_code_that_judges_counts(tmp_path: Path) -> None:
    def folder(name: str, **sources: str) -> str:
        for module, source in sources.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"{module}.py").write_text(source)
        return code_digest(tmp_path / name)

    digests = [folder("a", x="1"), folder("b", x="1"), folder("c", x="2"), folder("d", y="1"), folder("e", x="1", y="")]
    assert digests[0] == digests[1] and len(set(digests)) == 4
    assert code_digest(SANDBOX) and (SANDBOX / "warden.py").exists()


def test_the_content_counts(cached: ProcessExecutor) -> None:
    base = as_job([RIGHT], TESTS[:1])
    cached.run([base])
    others = [
        as_job(["def f(x): return 1 + x"], TESTS[:1]),
        as_job([RIGHT], TESTS[1:]),
        as_job(["f = g = lambda x: x + 1", RIGHT], TESTS[:1], "g"),
        replace(base, limits=replace(LIMITS, memory_mb=100)),
        replace(base, limits=replace(LIMITS, state="process")),
    ]
    hits = counts(cached)[0]
    cached.run(others)
    assert counts(cached)[0] == hits
    cached.run([replace(base, limits=replace(LIMITS, cpu_seconds=0.5)), replace(base, family=True)])
    assert counts(cached)[0] == hits + 2  # it took less than any of these budgets


def test_budgets_decide_which_late_cells_are_known(cached: ProcessExecutor) -> None:
    slow = "import time\ndef f(x):\n    end = time.process_time() + 0.3\n    while time.process_time() < end: pass\n    return x + 1"
    quick, patient = Limits(0.1, cpu_multiple=0), Limits(2, cpu_multiple=0)
    for limits, verdict in [(quick, Verdict.TIMEOUT), (quick, Verdict.TIMEOUT), (patient, Verdict.PASS),
                            (quick, Verdict.TIMEOUT), (patient, Verdict.PASS)]:  # fmt: skip
        [got] = cached.run([as_job([slow], TESTS[:1], limits=limits)])
        assert got.tolist() == [[verdict]]


def test_programs_that_sleep_are_tried_again(cached: ProcessExecutor) -> None:
    job = as_job(["import time\ndef f(x): time.sleep(999)"], TESTS[:1], limits=Limits(0.1))
    for _ in range(2):
        assert cached.run([job])[0].tolist() == [[Verdict.TIMEOUT]]
    assert counts(cached) == (0, 2)


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to look like one" * 99, b"", b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_broken_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "verdicts.sqlite"
    path.write_bytes(content)
    cache = VerdictCache(path)
    cache.put([(digest("a"), (1, 5))])
    assert cache.get([digest("a"), digest("b")]) == {digest("a"): (1, 5)}
    cache.close()


def test_a_folder_that_cannot_be_made_switches_the_cache_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        caplog.at_level(logging.WARNING),
        ProcessExecutor(workers=1, limits=LIMITS, cache=tmp_path / "file" / "verdicts.sqlite") as executor,
    ):
        for _ in range(2):
            assert executor.run([as_job([RIGHT], TESTS)])[0].tolist() == [[Verdict.PASS] * 2]
    assert [record.levelname for record in caplog.records] == ["WARNING"], "it is said once"
    assert "verdicts are not cached" in caplog.text


def test_a_locked_file_costs_no_verdict(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.sqlite"
    VerdictCache(path).put([])
    other = sqlite3.connect(path)
    other.execute("BEGIN EXCLUSIVE")
    with ProcessExecutor(workers=1, limits=LIMITS, cache=path) as executor:
        assert executor.run([as_job([RIGHT], TESTS)])[0].tolist() == [[Verdict.PASS] * 2]
    other.close()


def test_the_size_is_bounded(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path / "verdicts.sqlite", max_mb=1)
    for batch in range(8):
        cache.put((digest(str(batch), str(n)), (1, n)) for n in range(25_000))
    kept = [len(cache.get([digest(str(batch), str(n)) for n in range(0, 25_000, 50)])) for batch in range(8)]
    assert kept[-1] == 500, "the newest are there"
    assert sum(kept) < 0.75 * 8 * 500
    cache.close()
    assert (tmp_path / "verdicts.sqlite").stat().st_size < 8 << 20


def test_another_layout_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.sqlite"
    old = sqlite3.connect(path)
    old.execute("CREATE TABLE cells (other TEXT)")
    old.execute("PRAGMA user_version=77")
    old.commit()
    old.close()
    cache = VerdictCache(path)
    cache.put([(digest("a"), (1, 5))])
    assert cache.get([digest("a")]) == {digest("a"): (1, 5)}
    cache.close()


def test_two_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.sqlite"
    one, other = VerdictCache(path), VerdictCache(path)
    one.put([(digest("a"), (1, 5))])
    other.put([(digest("b"), (2, 6))])
    assert one.get([digest("a"), digest("b")]) == other.get([digest("a"), digest("b")])
    assert digest("ab", "c") != digest("a", "bc")
    one.close()
    other.close()


def test_infra_is_never_kept(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path / "verdicts.sqlite")
    job: Job = as_job([RIGHT], TESTS[:1])
    from zerocoder.execution.progress import Progress

    progress = Progress(job, LIMITS, cache, "")
    progress.write_infra([0])
    progress.finish()
    again = Progress(job, LIMITS, cache, "")
    assert not again.idle
    cache.close()
