"""Jobs of one trainer -> the nodes of a Ray cluster that come and go.

One thread owns all of the bookkeeping: what others want of it, and what nodes answer, arrives as functions in its
inbox. A job waits in one queue until a node has room, goes to the node with the least work a worker, and back into the
queue when that node dies.
"""

from __future__ import annotations

import functools
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution.jobs import Job
from zerocoder.execution.raynodes import Assignment, Node, NodeSettings, num_cpus
from zerocoder.execution.sandbox.isolation import FLOORS
from zerocoder.execution.verdicts import Verdict
from zerocoder.problems import ZeroCoderError

_MAX_ATTEMPTS = 3  # of a job
_TICK_SECONDS = 1.0  # between looks at the cluster
_CLOSE_SECONDS = 3.0  # for the nodes' workers to end in order

log = logging.getLogger(__name__)


class Dispatcher:
    """Hands jobs to nodes until `close`. All public methods may be called from any thread."""

    def __init__(self, ray: Any, settings: NodeSettings, patience_seconds: float) -> None:
        """Starts an actor on every node without waiting for it; `wait_until_up` does."""
        self.isolation = ""
        """The level that the weakest node reaches and what it consists of; set once a node is ready."""
        self._ray = ray
        self._open = functools.partial(Node, ray, settings)
        self._patience = patience_seconds
        self._nodes: dict[str, Node] = {}
        self._failing: dict[str, tuple[float, str]] = {}  # nodes that finish no job: since when, and why
        self._left_out: dict[str, str] = {}  # nodes that are not tried again, and why
        self._waiting: deque[Assignment] = deque()
        self._alone_since: float | None = time.monotonic()
        self._started = time.monotonic()
        self._next_tick = 0.0
        self._up: Future[None] = Future()
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._unsettled: set[Assignment] = set()
        self._lock = threading.Lock()  # of the two below and of `_unsettled`
        self._ended: BaseException | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="ray-dispatcher", daemon=True)
        self._thread.start()

    def wait_until_up(self) -> None:
        """Returns when every node of the cluster is ready, or at least one once the patience is over.

        Raises ZeroCoderError where a node reaches less isolation than asked for, or none can be used.
        """
        self._up.result()

    def submit(self, job: Job) -> Future[NDArray[np.int8]]:
        """The job's [N, K] matrix, some time. A future that is cancelled ends what runs for it."""
        assignment = Assignment(job, Future())
        with self._lock:
            if self._ended is not None:
                raise RuntimeError("the Ray executor has ended") from self._ended
            self._unsettled.add(assignment)
        self._inbox.put(lambda: self._waiting.append(assignment))
        assignment.future.add_done_callback(
            lambda done: self._inbox.put(functools.partial(self._cancel, assignment)) if done.cancelled() else None
        )
        return assignment.future

    def close(self) -> None:
        """Ends the actors and what they run. Futures that are not done are cancelled."""
        self._inbox.put(self._stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_SECONDS + 2 * _TICK_SECONDS)

    def _serve(self) -> None:
        bug: BaseException | None = None
        try:
            while not self._closing:
                if time.monotonic() >= self._next_tick:
                    self._tick()
                    self._next_tick = time.monotonic() + _TICK_SECONDS
                self._hand_out()
                try:
                    self._inbox.get(timeout=max(0.0, self._next_tick - time.monotonic()))()
                except queue.Empty:
                    continue
        except BaseException as error:
            bug = error  # of ours: raised at everybody who waits, instead of leaving them there
        finally:
            self._end(bug)

    def _stop(self) -> None:
        self._closing = True

    def _end(self, bug: BaseException | None) -> None:
        with self._lock:
            self._ended = bug or RuntimeError("it was closed")
            unsettled, self._unsettled = self._unsettled, set()
        if self._ray.is_initialized():  # else Ray has ended our actors itself, at the interpreter's exit
            closing = [node.close() for node in self._ready()]
            if closing:
                self._ray.wait(closing, num_returns=len(closing), timeout=_CLOSE_SECONDS)
            for node in self._nodes.values():
                node.kill()
        for future in [assignment.future for assignment in unsettled]:
            if bug is None:
                future.cancel()
            if future.set_running_or_notify_cancel():
                future.set_exception(self._ended)
        if not self._up.done():
            self._up.set_exception(self._ended)

    def _tick(self) -> None:
        """What has to be looked at now and then: who is in the cluster, who is silent, whose patience is over."""
        self._look()
        now = time.monotonic()
        for node in self._ready():
            if node.silent_since is None:
                node.silent_since = now
                node.ping(self._told(self._ponged, node))
            elif now - node.silent_since > self._patience:
                self._lose(node, f"it has not answered for {self._patience:g} seconds")
        if not self._up.done():
            self._decide_start(now)
        self._alone_since = None if self._ready() else self._alone_since or now
        if self._alone_since is not None and now - self._alone_since > self._patience and self._waiting:
            log.warning(
                "verifier=ray: no node of the cluster has been there for %g seconds: %d jobs have no verdicts%s",
                self._patience, len(self._waiting), self._why(),
            )  # fmt: skip
            while self._waiting:
                self._settle(self._waiting.popleft())

    def _look(self) -> None:
        """Starts actors on nodes that have come, drops nodes that have gone."""
        try:
            listed = {str(node["NodeID"]): node for node in self._ray.nodes() if num_cpus(node)}
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            log.warning("verifier=ray: the cluster does not answer: %s", _line(error))
            listed = {}
        for node in [node for node in self._nodes.values() if node.id not in listed]:
            self._lose(node, "it has left the cluster")
        for name in listed.keys() - self._nodes.keys() - self._left_out.keys():
            node = self._nodes[name] = self._open(listed[name])
            node.start(self._told(self._greeted, node))

    def _decide_start(self, now: float) -> None:
        ready, late = self._ready(), now - self._started > self._patience
        if ready and (late or len(ready) == len(self._nodes)):
            self._up.set_result(None)
        elif late or (self._left_out and not self._nodes):
            waiting = "".join(f"; {node.name} has not {node.num_workers} CPUs free" for node in self._nodes.values())
            self._up.set_exception(
                ZeroCoderError(
                    f"verifier=ray: no node of the Ray cluster can run programs{self._why()}{waiting}; `ray status` "
                    "shows what is free: add nodes, lower verifier.workers or raise verifier.patience_seconds"
                )
            )

    def _hand_out(self) -> None:
        while self._waiting:
            free = [node for node in self._nodes.values() if node.has_room]
            if not free:
                return
            assignment = self._waiting.popleft()
            if assignment.future.cancelled():
                continue
            node = min(free, key=lambda node: (node.id in assignment.tried, node.load))
            assignment.tried.add(node.id)
            node.run(assignment, self._told(self._answered, node, assignment))

    def _told(self, what: Callable[..., None], *about: Any) -> Callable[[Callable[[], Any]], None]:
        """For Ray's threads: passes an answer on to this one."""
        return lambda answer: self._inbox.put(functools.partial(what, *about, answer))

    def _greeted(self, node: Node, answer: Callable[[], str]) -> None:
        """A node's workers are up, or are not."""
        if self._nodes.get(node.id) is not node:
            return
        try:
            node.isolation = answer()
        except self._ray.exceptions.RayError as error:
            refusal = getattr(error, "cause", None)
            if getattr(error, "actor_init_failed", False):
                self._leave_out(node, _line(error))  # something is not installed there
            elif not isinstance(refusal, ZeroCoderError):
                self._lose(node, _line(error))
            elif self._up.done():
                self._leave_out(node, str(refusal))
            else:
                self._up.set_exception(ZeroCoderError(f"verifier=ray: node {node.name}: {refusal}"))
            return
        self._alone_since = None
        self.isolation = _weakest(self._ready())
        if not self._up.done():
            self._decide_start(time.monotonic())

    def _ponged(self, node: Node, answer: Callable[[], None]) -> None:
        try:
            answer()
            node.silent_since = None
        except self._ray.exceptions.RayError as error:
            if self._nodes.get(node.id) is node:
                self._lose(node, _line(error))

    def _answered(self, node: Node, assignment: Assignment, answer: Callable[[], NDArray[np.int8]]) -> None:
        """A job's matrix, or the death of its node."""
        if assignment not in node.assigned:
            return  # the node was given up and the job is elsewhere, or it was cancelled
        try:
            matrix = assignment.merge(answer())
        except self._ray.exceptions.RayTaskError as error:  # raised over there by code of ours
            del node.assigned[assignment]
            if self._finish(assignment):
                assignment.future.set_exception(error)
            return
        except self._ray.exceptions.RayError as error:
            self._lose(node, _line(error))
            return
        del node.assigned[assignment]
        self._failing.pop(node.id, None)
        if (matrix == Verdict.INFRA).any():
            self._retry(assignment)
        else:
            self._settle(assignment)

    def _lose(self, node: Node, reason: str) -> None:
        """A node or its actor died: its jobs go to others, and it may start anew while it is in the cluster.

        It is tried for as long as the patience lasts: a busy cluster refuses actors now and then.
        """
        if node.ready:
            num_jobs = len(node.assigned)
            log.warning("verifier=ray: node %s is lost, %d jobs go to others: %s", node.name, num_jobs, reason)
        self._remove(node)
        for assignment in reversed(node.assigned):
            self._retry(assignment)
        node.assigned.clear()
        now = time.monotonic()
        since, _ = self._failing.setdefault(node.id, (now, ""))
        self._failing[node.id] = (since, f"{node.name}: {reason}")
        if now - since > self._patience:
            self._leave_out(node, reason)

    def _leave_out(self, node: Node, reason: str) -> None:
        self._remove(node)
        self._failing.pop(node.id, None)
        self._left_out[node.id] = f"{node.name}: {reason}"
        log.warning("verifier=ray: node %s is left out: %s", node.name, reason)

    def _remove(self, node: Node) -> None:
        if self._nodes.pop(node.id, None) is not None:
            node.kill()
            self.isolation = _weakest(self._ready()) if self._ready() else self.isolation

    def _cancel(self, assignment: Assignment) -> None:
        """Nobody wants this job any more."""
        self._finish(assignment)
        if assignment in self._waiting:
            self._waiting.remove(assignment)
        for node in self._nodes.values():
            if assignment in node.assigned:
                node.cancel(assignment)

    def _retry(self, assignment: Assignment) -> None:
        assignment.num_attempts += 1
        if assignment.num_attempts < _MAX_ATTEMPTS:
            self._waiting.appendleft(assignment)
        else:
            self._settle(assignment)

    def _settle(self, assignment: Assignment) -> None:
        """The job has its verdicts, or as many as can be had."""
        if self._finish(assignment):
            assignment.future.set_result(assignment.answer())

    def _finish(self, assignment: Assignment) -> bool:
        """Takes the job off the books; whether somebody still wants the answer."""
        with self._lock:
            if assignment not in self._unsettled:
                return False
            self._unsettled.remove(assignment)
        return assignment.future.set_running_or_notify_cancel()

    def _ready(self) -> list[Node]:
        return [node for node in self._nodes.values() if node.ready]

    def _why(self) -> str:
        """What keeps nodes from taking part."""
        return "".join(f"; {why}" for why in (*self._left_out.values(), *(why for _, why in self._failing.values())))


def _weakest(nodes: list[Node]) -> str:
    """The least of the nodes' isolation levels, with the nodes that reach no more."""
    ranks = {node: FLOORS.index(node.isolation.partition(":")[0]) for node in nodes}
    weakest = [node for node in nodes if ranks[node] == max(ranks.values())]
    stronger = f", more on {len(nodes) - len(weakest)} other nodes" if len(weakest) < len(nodes) else ""
    return f"{weakest[0].isolation}, on {', '.join(node.name for node in weakest)}{stronger}"


def _line(error: BaseException) -> str:
    """What an error of Ray's says last: the cause, below the remote traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
