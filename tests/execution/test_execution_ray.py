"""Nodes of a real Ray cluster (on this machine): the same matrices, whoever dies in between, and nothing left behind."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execution_helpers import all_gone, as_job, descendants, wait_until
from test_execution_lifecycle import ENDLESS, RIGHT, ROOT, TESTS, WRONG

from zerocoder.compose import load
from zerocoder.execution import Limits, ProcessExecutor, Verdict
from zerocoder.execution.ray import RayExecutor, RayVerifier
from zerocoder.execution.raynodes import NodeSettings
from zerocoder.problems import ZeroCoderError

LIMITS = Limits(cpu_seconds=0.3, memory_mb=256)
HERE = Path(__file__).parent
ADDER = "a, b = map(int, input().split())\nprint(a + b)"
JOBS = [
    as_job([RIGHT, WRONG, ENDLESS, "def f(x): return [", None], [*TESTS, None, "assert f(3) == 4"]),
    as_job([ADDER, "print(3)", "while True: pass", "import os; os._exit(0)"], [("1 2\n", "3\n"), ("2 2", "4")], None),
    *[as_job([RIGHT, f"def f(x): return {k}", ENDLESS], TESTS) for k in range(6)],
    as_job([], TESTS),
]


def settings(isolation: str = "standard") -> NodeSettings:
    return NodeSettings(0, LIMITS, isolation, cache_mb=0, numpy=False)


def at_last(start: Callable[[], Any]) -> Any:
    """Starts a node; once more where Ray gave up after its 15 or 30 seconds, as it does on a busy machine."""
    try:
        return start()
    except Exception as error:
        if "timed out" not in str(error):
            raise
        return start()


class LocalCluster:
    """A head without CPUs and nodes with one each, all processes of this machine."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.store = {"object_store_memory": 80 << 20}
        head = {"num_cpus": 0, "include_dashboard": False, **self.store}
        self.cluster = at_last(lambda: Cluster(initialize_head=True, head_node_args=head))
        self.address: str = self.cluster.address

    def of_nodes(self, count: int) -> list[Any]:
        """Exactly so many nodes with CPUs, started or ended as needed."""
        while len(self.cluster.worker_nodes) < count:
            at_last(lambda: self.cluster.add_node(num_cpus=1, **self.store))
        while len(self.cluster.worker_nodes) > count:
            self.end(next(iter(self.cluster.worker_nodes)))
        return list(self.cluster.worker_nodes)

    def end(self, node: Any) -> None:
        """Kills every process of a node."""
        self.cluster.remove_node(node, allow_graceful=False)

    def executor(self, patience_seconds: float = 30.0, isolation: str = "standard") -> RayExecutor:
        return RayExecutor(settings(isolation), self.address, patience_seconds)

    def family(self) -> list[int]:
        """The actors on all nodes and the processes below them."""
        found = []
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::NodeWorkers"):
                    found += [pid, *descendants(pid)]
        return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    ray = pytest.importorskip("ray", reason="needs the extra `ray`")
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "disabled")  # whatever token the user has for clusters of their own
        local = LocalCluster()
        yield local
        ray.shutdown()
        local.cluster.shutdown()


@pytest.fixture(scope="module")
def truth() -> list[Any]:
    with ProcessExecutor(workers=1, limits=LIMITS) as executor:
        return executor.run(JOBS)


def same(got: list[Any], expected: list[Any]) -> bool:
    return len(got) == len(expected) and all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


def test_a_node_gives_the_matrices_of_this_machine(cluster: LocalCluster, truth: list[Any]) -> None:
    import ray

    cluster.of_nodes(1)
    handler = signal.getsignal(signal.SIGTERM)
    with cluster.executor() as executor:
        level = executor.isolation
        assert level.startswith(("strict: ", "standard: ")) and level.count(os.uname().nodename) == 1
        assert level.endswith(f"of the Ray cluster at {cluster.address}")
        done: list[tuple[int, int]] = []
        got = executor.run(JOBS, lambda index: done.append((index, threading.get_ident())))
        assert same(got, truth)
        assert sorted(done) == [(index, threading.get_ident()) for index in range(len(JOBS))]
        assert np.array_equal(executor.submit(JOBS[0]).result(60), truth[0])
        family = cluster.family()
        assert len(family) >= 4  # an actor and a worker of three processes
    assert wait_until(functools.partial(all_gone, family))
    assert not ray.is_initialized() and signal.getsignal(signal.SIGTERM) is handler
    assert not cluster.family() and all(node.any_processes_alive() for node in cluster.cluster.worker_nodes)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["node", "actor", "workers"])
def test_who_is_killed_in_the_middle_loses_no_verdict(cluster: LocalCluster, truth: list[Any], victim: str) -> None:
    cluster.of_nodes(2)
    killed: list[object] = []

    def kill_once(job: int) -> None:
        if killed:
            return
        if victim == "node":
            killed.append(next(iter(cluster.cluster.worker_nodes)))
            cluster.end(killed[0])
        else:
            actor, *below = cluster.family()
            killed.extend([actor] if victim == "actor" else [pid for pid in below if pid in descendants(actor)])
            for pid in killed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # type: ignore[arg-type]

    with cluster.executor() as executor:
        assert same(executor.run(JOBS, kill_once), truth)
        assert killed
        if victim == "node":
            assert executor.isolation.count(os.uname().nodename) == 1
            cluster.of_nodes(2)  # one joins while the executor is at work
        assert wait_until(lambda: executor.isolation.count(os.uname().nodename) == 2)
        assert same(executor.run(JOBS), truth)


@pytest.mark.slow
def test_without_nodes_there_are_no_verdicts_and_no_hang(
    cluster: LocalCluster, truth: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    cluster.of_nodes(1)
    with cluster.executor(patience_seconds=3.0) as executor:
        waiting = [executor.submit(as_job([ENDLESS, None], [TESTS[0], None], limits=Limits(3600.0, cpu_multiple=0)))]
        assert wait_until(lambda: len(cluster.family()) > 4)  # it runs
        cluster.of_nodes(0)
        waiting += [executor.submit(as_job([RIGHT], TESTS))]
        infra, skipped = Verdict.INFRA, Verdict.SKIPPED
        assert [future.result(60).tolist() for future in waiting] == [
            [[infra, skipped], [skipped, skipped]],
            [[infra, infra]],
        ]
        assert "no node of the cluster has been there for 3 seconds" in caplog.text
        cluster.of_nodes(1)
        assert wait_until(lambda: np.array_equal(executor.run(JOBS[:1])[0], truth[0]))
    cluster.of_nodes(0)
    with pytest.raises(ZeroCoderError, match="no node of the Ray cluster can run programs"):
        cluster.executor(patience_seconds=2.0).start()


@pytest.mark.slow
def test_an_interrupt_ends_what_runs_and_nothing_else(cluster: LocalCluster, truth: list[Any]) -> None:
    def interrupt(job: int) -> None:
        raise KeyboardInterrupt

    cluster.of_nodes(1)
    with cluster.executor() as executor:
        endless = as_job([ENDLESS] * 2, TESTS, limits=Limits(3600.0, cpu_multiple=0))
        with pytest.raises(KeyboardInterrupt):
            executor.run([as_job([RIGHT], TESTS), endless, endless, endless], interrupt)
        running, queued = executor.submit(endless), [executor.submit(endless) for _ in range(4)]
        actors = cluster.family()
        assert all(future.cancel() for future in [running, *queued])
        assert same(executor.run(JOBS), truth)  # the only worker is free again, on the same actor
        assert cluster.family()[0] == actors[0]
        left = executor.submit(endless)
    assert left.cancelled()
    with pytest.raises(KeyboardInterrupt), executor:  # closed, it can be used again
        executor.run([as_job([RIGHT], TESTS), endless], interrupt)


CTRL_C = """
import sys
sys.path[:0] = [{root!r}, {here!r}]
from test_execution_ray import *
with RayExecutor(settings(), {address!r}) as executor:
    print(executor.isolation, flush=True)
    executor.run([as_job([ENDLESS], TESTS, limits=Limits(3600.0, cpu_multiple=0))] * 2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_the_trainers_death(cluster: LocalCluster, number: signal.Signals) -> None:
    cluster.of_nodes(1)
    source = CTRL_C.format(root=ROOT, here=str(HERE), address=cluster.address)
    with subprocess.Popen(
        [sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as trainer:
        assert trainer.stdout is not None and trainer.stderr is not None
        assert cluster.address in trainer.stdout.readline()
        assert wait_until(lambda: len(cluster.family()) > 4)  # it runs something
        os.killpg(trainer.pid, number)
        said = trainer.stderr.read()
        assert trainer.wait(30) == -number
    assert number == signal.SIGKILL or "KeyboardInterrupt" in said
    assert wait_until(lambda: not cluster.family())
    assert all(node.any_processes_alive() for node in cluster.cluster.worker_nodes)


LESSER_NODE = """
import os, sys
from lesser_host import become_ordinary
become_ordinary(namespaces=False)
os.execv(sys.executable, [sys.executable, "-m", "ray.scripts.scripts", "start", "--address={address}", "--num-cpus=1",
                          "--object-store-memory=80000000", "--block"])
"""


@pytest.mark.slow
def test_a_node_below_the_floor_is_refused_by_name(cluster: LocalCluster) -> None:
    """One node of two is started where namespaces cannot be made."""
    import ray

    cluster.of_nodes(1)
    with cluster.executor() as executor:
        if not executor.isolation.startswith("strict"):
            pytest.skip("this host gives no more than standard itself")
    with subprocess.Popen([sys.executable, "-c", LESSER_NODE.format(address=cluster.address)], cwd=HERE,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True) as lesser:  # fmt: skip
        try:
            with cluster.executor() as executor:
                if not wait_until(lambda: executor.isolation.startswith("standard: ")):
                    lesser.kill()
                    pytest.skip(f"no lesser node can be made here: {lesser.communicate()[1][-200:]}")
                assert "more on 1 other nodes" in executor.isolation
                weak = next(node for node in ray.nodes() if node["Alive"] and node["NodeID"][:8] in executor.isolation)
            with pytest.raises(ZeroCoderError, match="namespaces cannot be entered") as refused:
                cluster.executor(isolation="strict").start()
            assert weak["NodeID"][:8] in str(refused.value) and "\n" not in str(refused.value)
        finally:
            os.killpg(lesser.pid, signal.SIGKILL)
    assert not cluster.family()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workers": -1}, "verifier.workers"),
        ({"isolation": "docker"}, "verifier.isolation"),
        ({"cpu_seconds": 0}, "verifier.cpu_seconds"),
        ({"address": ""}, "verifier.address is empty"),
        ({"patience_seconds": 0.0}, "verifier.patience_seconds is 0"),
        ({"patience_seconds": float("inf")}, "verifier.patience_seconds is inf"),
    ],
)
def test_settings_out_of_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        RayVerifier(**values)


def test_the_config_group_chooses_the_executor() -> None:
    config = load(["verifier=ray", "verifier.address=head:6379", "verifier.patience_seconds=5"])
    assert config.verifier == RayVerifier(address="head:6379", patience_seconds=5.0)
    assert isinstance(config.verifier.build(), RayExecutor)
    assert isinstance(load([]).verifier.build(), ProcessExecutor)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "no address"])
def test_a_cluster_that_is_not_there_is_told_at_once(address: str) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    with pytest.raises(ZeroCoderError, match=f"verifier.address={address}: cannot connect") as error:
        RayVerifier(address=address).build().start()
    assert "\n" not in str(error.value)


def test_ray_is_loaded_at_first_use_and_missed_with_a_remedy() -> None:
    source = (
        f"import sys\nsys.path.insert(0, {ROOT!r})\n"
        "import zerocoder.execution, zerocoder.execution.ray as own\nassert 'ray' not in sys.modules\n"
        "sys.modules['ray'] = None\n"
        "try:\n    own.RayVerifier().build().start()\nexcept own.ZeroCoderError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert done.stdout == "verifier=ray needs Ray: pip install -e '.[ray]'\n", done.stderr
