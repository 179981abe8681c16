"""The trainer's end of one worker: start it from a clean interpreter, talk to it, end it and everything it forked."""

from __future__ import annotations

import json
import marshal
import os
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from zerocoder.execution.sandbox.wire import FrameBuffer, Oversized, framed
from zerocoder.problems import ZeroCoderError

_START_SECONDS = 60.0
_SEND_SECONDS = 60.0
_END_SECONDS = 3.0
_MAX_ANSWER = 256 << 20
_MAX_WAITING = 64 << 10  # bytes that surely fit the connection's buffer
# The package is loaded on its own, not as zerocoder.execution.sandbox: that would import numpy.
_BOOTSTRAP = (
    "import sys; sys.path.insert(0, sys.argv[1]); from sandbox import guard; del sys.path[0]; "
    "guard.main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])"
)
_FLAGS = ("-s", "-S", "-P")  # isolated mode without -E: the emptied environment carries the hash seed
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}


class WorkerDied(Exception):
    """The worker ended, answered nonsense or does not answer. Its work has to be done again by another one."""


class Worker:
    """One warm worker process. Not thread-safe."""

    def __init__(self, floor: str, numpy_home: str = "") -> None:
        """Starts the process without waiting for it; `wait_ready` does."""
        self._socket, theirs = socket.socketpair()
        command = [sys.executable, *_FLAGS, "-c", _BOOTSTRAP, str(Path(__file__).parent)]
        try:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(os.getpid()), floor, numpy_home],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()
        self._inbox = FrameBuffer(_MAX_ANSWER)
        self._chunk = memoryview(bytearray(1 << 16))  # one for all reads: large ones made anew leave holes in the heap
        self._num_sent = 0
        self._unanswered: deque[int] = deque()  # numbers of requests
        self.isolation = ""  # known when it is ready
        self.started = time.monotonic()
        self.held: int | None = None  # the job of the current run whose tests the worker holds

    @property
    def pid(self) -> int:
        """The process that takes everything of this worker with it when it is killed."""
        return self._process.pid

    def fileno(self) -> int:
        return self._socket.fileno()

    def wait_ready(self) -> None:
        """Waits until the worker is set up, and learns the isolation it reached.

        Raises ZeroCoderError when this host does not reach the level asked for, WorkerDied when it does not start.
        """
        self._socket.settimeout(_START_SECONDS)
        try:
            while (payload := self._inbox.next()) is None:
                if not (data := self._socket.recv(1 << 16)):
                    raise WorkerDied("a worker ended while it was starting")
                self._inbox.feed(data)
        except OSError as error:
            raise WorkerDied(f"a worker does not start: {error}") from error
        hello = json.loads(payload)
        if "refused" in hello:
            raise ZeroCoderError(
                f"this host does not reach the isolation asked for: {hello['refused']}; allow user namespaces on it, "
                "or accept less with verifier.isolation=standard (or =none, for programs you trust)"
            )
        self.isolation = str(hello["isolation"])

    def send(self, request: tuple[Any, ...], answered: bool = True) -> bool:
        """Hands over one request, which is to be answered or not. Raises WorkerDied.

        One that finds others before it waits there until they are done. False where it is too large for that, so that
        the caller would have to wait as well: it was not sent.
        """
        payload = framed(marshal.dumps((self._num_sent, *request)))
        if self._unanswered and len(payload) > _MAX_WAITING:
            return False
        try:
            self._socket.settimeout(_SEND_SECONDS)
            self._socket.sendall(payload)
        except OSError as error:
            raise WorkerDied("a worker does not listen") from error
        if answered:
            self._unanswered.append(self._num_sent)
        self._num_sent += 1
        return True

    def receive(self) -> Any:
        """What has arrived: the answer to the oldest request without one, or `...` while it is incomplete. Never waits.

        Raises WorkerDied, also for the answer to any other request.
        """
        try:
            if (payload := self._inbox.next()) is None:
                if not self._read():
                    return ...
                if (payload := self._inbox.next()) is None:
                    return ...
            ticket, answer = json.loads(payload)
            if not self._unanswered or ticket != self._unanswered.popleft():
                raise WorkerDied("a worker answers another request")
            return answer
        except (Oversized, TypeError, ValueError, RecursionError) as error:
            raise WorkerDied("a worker answers nonsense") from error

    def _read(self) -> bool:
        """Takes in what has arrived; False where nothing has. Raises WorkerDied."""
        try:
            self._socket.setblocking(False)
            size = self._socket.recv_into(self._chunk)
        except BlockingIOError:
            return False
        except OSError as error:
            raise WorkerDied("a worker's connection broke") from error
        if not size:
            raise WorkerDied("a worker ended")
        self._inbox.feed(self._chunk[:size])
        return True

    def kill(self) -> None:
        """Ends the worker now, whatever it is doing, and waits until it is gone."""
        self._socket.close()
        self._process.terminate()
        self._reap()

    def ask_to_end(self) -> None:
        """Tells an idle worker that no more requests come. `kill` afterwards waits for it."""
        self._socket.close()

    def abandon(self) -> None:
        """In a forked copy of the trainer: closes this copy's descriptor and leaves the process to its owner."""
        self._socket.close()
        self._process.returncode = 0  # not our child: nothing to wait for

    def _reap(self) -> None:
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
