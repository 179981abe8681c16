"""`verifier=ray`: programs run on the nodes of a Ray cluster, each with its own warm workers.

Problems are the unit: a job goes to one node, whose workers share its programs, and to another node if that one dies.
Nodes that join later take part, nodes that die leave nothing undone; when none is left for `patience_seconds`, what is
missing reads INFRA. Importing this file needs no Ray; the executor does when it starts (the extra `ray`).
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution.config import VerifierConfig
from zerocoder.execution.executor import Executor, FutureExecutor
from zerocoder.execution.jobs import Job
from zerocoder.execution.raydispatch import Dispatcher
from zerocoder.execution.raynodes import NodeSettings
from zerocoder.problems import ZeroCoderError

_STORE_BYTES = 256 << 20  # of a cluster that is started here: jobs and matrices on their way are small
_KNOCK_SECONDS = 10.0
_NOT_SHIPPED = ("/nano", "__pycache__")  # gitignore patterns: model weights

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RayVerifier(VerifierConfig):
    """How and where untrusted programs are run.

    workers: on each node, at most its CPUs; 0 for one a CPU that Ray offers of it.
    cache_mb: size of the file of known verdicts that each node keeps.
    address: of the cluster: `auto`, `<head>:6379` or `ray://<head>:10001`. None takes the one that runs on this
        machine (or RAY_ADDRESS), and starts one of this machine alone where there is none.
    patience_seconds: how long a node may be silent, and how long jobs wait while there is no node at all.
    """

    address: str | None = None
    patience_seconds: float = 60.0

    def build(self) -> Executor:
        """The executor; it connects at first use. Raises ZeroCoderError for a value out of range."""
        super().build()  # refuses what no node would take
        settings = NodeSettings(self.workers, self.limits, self.isolation, self.cache_mb, self.numpy)
        return RayExecutor(settings, self.address, self.patience_seconds)


class RayExecutor(FutureExecutor):
    """Warm workers on the nodes of a Ray cluster, started at first use and reused until `close`.

    settings: of the ProcessExecutor on each node; each has to reach the isolation.
    address, patience_seconds: see RayVerifier.

    A process that is connected to Ray already keeps its connection, whatever the address; zerocoder then has to be
    installed on the nodes. May be used from any thread.
    """

    def __init__(self, settings: NodeSettings, address: str | None = None, patience_seconds: float = 60.0) -> None:
        if not (math.isfinite(patience_seconds) and patience_seconds > 0):
            raise ZeroCoderError(f"verifier.patience_seconds is {patience_seconds!r}: it must be a number above 0")
        if address == "":
            raise ZeroCoderError("verifier.address is empty: name a Ray cluster, or null for the one of this machine")
        self._settings = settings
        self._address, self._patience = address, patience_seconds
        self._lock = threading.RLock()
        self._where = ""
        self._dispatcher: Dispatcher | None = None
        self._end: Callable[[], Any] = lambda: None

    @property
    def isolation(self) -> str:
        """The level that the weakest node reaches, what it consists of, and which cluster and nodes these are.

        Starts the workers. Raises what `start` raises.
        """
        dispatcher = self._start()
        return f"{dispatcher.isolation} of {self._where}"

    def start(self) -> None:
        """Connects and starts the nodes' workers, unless they run already.

        Raises ZeroCoderError where Ray is missing, the cluster cannot be reached or was made by other versions of
        Python or Ray, a node reaches less isolation than asked for, or no node can be used.
        """
        self._start()

    def submit(self, job: Job) -> Future[NDArray[np.int8]]:
        """A future of the job's [N, K] matrix of Verdict values; cancelling it ends what runs for it.

        Cells that no node has answered read INFRA. Starts the workers. Raises what `start` raises.
        """
        return self._start().submit(job)

    def close(self) -> None:
        """Ends all workers and the connection. A cluster that was there before stays. A later `run` starts anew."""
        with self._lock:
            self._end()
            self._dispatcher = None

    def _start(self) -> Dispatcher:
        with self._lock:
            if self._dispatcher is None:
                ray, self._where, ours = _connect(self._address)
                dispatcher = Dispatcher(ray, self._settings, self._patience)
                self._end = weakref.finalize(self, _end, ray, dispatcher, ours, os.getpid())
                try:
                    dispatcher.wait_until_up()
                except BaseException:
                    self._end()
                    raise
                self._dispatcher = dispatcher
            return self._dispatcher


def _end(ray: Any, dispatcher: Dispatcher, ours: bool, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked copy of the trainer
        dispatcher.close()
        if ours:
            ray.shutdown()


def _connect(address: str | None) -> tuple[Any, str, bool]:
    """The module `ray`, the cluster in words, and whether the connection is ours to end."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray warns where it is not set
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ZeroCoderError("verifier=ray needs Ray: pip install -e '.[ray]'") from error
    if ray.is_initialized():
        return ray, "the Ray cluster that this process is connected to", False
    common: dict[str, Any] = {
        "runtime_env": _this_package(),
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    in_main_thread = threading.current_thread() is threading.main_thread()
    terminate = signal.getsignal(signal.SIGTERM)
    named = address or os.environ.get("RAY_ADDRESS")
    try:
        _knock(named or "")
        try:
            ray.init(address=named or "auto", **common)
            return ray, f"the Ray cluster at {ray.get_runtime_context().gcs_address}", True
        except ConnectionError:
            if named:
                raise
        log.warning(
            "verifier=ray: no Ray cluster runs here, so one of this machine alone is started; "
            "verifier.address=<head>:6379 names another"
        )
        ray.init(address="local", include_dashboard=False, object_store_memory=_STORE_BYTES, **common)
        return ray, "a Ray cluster of this machine alone", True
    except Exception as error:  # Ray raises bare ones too: unreachable, other versions, no room to start
        ray.shutdown()
        where = f"verifier.address={named}: cannot connect to" if named else "verifier=ray: cannot start"
        raise ZeroCoderError(f"{where} the Ray cluster: {' '.join(str(error).split())}") from error
    finally:
        if in_main_thread and terminate is not None:
            signal.signal(signal.SIGTERM, terminate)  # Ray puts its own in its place


def _knock(address: str) -> None:
    """Raises OSError where nobody listens at [ray://]host:port: Ray itself would try for five minutes, then exit."""
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()


def _this_package() -> dict[str, Any]:
    """Ray's runtime environment: nodes run the trainer's own version of this code, whether or not they have one."""
    return {"py_modules": [str(Path(__file__).parents[1])], "excludes": list(_NOT_SHIPPED)}
