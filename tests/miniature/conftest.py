"""One plan for all tests of the miniature: composing every setting takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from zerocoder.miniature.plan import Plan, make_plan


@pytest.fixture(scope="session")
def planned() -> Plan:
    """Two seeds of six steps each, nothing run; its folders are nowhere."""
    return make_plan(Path("/nowhere"), (0, 1), 6, ("data.limit=40",), None)


@pytest.fixture(scope="session")
def at(planned: Plan) -> Callable[[Path], Plan]:
    """The plan with its runs below a folder."""

    def moved(root: Path) -> Plan:
        runs = (replace(run, folder=root / run.folder.relative_to(planned.root)) for run in planned.runs)
        return replace(planned, root=root, runs=tuple(runs))

    return moved
