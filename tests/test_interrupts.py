"""An interrupt during an update waits; everywhere else it acts at once. Several ranks stop between two steps only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from zerocoder.interrupts import AgreedInterrupt, DeferredInterrupt, Stopped, interrupts
from zerocoder.world import World


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


def test_one_rank_and_several_have_their_own_kind() -> None:
    assert type(interrupts(World())) is DeferredInterrupt
    assert type(interrupts(World(1, 2))) is AgreedInterrupt


def test_several_ranks_stop_at_the_end_of_a_step() -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    agreed = AgreedInterrupt(World())
    agreed.begin()
    for _ in range(2):  # steps without an interrupt
        agreed.hold()
        agreed.release()
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Stopped):
        agreed.release()
    agreed.end()
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_came_after_the_last_step_is_not_lost() -> None:
    agreed = AgreedInterrupt(World())
    agreed.begin()
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        agreed.end()


def test_a_second_interrupt_ends_the_rank_at_once() -> None:
    script = """
import os, signal, time
from zerocoder.interrupts import AgreedInterrupt
from zerocoder.world import World
AgreedInterrupt(World()).begin()
os.kill(os.getpid(), signal.SIGINT)
os.kill(os.getpid(), signal.SIGINT)
time.sleep(600)
"""
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert done.stderr == "interrupted: all ranks stop after this step; interrupt again to stop at once\n"
