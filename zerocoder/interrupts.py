"""Ctrl-C at the right moment: an interrupt during an update waits until the step is complete.

Everywhere else it acts at once. Between the optimizer's change of the weights and the end of the step's bookkeeping
it would leave a state that belongs to no step.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class DeferredInterrupt:
    """`hold()` keeps SIGINT and SIGTERM back, `release()` lets them through. For the main thread; else does nothing."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self._saved: dict[signal.Signals, Any] = {}
        self._pending: list[signal.Signals] = []

    def hold(self) -> None:
        if self._saved or threading.current_thread() is not threading.main_thread():
            return
        for number in self.SIGNALS:
            self._saved[number] = signal.signal(number, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._pending.append(signal.Signals(number))

    def release(self) -> None:
        for number, handler in self._saved.items():
            signal.signal(number, handler)
        self._saved.clear()
        pending, self._pending = self._pending, []
        for number in pending:
            signal.raise_signal(number)
