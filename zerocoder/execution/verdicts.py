"""The outcome of one program on one test, as the rest of zerocoder imports it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution.sandbox.verdict import Verdict

__all__ = ["UNKNOWN", "Verdict", "is_unknown"]

UNKNOWN = (Verdict.INFRA, Verdict.BROKEN)
"""Failures of ours, or of the test's own checker: they say nothing about the program and are never scored."""


def is_unknown(verdicts: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Where verdicts (of any shape) are UNKNOWN."""
    return np.asarray(np.isin(verdicts, UNKNOWN))
