"""For all tests: interrupts work as in a terminal, and torch has one thread.

Models of a few thousand parameters have nothing to share out, and threads that wait for each other take the cores from
the sandbox's workers.
"""

from __future__ import annotations

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is loaded; what tests start inherits it

# A shell that runs the tests in the background ignores Ctrl-C for them, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
