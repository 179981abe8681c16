"""The outcome of one program on one test, as the rest of zerocoder imports it."""

from __future__ import annotations

from zerocoder.execution.sandbox.verdict import Verdict

__all__ = ["Verdict"]
