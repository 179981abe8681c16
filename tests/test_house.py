"""The rules of the house: imports point one way, and what others use alone needs no model."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import zerocoder

PACKAGE = Path(zerocoder.__file__).parent
ABOVE = ("callbacks", "train", "evaluate", "tests", "benchmarks")
TOP = ("zerocoder.module", "zerocoder.datamodule")
"""What only `train.py` and the callbacks import."""


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FILES = sorted(PACKAGE.rglob("*.py"))


def test_the_package_imports_nothing_that_is_built_on_it() -> None:
    found = {(str(file.relative_to(PACKAGE)), name) for file in FILES for name in imported(file)}
    assert len(found) > 1000  # it looked
    assert {(file, name) for file, name in found if name.split(".")[0] in ABOVE} == set()


def test_no_part_imports_the_module() -> None:
    users = {str(f.relative_to(PACKAGE)) for f in FILES for name in imported(f) if name in TOP}
    assert users <= {"module.py", "datamodule.py"}


@pytest.mark.parametrize(
    "part",
    ["execution", "execution.trl", "selection.b4", "selection.dyb4", "mutation", "rewards", "problems", "config"],
)
def test_parts_that_work_alone_load_no_model(part: str) -> None:
    code = (
        f"import sys, zerocoder.{part}\nprint(*{{'torch', 'lightning', 'transformers', 'vllm'}} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr
