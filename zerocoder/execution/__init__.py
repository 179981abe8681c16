"""Running untrusted programs: many programs x many tests -> a matrix of verdicts.

Usable on its own: it needs numpy and the standard library, no model and no trainer. `ProcessExecutor` runs `Job`s under
`Limits` and returns `Verdict`s; `VerifierConfig` is the same from a config file; `python -m zerocoder.execution` is
the same from a shell (`cli/`, which needs rich too), and `trl.py` the same as a reward function. See docs/verifier.md.
"""

import sys

if sys.platform == "win32":
    raise ImportError("zerocoder.execution needs fork and rlimits: on Windows, use it inside of WSL 2")

from zerocoder.execution.config import VerifierConfig
from zerocoder.execution.executor import Executor, ProcessExecutor
from zerocoder.execution.jobs import Job
from zerocoder.execution.limits import Limits
from zerocoder.execution.verdicts import Verdict

__all__ = ["Executor", "Job", "Limits", "ProcessExecutor", "Verdict", "VerifierConfig"]
