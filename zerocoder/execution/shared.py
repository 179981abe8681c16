"""One executor for the processes of a machine: the one that has it serves it, the others submit to it.

    with verifier.build() as executor, ExecutorServer(executor) as server:  # in one process
        offer = server.offer  # travels to the others by any way

    with SharedExecutor(*offer) as executor:  # in the others: an Executor like any other

Messages are pickles over a Unix socket in a folder of the user's alone, and both sides prove that they know a key. A
client that ends takes its jobs with it; a server that ends fails the futures of its clients with `ServerLost`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import secrets
import shutil
import socket
import tempfile
import threading
from concurrent.futures import Future
from functools import partial
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution.executor import Executor, FutureExecutor
from zerocoder.execution.jobs import Job


class ServerLost(ConnectionError):
    """The process that runs the shared executor is gone, or has closed it."""


class ExecutorServer:
    """Lets other processes of this machine and user submit to `executor`; closes without closing it.

    parent: where the socket gets a folder; None for the system's temporary files.
    """

    def __init__(self, executor: Executor, parent: Path | None = None) -> None:
        self._executor = executor
        self._folder = tempfile.mkdtemp(prefix="zerocoder-verifier-", dir=parent)  # mode 0700
        self._key = secrets.token_bytes(32)
        self._listener = Listener(os.path.join(self._folder, "socket"), "AF_UNIX", backlog=64, authkey=self._key)
        self._peers: list[_Peer] = []
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="zerocoder-verifier-server", daemon=True)
        self._thread.start()

    @property
    def offer(self) -> tuple[str, bytes]:
        """The socket's address and the key, for SharedExecutor."""
        return str(self._listener.address), self._key

    def close(self) -> None:
        """Ends the connections and cancels what runs for them."""
        self._closed = True
        with contextlib.suppress(OSError, EOFError, AuthenticationError):
            Client(str(self._listener.address), "AF_UNIX", authkey=self._key).close()  # wakes the thread
        self._thread.join()
        self._listener.close()
        for peer in self._peers:
            peer.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection = self._listener.accept()
            except (AuthenticationError, EOFError, OSError):  # not one of ours, or it ended while it knocked
                continue
            if self._closed:
                connection.close()
            else:
                self._peers.append(_Peer(connection, self._executor))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Peer:
    """The server's side of one connection: one thread takes jobs in, one sends answers out.

    Answers are queued, so that a client that does not read keeps nobody else waiting.
    """

    def __init__(self, connection: Connection, executor: Executor) -> None:
        self._connection = connection
        self._executor = executor
        self._futures: dict[int, Future[Any]] = {}
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        for work in (self._receive, self._send):
            threading.Thread(target=work, name="zerocoder-verifier-peer", daemon=True).start()

    def close(self) -> None:
        self._answers.put(None)

    def _receive(self) -> None:
        try:
            while True:
                kind, number, payload = self._connection.recv()
                if kind == "submit":
                    self._submit(number, payload)
                elif kind == "cancel":
                    self._cancel(number)
                else:  # isolation; waits for the workers
                    threading.Thread(target=self._isolation, args=(number,), daemon=True).start()
        except (EOFError, OSError):
            pass  # the client is gone, or this side was closed
        finally:
            for future in list(self._futures.values()):
                future.cancel()
            self._answers.put(None)

    def _submit(self, number: int, job: Job) -> None:
        try:
            future = self._executor.submit(job)
        except Exception as error:
            self._answer(number, error)
            return
        self._futures[number] = future
        future.add_done_callback(partial(self._done, number))

    def _cancel(self, number: int) -> None:
        future = self._futures.get(number)
        if future is not None:
            future.cancel()

    def _isolation(self, number: int) -> None:
        try:
            self._answer(number, self._executor.isolation)
        except Exception as error:
            self._answer(number, error)

    def _done(self, number: int, future: Future[Any]) -> None:
        self._futures.pop(number, None)
        if not future.cancelled():
            self._answer(number, future.exception() or future.result())

    def _answer(self, number: int, value: object) -> None:
        self._answers.put(_pickled(number, value))

    def _send(self) -> None:
        with contextlib.suppress(OSError):
            while (answer := self._answers.get()) is not None:
                self._connection.send_bytes(answer)
        _hang_up(self._connection)


class SharedExecutor(FutureExecutor):
    """An Executor whose jobs run in the process that made the offer. May be used from any thread."""

    def __init__(self, address: str, key: bytes) -> None:
        """Raises ServerLost where nobody serves at `address`."""
        try:
            self._connection = Client(address, "AF_UNIX", authkey=key)
        except (OSError, EOFError) as error:
            raise ServerLost(f"the verifier's server at {address} does not answer") from error
        self._numbers = itertools.count()
        self._lock = threading.Lock()  # of the connection's sending side, and of the books
        self._futures: dict[int, Future[Any]] = {}
        self._lost: str | None = None
        self._thread = threading.Thread(target=self._receive, name="zerocoder-verifier-client", daemon=True)
        self._thread.start()

    @property
    def isolation(self) -> str:
        """The server's: see Executor. Raises what it raises there."""
        return str(self._ask("isolation", None).result())

    def start(self) -> None:
        """Starts the workers, unless they run already. Raises what that raises at the server."""
        self._ask("isolation", None).result()

    def submit(self, job: Job) -> Future[NDArray[np.int8]]:
        """A future of the job's [N, K] matrix of Verdict values; cancelling it ends what runs for it.

        The future raises ServerLost when the server ends first.
        """
        return self._ask("submit", job)

    def close(self) -> None:
        """Ends the connection; what still runs for it is cancelled. The workers go on for others."""
        with self._lock:
            self._lost = "this side has closed it"
        _hang_up(self._connection)
        self._thread.join()

    def _ask(self, kind: str, payload: object) -> Future[Any]:
        future: Future[Any] = Future()
        number = next(self._numbers)
        message = pickle.dumps((kind, number, payload))
        with self._lock:
            if self._lost is not None:
                raise ServerLost(f"the verifier's connection has ended: {self._lost}")
            self._futures[number] = future
        future.add_done_callback(lambda done: self._drop(number) if done.cancelled() else None)
        self._send(message)
        return future

    def _drop(self, number: int) -> None:
        self._futures.pop(number, None)
        self._send(pickle.dumps(("cancel", number, None)))

    def _send(self, message: bytes) -> None:
        with self._lock, contextlib.suppress(OSError):  # a server that is gone is noticed by the receiving thread
            self._connection.send_bytes(message)

    def _receive(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                number, value = self._connection.recv()
                future = self._futures.pop(number, None)
                if future is None or not future.set_running_or_notify_cancel():
                    continue
                if isinstance(value, Exception):
                    future.set_exception(value)
                else:
                    future.set_result(value)
        with self._lock:
            self._lost = self._lost or "the process that runs the verifier is gone"
        for future in list(self._futures.values()):
            if future.set_running_or_notify_cancel():
                future.set_exception(ServerLost(f"the verifier's connection has ended: {self._lost}"))
        self._connection.close()


def _pickled(number: int, value: object) -> bytes:
    try:
        message = pickle.dumps((number, value))
        if isinstance(value, Exception):
            pickle.loads(message)  # some can be written and not be read
        return message
    except Exception:
        return pickle.dumps((number, RuntimeError(f"{type(value).__name__}: {value}")))


def _hang_up(connection: Connection) -> None:
    """End both directions, which `close` alone does not while another thread reads."""
    with contextlib.suppress(OSError, ValueError), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
