"""What programs print goes nowhere, and does to them what it does in a Python of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from execution_helpers import RunCell

# Each is the body of a function; what it comes to is asked of an interpreter without any of our code.
BODIES = """
return print("a", 1, [2], sep="-", end="!", flush=True)
---
return sys.stdout.write("abc") + sys.stderr.write("é") + sys.__stdout__.write("")
---
class Text(str):
    def __len__(self): return 99
return sys.stdout.write(Text("abc"))
---
return sys.stdout.write(5)
---
return sys.stdout.write(["a"])
---
return sys.stdout.write(b"a")
---
return sys.stdout.write()
---
return sys.stdout.write(s="a")
---
return sys.stdout.writelines(["a", "b"])
---
return sys.stdout.writelines(["a", 1])
---
return sys.stdout.buffer.write(b"abc") + len(sys.stdout.newlines or "")
---
print(file=sys.stderr)
sys.stdout.flush()
return sys.stdout.encoding, sys.stdout.writable(), sys.stdout.closed, isinstance(sys.stdout, io.TextIOWrapper)
---
sys.stdout.close()
return sys.stdout.closed, print("a")
---
sys.stderr.close()
print("a", file=sys.stderr)
---
sys.stdout.detach()
print("a")
---
sys.stdout.reconfigure(encoding="ascii")
print("é")
---
sys.stdout.reconfigure(line_buffering=True)
return sys.stdout.write("é"), sys.stdout.line_buffering
---
with contextlib.redirect_stdout(io.StringIO()) as kept:
    print("é", 1)
return kept.getvalue()
---
print(*"ab", file=io.StringIO())
sys.stdout = None
return print("a")
---
return warnings.warn("a")
---
return type(sys.stdout) is io.TextIOWrapper, type(sys.stdout).write(sys.stdout, "ab"), sys.stdout.mode, sys.stderr.mode
---
sys.stdout.buffer.close()
print("a")
---
sys.stderr.buffer.detach()
print("a", file=sys.stderr)
---
with sys.stdout:
    print("a")
print("b")
"""
IMPORTS = "import contextlib, io, sys, warnings\n"


def function(body: str) -> str:
    return IMPORTS + "def f():\n" + "\n".join(f"    {line}" for line in body.splitlines())


def in_python(body: str) -> str:
    """What the function returns, or the name of what it raises, in a fresh interpreter that prints to /dev/null."""
    report = "try:\n    got = repr(f())\nexcept Exception as e:\n    got = type(e).__name__\n"
    tell = "import os\nos.write(3, got.encode())\nos._exit(0)"  # its own streams may be closed
    command = f'exec {sys.executable} -I -X utf8 -c "$0" 3>&1 >/dev/null 2>&1'
    source = f"{function(body)}\n{report}{tell}"
    done = subprocess.run(["sh", "-c", command, source], capture_output=True, check=True, text=True)
    return done.stdout


@pytest.mark.parametrize("body", [body.strip("\n") for body in BODIES.split("---\n")])
def test_printing_is_as_in_a_python_of_ones_own(verdict: RunCell, body: str) -> None:
    expected = in_python(body)
    assert expected
    if expected.endswith(("Error", "Exception")):
        assert verdict(function(body), "f()") == "ERROR"
        # a judge is told the exception by its name, too
        assert (
            verdict(function(body), f"try:\n    f()\nexcept {expected}:\n    pass\nelse:\n    assert False") == "PASS"
        )
    else:
        assert verdict(function(body), f"assert repr(f()) == {expected!r}") == "PASS"


def test_tests_print_nowhere_either(verdict: RunCell) -> None:
    test = "import sys\nfor n in range(3):\n    print(f(n), file=sys.stderr)\nassert sys.stdout.write('ab') == 2\n"
    assert verdict("def f(x): return x", test) == "PASS"
    assert verdict("def f(x): return x", test + "sys.stdout.write(f(1))") == "ERROR"
