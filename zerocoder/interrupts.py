"""Ctrl-C at the right moment: an interrupt during an update waits until the step is complete.

Everywhere else it acts at once. Between the optimizer's change of the weights and the end of the step's bookkeeping
it would leave a state that belongs to no step. With several ranks it always waits for the end of the step, where all
stop together: a rank that left on its own would leave the others waiting for it.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any, Protocol

from zerocoder.console import say
from zerocoder.exits import INTERRUPTED
from zerocoder.world import World

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """All ranks stop here, between two steps, and each knows that the others do."""


class Interrupts(Protocol):
    """When SIGINT and SIGTERM act during training. For the main thread; elsewhere it does nothing."""

    def begin(self) -> None:
        """Training starts."""

    def hold(self) -> None:
        """From here on the step must be completed."""

    def release(self) -> None:
        """The step is complete: what was held back acts now. On every rank."""

    def end(self) -> None:
        """Training is over or has failed: what was held back acts now, and later signals at once. On any rank alone."""


class DeferredInterrupt(Interrupts):
    """`hold()` keeps SIGINT and SIGTERM back, `release()` lets them through: for one rank."""

    def __init__(self) -> None:
        self._saved: dict[signal.Signals, Any] = {}
        self._pending: list[signal.Signals] = []

    def begin(self) -> None:
        pass

    def hold(self) -> None:
        if self._saved or threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            self._saved[number] = signal.signal(number, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._pending.append(signal.Signals(number))

    def release(self) -> None:
        self.end()

    def end(self) -> None:
        for number in self._restored():
            signal.raise_signal(number)

    def _restored(self) -> list[signal.Signals]:
        """Give signals their old meaning back; what came in the meantime."""
        for number, handler in self._saved.items():
            signal.signal(number, handler)
        self._saved.clear()
        pending, self._pending = self._pending, []
        return pending


class AgreedInterrupt(DeferredInterrupt):
    """The same for several ranks: kept back from `begin()` to `end()`, and `release()` stops all ranks or none.

    A second interrupt ends this rank at once, and with it the others.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def begin(self) -> None:
        super().hold()

    def hold(self) -> None:
        pass  # since `begin`

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._pending:
            os._exit(INTERRUPTED)
        super()._remember(number, frame)
        say("interrupted: all ranks stop after this step; interrupt again to stop at once")

    def release(self) -> None:
        """Raises Stopped on all ranks when one of them was interrupted."""
        if self._world.max(len(self._pending)):
            self._restored()
            raise Stopped


def interrupts(world: World) -> Interrupts:
    """What suits the number of ranks."""
    return AgreedInterrupt(world) if world.size > 1 else DeferredInterrupt()
