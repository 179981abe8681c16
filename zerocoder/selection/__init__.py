"""Selectors: a boolean passing matrix -> its consensus of solutions and tests.

A new selector is one file here plus one YAML in conf/selector/: a dataclass with `name`, `needs_labels` and
`select` (see `zerocoder.selection.base.Selector`). Needs numpy and scipy only.
"""

from zerocoder.selection.b4 import B4
from zerocoder.selection.base import Consensus, Groups, Selector, groups, select_shown
from zerocoder.selection.codet import CodeT
from zerocoder.selection.dyb4 import Calibration, DyB4
from zerocoder.selection.maxpass import MaxPass

__all__ = [
    "B4",
    "Calibration",
    "CodeT",
    "Consensus",
    "DyB4",
    "Groups",
    "MaxPass",
    "Selector",
    "groups",
    "select_shown",
]
