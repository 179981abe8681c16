"""The verifier's benchmarks run, and what they compute is right; how fast anything is, is not asserted."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import peers, processes, schedule, soak_verifier, subject, verifier, workloads
from benchmarks.parts import PARTS, Settings
from benchmarks.report import Figure, Report
from zerocoder.execution import Limits, Verdict
from zerocoder.mutation import mutants
from zerocoder.problems import ZeroCoderError

ROOT = Path(__file__).parents[2]
RIGHT_TESTS = [True, True, True, False, True, True, True, False]


def tiny() -> Settings:
    return Settings(
        cpu_seconds=0.2, rounds=1, num_problems=1, copies=1, peer_cells=2, sampled_cells=2, load_runs=1,
        memory_seconds=0.0,
    )  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_each_part_runs_and_is_exact(part: str) -> None:
    report = Report()
    PARTS[part](tiny(), report)
    found = json.loads(json.dumps(report.as_json()))
    assert found["exact"] is True
    assert found["figures"] and all(figure["values"] for figure in found["figures"])
    assert any(entry["required"] and entry["num_runs"] for entry in found["matrices"])
    assert not [process for process in processes.descendants() if "Z" in process.state]


def test_the_command_writes_its_figures(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/verifier.py", "--quick", "--parts", "memory", "--workers", "1"]
    done = subprocess.run([*command, "--json", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "a worker, idle" in done.stdout
    assert json.loads(file.read_text())["facts"]["workers"] == 1


@pytest.mark.parametrize(
    ("argv", "told"),
    [(["--parts", "peers,steps"], "steps"), (["--rounds", "0"], "--rounds is 0"), (["--shared", "no.py"], "no.py")],
)
def test_mistakes_are_told_in_one_line(argv: list[str], told: str) -> None:
    with pytest.raises(ZeroCoderError, match=told):
        verifier.main(argv)


def test_truth_of_right_programs_is_the_right_tests() -> None:
    workload = workloads.mixed()
    assert workload.num_cells == 512
    for problem in workload.problems:
        for row in (0, 3, 5):  # the right program, itself talkative, itself slow
            assert problem.truth[row].tolist() == RIGHT_TESTS, problem.name
        assert not problem.truth[4].all()
        assert not problem.truth[list(problem.endless)].any()
    assert sum(len(problem.endless) for problem in workload.problems) == 4  # one of 16 programs
    assert workloads.mixed(endless=False).num_cells == 480


def test_no_two_workloads_share_a_program() -> None:
    dumps = [
        ast.dump(ast.parse(program))
        for workload in (workloads.mixed(2, salt="a"), workloads.mixed(1, salt="b"), workloads.literal(2, "a"))
        for problem in workload.problems
        for program in problem.programs
        if "def rotate(xs, k):\nreturn" not in program  # no Python
    ]
    assert len(set(dumps)) == len(dumps)


def test_each_right_program_has_a_step_worth_of_mutants_and_keeps_its_mark() -> None:
    for problem in workloads.mixed().problems:
        found = mutants(problem.programs[0], 100)
        mark = problem.programs[0].partition("\n")[0]
        assert len(found) >= 13, problem.name
        assert all(mutant.startswith(mark) for mutant in found)


def test_wrong_cells_are_named() -> None:
    workload = workloads.literal(2)
    matrices = [np.where(problem.truth, Verdict.PASS, Verdict.FAIL).astype(np.int8) for problem in workload.problems]
    matrices[0][3, 3], matrices[1][2, 5] = Verdict.TIMEOUT, Verdict.PASS
    assert subject.wrong_cells(workload, matrices) == ["literal#0[3][3] TIMEOUT", "literal#1[2][5] PASS"]


def test_a_workload_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "given.py"
    file.write_text(
        "def workload(scale, loop, timeout):\n"
        "    return [{'id': 'p', 'entry_point': 'f', 'solutions': ['def f(): return 1'], 'tests': ['assert f() == 1',"
        " 'assert f() == 2']}] * scale, [[[True, False]]] * scale\n"
    )
    workload = workloads.from_file(file, 2)
    assert [problem.truth.tolist() for problem in workload.problems] == [[[True, False]]] * 2
    with subject.new_executor(1, subject.limits_of(0.5), "none") as executor:
        assert subject.wrong_cells(workload, subject.verdicts(executor, workload)) == []


@pytest.mark.parametrize("way", [*peers.available(), peers.IN_PROCESS, peers.FORKED_PROGRAMS])
def test_peers_agree_with_the_truth(way: str) -> None:
    cells = workloads.mixed(endless=False, num_problems=2).cells()[:64:13]
    reading = peers.run(way, cells, 2, 60.0)
    assert (reading.num_cells, reading.num_wrong) == (5, 0)


def test_a_replay_does_the_work_that_was_recorded() -> None:
    jobs = subject.jobs(workloads.mixed(num_problems=1))
    limits = Limits(cpu_seconds=0.05)
    costs = schedule.recorded(jobs, limits, "none")
    assert set(costs[0]) == {None, *range(8)}
    outcomes = [outcome for rounds in costs[0].values() for outcome in rounds]
    work = sum(outcome.seconds for outcome in outcomes)
    one, many = (schedule.replay(jobs * 3, limits, costs * 3, workers) for workers in (1, 4))
    assert one.busy_seconds == pytest.approx(3 * work) == many.busy_seconds
    assert one.seconds >= one.busy_seconds
    assert many.seconds >= max(many.busy_seconds / 4, max(outcome.seconds for outcome in outcomes))


def test_goals_are_held_against_the_median() -> None:
    assert Figure("p", "n", (1.0, 9.0, 5.0), "x", at_least=5.0).holds is True
    assert Figure("p", "n", (1.0, 9.0, 5.1), "x", at_most=5.0).holds is False
    assert Figure("p", "n", (1.0,), "x").holds is None


def test_growth_is_the_slope_of_the_second_half() -> None:
    def census(step: int, workers: int) -> soak_verifier.Census:
        return soak_verifier.Census(step, 0.0, 0, 0, 0, 0, 0, workers, 0, 0, 0, 0)

    # steep at first, then 2 KB a step
    censuses = [census(100 * i, 10_000_000 * i if i < 10 else 10**9 + 204_800 * i) for i in range(20)]
    found = soak_verifier.growth(censuses, lambda c: c.workers)
    assert found is not None
    assert found.per_thousand == pytest.approx(2048 * 1000)
    assert not found.holds  # 1.8 MB
    flat = soak_verifier.growth([census(i, 10**9) for i in range(20)], lambda c: c.workers)
    assert flat is not None and flat.holds and flat.rise == 0
    assert soak_verifier.growth(censuses[:4], lambda c: c.workers) is None


def test_processes_are_seen_with_their_memory_and_cpu_time() -> None:
    before = processes.cpu_seconds()
    code = "import time, sys\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdin is not None
        child.stdout.read(1)
        assert child.pid in [process.pid for process in processes.descendants()]
        assert processes.cpu_seconds() - before > 0.28
        memory = processes.memory([child.pid])
        assert 0 < memory.num_bytes <= processes.resident_bytes([child.pid])
        assert processes.num_descriptors([child.pid]) >= 3
    assert processes.memory([child.pid]).num_bytes == 0
    assert processes.cpu_seconds() - before > 0.28  # now as a reaped child


def test_cgroups_are_those_below_our_own(tmp_path: Path) -> None:
    for folder in (
        "memory/a/mine/left",
        "memory/a/neighbour",
        "cpu/theirs",
        "unified/user/scope/left",
        "unified/other",
    ):
        (tmp_path / folder).mkdir(parents=True)
    own = "4:memory:/a/mine\n3:cpu,cpuacct:/none\n1:name=systemd:/\n0::/user/scope\n"
    mounts = f"tmpfs {tmp_path} tmpfs rw 0 0\n"
    mounts += (
        f"cgroup {tmp_path}/memory cgroup rw,relatime,memory 0 0\ncgroup {tmp_path}/cpu cgroup rw,cpu,cpuacct 0 0\n"
    )
    mounts += f"cgroup2 {tmp_path}/unified cgroup2 rw 0 0\n"
    found = processes.cgroups_below(own, mounts)
    assert found == {f"{tmp_path}/memory/a/mine/left", f"{tmp_path}/unified/user/scope/left"}


SOAK = ["benchmarks/soak_verifier.py", "--workers", "1", "--problems", "1", "--cpu-seconds", "0.3"]


def test_a_short_soak_run_leaves_nothing_behind() -> None:
    command = [sys.executable, *SOAK, "--steps", "4", "--kill-every", "2", "--sample-seconds", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 steps" in done.stdout
    assert "no process, descriptor, file or cgroup" in done.stdout


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_soak_run_that_is_ended_early_sums_up(sent: signal.Signals, status: int) -> None:
    command = [sys.executable, "-u", *SOAK, "--steps", "1000000"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as soak:
        assert soak.stdout is not None
        assert "1 steps" in soak.stdout.readline()
        started = processes.descendants(soak.pid)
        soak.send_signal(sent)
        assert "left behind (0)" in soak.stdout.read()
    assert soak.returncode == status
    assert started and not [process for process in started if Path(f"/proc/{process.pid}").exists()]


def test_a_killed_benchmark_takes_its_neighbours_along() -> None:
    code = "import sys; sys.path.insert(0, '.'); from benchmarks import processes\nwith processes.busy_neighbours(2):\n"
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}    print(flush=True); sys.stdin.read()"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as benchmark:  # fmt: skip
        assert benchmark.stdout is not None
        benchmark.stdout.read(1)
        neighbours = [process.pid for process in processes.descendants(benchmark.pid)]
        benchmark.kill()
    assert len(neighbours) == 2
    deadline = time.monotonic() + 60
    while any(_alive(pid) for pid in neighbours):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
