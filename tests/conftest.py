"""For all tests: interrupts work as in a terminal."""

from __future__ import annotations

import signal

# A shell that runs the tests in the background ignores Ctrl-C for them, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
