"""How a command becomes several ranks, and how they end together.

`trainer.devices=4` starts four processes of the same command line; under torchrun or `srun` the processes are there
already and find their places. The launcher holds no model: it starts ranks, passes interrupts on, and when one rank
fails it says which and why and stops the others, so that none waits for a rank that is gone.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from zerocoder import world as ranks
from zerocoder.config import TrainerConfig
from zerocoder.console import console
from zerocoder.execution import Executor, VerifierConfig
from zerocoder.execution.shared import ExecutorServer, SharedExecutor
from zerocoder.exits import INTERRUPTED, MISTAKE, told
from zerocoder.problems import ZeroCoderError
from zerocoder.world import World

LAUNCHER = "ZEROCODER_LAUNCHER"
"""In the environment of a rank that `start` started: a file descriptor that ends with the launcher, and its folder."""
LOST = 75
"""The status of a rank that ended because another one was gone."""
SETTLE_SECONDS = 2.0
"""After a rank failed, the others have so long to end by themselves, as they do when an exchange breaks off."""
LAST_STEP_SECONDS = 600.0
"""The same after an interrupt, when they may be writing a checkpoint."""
GRACE_SECONDS = 5.0
"""Between SIGTERM and SIGKILL."""
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_SECONDS = 0.05
_TAIL = 40  # lines of a failed rank's output


def place(trainer: TrainerConfig) -> World | None:
    """This process's place among ranks that were started already; None where nobody started any.

    Raises ZeroCoderError on rank 0 where the number of ranks is not the settings', and ends the others.
    """
    env = os.environ
    if {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"} <= env.keys():
        size, local_size = int(env["WORLD_SIZE"]), int(env["LOCAL_WORLD_SIZE"])
        world = World(int(env["RANK"]), size, int(env["LOCAL_RANK"]), local_size, size // local_size)
        by = "torchrun --nproc-per-node"
    elif int(env.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        world, by = _slurm_place(), "srun --ntasks-per-node"
    else:
        return None
    if (world.local_size, world.num_nodes) != (trainer.devices, trainer.num_nodes):
        if not world.is_main:
            raise SystemExit(MISTAKE)  # rank 0 says it
        raise ZeroCoderError(
            f"trainer.devices={trainer.devices} on trainer.num_nodes={trainer.num_nodes} does not fit the {world.size} "
            f"processes that were started: set trainer.devices={world.local_size} trainer.num_nodes={world.num_nodes}, "
            f"or {by}={trainer.devices} on {trainer.num_nodes} nodes"
        )
    return world


def _slurm_place() -> World:
    """The place of a task of `srun`. Numbered node by node, also where Slurm deals tasks out in turns."""
    from lightning.fabric.plugins.environments import SLURMEnvironment

    env = os.environ
    slurm = SLURMEnvironment(auto_requeue=False)
    os.environ.update(MASTER_ADDR=slurm.main_address, MASTER_PORT=str(slurm.main_port), NODE_RANK=env["SLURM_NODEID"])
    size, num_nodes = int(env["SLURM_STEP_NUM_TASKS"]), int(env["SLURM_STEP_NUM_NODES"])
    local_rank, local_size = int(env["SLURM_LOCALID"]), size // num_nodes
    return World(int(env["SLURM_NODEID"]) * local_size + local_rank, size, local_rank, local_size, num_nodes)


def by_us() -> bool:
    """Whether `start` started this rank: its launcher has checked the settings and tells what fails."""
    return LAUNCHER in os.environ


@contextmanager
def joined(world: World, cuda: bool) -> Iterator[World]:
    """One rank at work among the others; only rank 0 talks to the terminal.

    A rank that fails because another is gone ends with status LOST and one line: the cause is told elsewhere. A rank
    that fails ends at once, whatever its threads and its connections to the others wait for.
    """
    if by_us():
        threading.Thread(target=_end_with_launcher, daemon=True).start()
    console.quiet = not world.is_main
    try:
        yield ranks.init(world, cuda)
        world.barrier()
        ranks.leave()
    except BaseException as error:
        if world.size == 1 or isinstance(error, SystemExit):
            raise
        _end_at_once(world, error)


def _end_at_once(world: World, error: BaseException) -> NoReturn:
    if ranks.rank_is_lost(error):
        status = LOST
        if not by_us():  # else the launcher names the rank
            print(f"rank {world.rank} ends: another rank is gone", file=sys.stderr)
    else:
        status = told(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end_with_launcher() -> None:
    """Nobody would stop this rank when the launcher is gone."""
    lifeline, folder = _launcher()
    os.read(lifeline, 1)  # nothing is ever written: it ends
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(128 + signal.SIGKILL)


def _launcher() -> tuple[int, Path]:
    """The file descriptor that ends with the launcher, and the launcher's folder."""
    lifeline, _, folder = os.environ[LAUNCHER].partition(":")
    return int(lifeline), Path(folder)


def tell_run(run: Path) -> None:
    """Tell the launcher where the run's folder is, so that it can say how to go on."""
    if by_us():
        (_launcher()[1] / "run").write_text(str(run), encoding="utf-8")


@contextmanager
def node_executor(verifier: VerifierConfig, world: World) -> Iterator[Executor]:
    """One verifier a machine: its first rank has the workers, the others submit to it."""
    if world.local_size == 1:
        with verifier.build() as executor:
            yield executor
        return
    with ExitStack() as stack:
        offer = None
        if world.is_local_main:
            # An executor divides the cores among the processes of the machine; this one serves them all.
            share = os.environ.pop("LOCAL_WORLD_SIZE", None)
            executor = stack.enter_context(verifier.build())
            if share is not None:
                os.environ["LOCAL_WORLD_SIZE"] = share
            offer = stack.enter_context(ExecutorServer(executor, _launcher()[1] if by_us() else None)).offer
        served = world.gather(offer)[world.rank - world.local_rank]
        if not world.is_local_main:
            assert served is not None  # the first rank of this machine serves
            executor = stack.enter_context(SharedExecutor(*served))
        yield executor
        world.barrier()  # nobody closes what another may still need


def start(trainer: TrainerConfig) -> int:
    """Start this very command once for each of `trainer.devices`, wait for all, return the exit status.

    That is 0, or the status of the rank that failed first; 128 + signal where it was killed.
    """
    if trainer.num_nodes > 1:
        raise ZeroCoderError(
            f"trainer.num_nodes={trainer.num_nodes}: every node starts its own part, by `torchrun --nnodes="
            f"{trainer.num_nodes} --nproc-per-node={trainer.devices} --rdzv-backend=c10d --rdzv-endpoint=<first node>"
            f":29500 {sys.argv[0]} <settings>` on each, or by one `srun` for all (docs/ranks.md)"
        )
    with tempfile.TemporaryDirectory(prefix="zerocoder-ranks-") as folder:
        return _Ranks(trainer.devices, Path(folder)).run()


class _Ranks:
    """The processes of one start. Rank 0 keeps the terminal; the others write to files that are shown at need."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.ended: list[int] = []  # ranks in the order in which they ended
        self.signals: list[int] = []  # that were passed on
        self.stopped: list[int] = []  # ranks that we ended

    def run(self) -> int:
        lifeline, held = os.pipe()
        heard = [n for n in PASSED_ON if signal.getsignal(n) is not signal.SIG_IGN]  # not under nohup
        before = {n: signal.signal(n, self._pass_on) for n in heard}
        try:
            port = _free_port()
            for rank in range(self.number):
                self.processes.append(self._start(rank, port, lifeline))
            os.close(lifeline)
            while len(self.ended) < self.number and not self._failed():
                self._look()
            self._stop_the_others()
        finally:
            self._kill()
            os.close(held)
            for number, handler in before.items():
                signal.signal(number, handler)
        return self._verdict()

    def _start(self, rank: int, port: int, lifeline: int) -> subprocess.Popen[bytes]:
        """A process group of its own, so that all it starts can be ended with it."""
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": self.number, "LOCAL_WORLD_SIZE": self.number}
        shared = {"NODE_RANK": 0, "GROUP_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        env = {
            "OMP_NUM_THREADS": str(max(1, _num_cores() // self.number)),
            **os.environ,
            **{key: str(value) for key, value in {**place, **shared}.items()},
            LAUNCHER: f"{lifeline}:{self.folder}",
        }
        output: IO[bytes] | None = self._log(rank).open("wb") if rank else None
        try:
            return subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(lifeline,),
                process_group=0,
            )
        finally:
            if output is not None:
                output.close()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """The first signal lets the ranks end in order, the second one ends them."""
        self.signals.append(number)
        for process in self.processes:
            if process.poll() is None:
                if len(self.signals) == 1:
                    process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
                else:
                    _kill_group(process)

    def _look(self) -> None:
        """Note who has ended, after a moment's sleep."""
        time.sleep(_POLL_SECONDS)
        gone = [r for r, p in enumerate(self.processes) if p.poll() is not None and r not in self.ended]
        # A rank that lost another one may be seen in the same moment as the one it lost.
        self.ended += sorted(gone, key=lambda rank: self._status(rank) == LOST)

    def _failed(self) -> bool:
        return any(self._status(rank) for rank in self.ended)

    def _stop_the_others(self) -> None:
        self._wait(LAST_STEP_SECONDS if self.signals else SETTLE_SECONDS)
        self.stopped = [rank for rank in range(self.number) if rank not in self.ended]
        for rank in self.stopped:
            self.processes[rank].terminate()
        self._wait(GRACE_SECONDS)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while len(self.ended) < self.number and time.monotonic() < end and len(self.signals) < 2:
            self._look()

    def _kill(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                _kill_group(process)
            process.wait()

    def _status(self, rank: int) -> int:
        status = self.processes[rank].returncode
        return 128 - status if status < 0 else status  # killed by signal -status

    def _verdict(self) -> int:
        """The run's status; says what the terminal has not shown yet."""
        failed = [rank for rank in self.ended if self._status(rank) and rank not in self.stopped]
        if not failed:
            return 128 + signal.SIGKILL if self.stopped else 0
        cause = next((rank for rank in failed if self._status(rank) != LOST), failed[0])
        status = self._status(cause)
        if self.signals:
            return 128 + self.signals[0]
        if status == INTERRUPTED:
            return status
        if status == MISTAKE:
            if 0 not in failed or self._status(0) != MISTAKE:  # else the terminal has it
                print(self._tail(cause, 1), file=sys.stderr)
        elif self.processes[cause].returncode < 0:
            name = signal.Signals(-self.processes[cause].returncode).name
            why = " (the system does that when memory runs out)" if name == "SIGKILL" else ""
            self._show_output(cause)
            print(f"error: rank {cause} was killed by {name}{why}; the other ranks were stopped", file=sys.stderr)
        else:
            self._show_output(cause)
            print(f"error: rank {cause} ended with status {status}; the other ranks were stopped", file=sys.stderr)
        self._say_how_to_go_on()
        return status

    def _show_output(self, rank: int) -> None:
        """What rank 0 wrote is on the terminal."""
        tail = self._tail(rank, _TAIL) if rank else ""
        if tail:
            print(f"the last lines of rank {rank}:\n{tail}", file=sys.stderr)

    def _say_how_to_go_on(self) -> None:
        with suppress(FileNotFoundError):
            run = Path((self.folder / "run").read_text(encoding="utf-8"))
            if any((run / "checkpoints").glob("step_*")):
                print(f"continue from the last checkpoint with trainer.resume={run}", file=sys.stderr)

    def _log(self, rank: int) -> Path:
        return self.folder / f"rank{rank}.txt"

    def _tail(self, rank: int, lines: int) -> str:
        text = self._log(rank).read_text(encoding="utf-8", errors="replace").strip()
        return "\n".join(text.splitlines()[-lines:])


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
