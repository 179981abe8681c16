"""Workers as processes: started once, replaced when they die, gone after close, whatever happens in between."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from execution_helpers import all_gone, as_job, computing, descendants, forked, names, wait_until

from zerocoder.execution import Limits, ProcessExecutor, Verdict, VerifierConfig
from zerocoder.problems import ZeroCoderError

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
RIGHT, WRONG, ENDLESS = "def f(x): return x + 1", "def f(x): return x", "def f(x):\n    while True: x += 1"
TESTS = ["assert f(1) == 2", "for y in [f(2)]: assert y == 3"]
LIMITS = Limits(cpu_seconds=0.2)
ROOT = str(Path(__file__).parents[2])


def passes(executor: ProcessExecutor) -> bool:
    [verdicts] = executor.run([as_job([RIGHT, WRONG], TESTS, limits=LIMITS)])
    return bool((verdicts == [[Verdict.PASS] * 2, [Verdict.FAIL] * 2]).all())


@LINUX
def test_close_leaves_no_process_and_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    executor = ProcessExecutor(workers=2)
    assert descendants(executor._owner) == [] or not executor._workers  # nothing starts before it is needed
    for _ in range(2):  # and a closed executor can be used again
        assert passes(executor)
        family = [pid for worker in executor._workers for pid in [worker.pid, *descendants(worker.pid)]]
        assert len(family) >= 4
        executor.run([as_job([ENDLESS], TESTS, limits=LIMITS), as_job([RIGHT] * 3, [("1", "2")], limits=LIMITS)])
        executor.close()
        assert wait_until(functools.partial(all_gone, family))
        assert len(os.listdir("/proc/self/fd")) == before
    executor.close()


@LINUX
def test_a_dropped_executor_ends_its_workers() -> None:
    executor = ProcessExecutor(workers=1)
    assert passes(executor)
    family = descendants(executor._workers[0].pid)
    del executor
    assert wait_until(lambda: all_gone(family))


@LINUX
def test_many_runs_open_nothing(executor: ProcessExecutor) -> None:
    job = as_job([RIGHT, "import os\ndef f(x): os._exit(0)", "def f(x: 1"], [*TESTS, ("", "")], limits=LIMITS)
    executor.run([job] * 4)
    descriptors = len(os.listdir("/proc/self/fd"))
    executor.run([job] * 40)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    # below each guard only its warden and zygote: runners, judges and planners have ended
    assert wait_until(lambda: all(len(descendants(worker.pid)) == 2 for worker in executor._workers))


@LINUX
@pytest.mark.parametrize("member", [0, 1, 2], ids=["guard", "warden", "zygote"])
def test_a_killed_worker_loses_no_verdict(member: int) -> None:
    """Every worker is killed in the middle of a batch; the matrices are those of an undisturbed run."""
    jobs = [as_job([RIGHT, f"def f(x): return {k}", ENDLESS], TESTS, limits=Limits(0.3)) for k in range(4)]
    with ProcessExecutor(workers=2) as executor:
        expected = executor.run(jobs)
        pids = [worker.pid for worker in executor._workers]
        killed: list[int] = []

        def kill_all_once(job: int) -> None:
            if not killed:
                for worker in list(executor._workers):  # the driver takes lost ones out
                    family = [worker.pid, *descendants(worker.pid)]
                    os.kill(family[member], signal.SIGKILL)
                    killed.append(family[member])

        got = executor.run(jobs, kill_all_once)
        assert len(killed) == 2
        assert all((a == b).all() for a, b in zip(got, expected, strict=True))
        assert not set(pids) & {worker.pid for worker in executor._workers}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("test", ["assert f(1) == 2", "for y in [f(1)]: assert y == 2", ("1", "2")])
def test_a_killed_runner_says_nothing_about_its_program(test: str | tuple[str, str], times: int) -> None:
    """As a system that is out of memory kills: the cell is run again once, and then our failure, not the program's."""
    source = "import time\ndef f(x):\n    while time.process_time() < 0.3: pass\n    return x + 1"
    source += "\nif __name__ == '__main__': print(f(int(input())))"
    with ProcessExecutor(workers=1, limits=Limits(cpu_seconds=2, cpu_multiple=0)) as executor:
        if executor.isolation.partition(":")[0] not in ("strict", "standard"):
            pytest.skip("programs can kill themselves here")
        [worker] = executor._workers
        future = executor.submit(as_job([source], [test]))
        known: set[int] = set()
        for _ in range(times):
            assert wait_until(lambda: bool(computing(worker.pid) - known))
            known.update(victims := forked(worker.pid))
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert names(future.result(20)) == [["PASS" if times == 1 else "INFRA"]]


@LINUX
@pytest.mark.parametrize("member", [0, 1, 2], ids=["guard", "warden", "zygote"])
def test_the_only_worker_may_die_while_it_has_nothing_to_do(member: int) -> None:
    with ProcessExecutor(workers=1) as executor:
        for _ in range(2):
            assert executor.submit(as_job([RIGHT], TESTS)).result(30).tolist() == [[Verdict.PASS] * 2]
            assert wait_until(lambda: executor._workers[0].held is None)  # it has been told to rest
            family = [executor._workers[0].pid, *descendants(executor._workers[0].pid)]
            os.kill(family[member], signal.SIGKILL)
            assert wait_until(lambda family=family: all_gone(family[member or 1 :]))  # type: ignore[misc]


@LINUX
def test_what_kills_workers_twice_is_infra_and_harms_no_neighbour() -> None:
    with ProcessExecutor(workers=1) as executor:
        assert passes(executor)
        kills = 0
        stop = threading.Event()

        def assassin() -> None:
            nonlocal kills
            while not stop.is_set() and kills < 2:
                victims = [worker for worker in list(executor._workers) if len(descendants(worker.pid)) >= 3]
                if victims and not stop.wait(0.3):  # it runs something, and still does
                    os.kill(victims[0].pid, signal.SIGKILL)
                    kills += 1
                    time.sleep(0.2)

        thread = threading.Thread(target=assassin)
        thread.start()
        [verdicts] = executor.run([as_job([ENDLESS, RIGHT], [TESTS[0]], limits=Limits(cpu_seconds=8, cpu_multiple=0))])
        stop.set()
        thread.join()
        assert verdicts[:, 0].tolist() == [Verdict.INFRA, Verdict.PASS]
        assert passes(executor)


@LINUX
def test_workers_outlive_the_thread_that_started_them() -> None:
    with ProcessExecutor(workers=1) as executor:
        thread = threading.Thread(target=passes, args=(executor,))
        thread.start()
        thread.join()
        pids = [worker.pid for worker in executor._workers]
        assert passes(executor)
        assert [worker.pid for worker in executor._workers] == pids


def test_threads_take_turns(executor: ProcessExecutor) -> None:
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(passes(executor))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4


def test_an_exception_of_the_callback_leaves_a_working_executor(executor: ProcessExecutor) -> None:
    def interrupt(job: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.run([as_job([RIGHT], TESTS), as_job([ENDLESS], TESTS)], interrupt)
    assert passes(executor)


CTRL_C = """
import os, signal, sys
sys.path[:0] = [{root!r}, {here!r}]
from test_execution_lifecycle import *
executor = ProcessExecutor(workers=2)
assert passes(executor)
assert wait_until(lambda: len(descendants(os.getpid())) == 6)
print(json.dumps(descendants(os.getpid())), flush=True)
try:
    executor.run([as_job([ENDLESS], TESTS, limits=Limits(cpu_seconds=10, cpu_multiple=0))] * 2)
except KeyboardInterrupt:
    print(passes(executor), flush=True)
executor.close()
print(descendants(os.getpid()), flush=True)
"""


@LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_the_trainers_death(number: signal.Signals) -> None:
    """SIGINT goes to the whole process group, as from a terminal; after SIGKILL nobody is left to clean up."""
    source = CTRL_C.format(root=ROOT, here=str(Path(__file__).parent))
    with subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as trainer:
        assert trainer.stdout is not None
        assert len(json.loads(trainer.stdout.readline())) >= 6  # two workers of three processes
        assert wait_until(lambda: len(descendants(trainer.pid)) > 6)
        family = descendants(trainer.pid)
        os.killpg(trainer.pid, number)
        rest = trainer.stdout.read().split("\n")
        assert trainer.wait(30) == (0 if number == signal.SIGINT else -signal.SIGKILL)
    if number == signal.SIGINT:
        assert rest == ["True", "[]", ""]
    assert wait_until(lambda: all_gone(family))


@LINUX
def test_a_forked_copy_of_the_trainer_has_workers_of_its_own(executor: ProcessExecutor) -> None:
    assert passes(executor)
    source = (
        f"import os, sys\nsys.path[:0] = [{ROOT!r}, {str(Path(__file__).parent)!r}]\n"
        "from test_execution_lifecycle import *\n"
        "executor = ProcessExecutor(workers=1)\nassert passes(executor)\npid = os.fork()\nok = passes(executor)\n"
        "if pid == 0:\n    executor.close()\n    os._exit(0 if ok else 1)\n"
        "assert os.waitpid(pid, 0)[1] == 0 and ok and passes(executor)\nexecutor.close()\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", source], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_same_matrix_every_time() -> None:
    programs = [RIGHT, WRONG, ENDLESS, "import random\ndef f(x): return x + (random.random() > 0.5)",
                "def f(x): return len(str({'a', 'b', 'c', x})) % 3"]  # fmt: skip
    jobs = [as_job(programs, [f"assert f({n}) == {n + 1}" for n in range(3)], limits=Limits(0.3)) for _ in range(2)]
    matrices = []
    for workers in (1, 2):
        with ProcessExecutor(workers=workers) as executor:
            matrices += executor.run(jobs)
    assert all(np.array_equal(matrices[0], other) for other in matrices)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot crowd one core")
def test_a_starved_program_is_not_taken_for_one_that_sleeps() -> None:
    """One core for forty busy processes: a right program takes longer by the clock than sleepers are waited for."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    busy = [
        subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"], start_new_session=True) for _ in range(40)
    ]
    slow = "import time\ndef f(x):\n    end = time.process_time() + 0.15\n    while time.process_time() < end: pass\n    return x + 1"
    try:
        with ProcessExecutor(workers=1) as executor:
            [verdicts] = executor.run([as_job([slow], TESTS[:1], limits=Limits(cpu_seconds=0.4, cpu_multiple=0))])
    finally:
        for process in busy:
            process.kill()
            process.wait()
        os.sched_setaffinity(0, cores)
    assert verdicts.tolist() == [[Verdict.PASS]]


@pytest.mark.parametrize("name", ["cpu_seconds", "memory_mb", "output_kb"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "1", None, True])
def test_limits_out_of_range(name: str, value: object) -> None:
    with pytest.raises(ZeroCoderError, match=name):
        Limits(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"workers": -1},
        {"workers": 1.5},
        {"cpu_seconds": 0},
        {"memory_mb": -3},
        {"memory_mb": 10**13},
        {"isolation": "docker"},
    ],
)
def test_config_out_of_range(settings: dict[str, object]) -> None:
    with pytest.raises(ZeroCoderError, match=next(iter(settings))):
        VerifierConfig(**settings).build()  # type: ignore[arg-type]


def test_config_builds_an_executor() -> None:
    with VerifierConfig(workers=1, cpu_seconds=0.3).build() as executor:
        assert [m.tolist() for m in executor.run([as_job([RIGHT], TESTS)])] == [[[Verdict.PASS, Verdict.PASS]]]


def test_importing_needs_no_model() -> None:
    code = "import sys; import zerocoder.execution; print({'torch', 'transformers', 'lightning'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "set()\n", done.stderr
