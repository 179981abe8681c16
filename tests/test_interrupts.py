"""An interrupt during an update waits; everywhere else it acts at once."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from zerocoder.interrupts import DeferredInterrupt


def test_an_interrupt_waits_for_the_release() -> None:
    deferred = DeferredInterrupt()
    deferred.hold()
    os.kill(os.getpid(), signal.SIGINT)
    reached = True  # the next line of the critical section still runs
    with pytest.raises(KeyboardInterrupt):
        deferred.release()
    assert reached
    with pytest.raises(KeyboardInterrupt):  # the old handler is back
        signal.raise_signal(signal.SIGINT)


def test_without_an_interrupt_nothing_happens_and_it_can_be_used_again() -> None:
    deferred, handler = DeferredInterrupt(), signal.getsignal(signal.SIGINT)
    for _ in range(2):
        deferred.hold()
        deferred.hold()
        deferred.release()
        deferred.release()
    assert signal.getsignal(signal.SIGINT) is handler


def test_other_threads_are_left_alone() -> None:
    deferred, seen = DeferredInterrupt(), []
    thread = threading.Thread(target=lambda: (deferred.hold(), deferred.release(), seen.append(True)))
    thread.start()
    thread.join()
    assert seen == [True]
