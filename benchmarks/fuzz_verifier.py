"""Fuzzes what reads hostile input outside a runner: the value decoder, the test splitter, the planner.

Coverage-guided, by atheris (`pip install atheris`; Linux and macOS):

    python benchmarks/fuzz_verifier.py --minutes 10 --target decoder

prints the number of executions, and for a failure the traceback and the file that the input was saved in; give that
file as `--replay FILE` to run it again. A failure is any exception that is not documented, or a property that does not
hold: what is decoded can be encoded again and never equals an expected value by itself; a plain test has no more
asserts than were asked for.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import enum
import json
import marshal
import re
import sys
import tempfile
import warnings
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

try:
    import atheris
except ImportError:
    sys.exit("fuzzing needs atheris: pip install atheris")

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
with atheris.instrument_imports(
    include=["zerocoder.execution.sandbox", "zerocoder.asserts", "zerocoder.splitting", "zerocoder.syntax"]
):
    from zerocoder.asserts import plain_asserts
    from zerocoder.execution import Verdict
    from zerocoder.execution.sandbox import codec, planner, rows, translation, work
    from zerocoder.execution.sandbox.codec import core
    from zerocoder.splitting import split
    from zerocoder.syntax import Unusable

_SPICES = ["<i8", "|b1", "<U2", "int", "?", "1E+5", "NaN", "sNaN", "Infinity", "Point", "x", "00ff", "0x1F", "UTC", ""]
_WORDS = [
    "assert ", "f(1)", "x", "y", " = ", "1", "-", "(", ")", ",", "[", "]", "{", "}", ":", "\n", "\n    ", "def g(x):",
    "return ", "lambda ", "*", "**", "import math", "from math import *", "class T(unittest.TestCase):", "for x in ",
    "if ", "'\ud800'", "\x00", "f'{x!r:>{1}}'", "1e999", "del x", "global x", ":=", "await ", "async ", "yield ",
    "match x:", "case _:", "try:", "except* E:", "with ", "as ", ";", "\\", "#", "\t", "\ufeff", "0x", "1_0", "1j",
    "...", "None", "@", '"""', "'", "b''",
]  # fmt: skip
_NAMES = ["x", "y", "f", "1", "None", "-2", "1e999", "'a'", "True", "0x" + "f" * 5000]
_EXPRESSIONS = [
    *_NAMES, "f(%)", "f(%)", "f(%, k=%)", "f(*%)", "(%, %)", "[%, %]", "{%: %}", "{%}", "% + %", "% == %", "% in %",
    "not %", "-%", "%[%]", "%.pop()", "g(%)", "(lambda x: %)", "[% for x in %]", "(x := %)", "f'{%}'", "1j + %",
    "set()", "% < % < %", "% is %", "% if % else %", "sorted(%)", "Decimal('1.5')",
    "len(%)", "round(%, %)", "isinstance(%, (int, list))", "type(%, %)", "% * %", "% ** %", "% // %", "sum(%.values())",
    "math.isclose(%, %)", "%.split()", "list(range(%))", "max(%)", "set(%)", "str(%)", "%[%:%]", "{x: % for x in %}",
    "% << %", "% >> %", "% @ %", "% ^ %", "% & %", "% / %", "~%", "% and %", "% is not %", "await %", "yield",
]  # fmt: skip
_STATEMENTS = [
    "assert %\n", "assert f(%) == %\n", "assert f(%) == %\n", "assert %, %\n", "x = %\n", "x, y = %, %\n",
    "x[%] = %\n", "y += %\n", "x.append(%)\n", "x = y = %\n", "y: int = %\n", "def g(x):\n    return %\n",
    "def test_a():\n    assert %\n",
    "class T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(%, %)\n",
    "for x in %:\n    assert f(x) == %\n", "if __name__ == '__main__':\n    assert %\n", "import math as x\n",
    "from math import *\n", "with self.subTest():\n    assert %\n", "def f(x):\n    return %\n",
    "try:\n    f(%)\nexcept ValueError as y:\n    pass\n", "del x\n", "'%'\n", "print(%)\n",
]  # fmt: skip
_MAX_DEPTH = 6


def _words() -> list[str]:
    return [word.encode().decode("unicode_escape") for word in _WORDS.replace("|\n", "|").replace("\n", "|").split("|")]


def _samples() -> list[Any]:
    """The encoded forms of one value of each kind."""
    zone = datetime.timezone(datetime.timedelta(hours=2), "x")
    values = [
        [1, "a", None], (1,), {1: 2}, {1}, frozenset({1}), b"a", bytearray(b"a"), 1j, range(3), 2**70, Decimal("1.5"),
        Fraction(1, 3), datetime.date(2020, 1, 2), datetime.time(1, 2, tzinfo=zone),
        datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC), datetime.timedelta(1), zone, Counter("aab"),
        OrderedDict(a=1), defaultdict(int, {1: 2}), deque([1], 3), namedtuple("P", "x y")(1, 2),
        dataclasses.make_dataclass("D", ["x"], order=True)(1), enum.Enum("E", "A").A, enum.IntEnum("I", "A").A,  # type: ignore[attr-defined]
        enum.StrEnum("S", "A").A, np.int8(1), np.float32(0.5), np.arange(3), np.array([["a"]]), iter([1]),  # type: ignore[attr-defined]
    ]  # fmt: skip
    return [codec.encode(value, shelf=[]) for value in values]


_SAMPLES = _samples()


def _structure(source: Any, depth: int) -> Any:
    """JSON of the shapes that the encoder writes, mostly."""
    choice = source.ConsumeIntInRange(0, 9)
    if choice == 0 or depth == _MAX_DEPTH:
        return source.PickValueInList([None, True, False, 0, 1, -1, 2**70, 0.5, float("nan"), *_SPICES])
    if choice == 1:
        return source.ConsumeInt(8)
    if choice == 2:
        return source.ConsumeUnicode(8)
    if choice == 3:
        return [_structure(source, depth + 1) for _ in range(source.ConsumeIntInRange(0, 5))]
    if choice == 4:
        return {source.PickValueInList(core._RICH.tags): _structure(source, depth + 1)}
    return _altered(source, source.PickValueInList(_SAMPLES), depth)


def _altered(source: Any, encoded: Any, depth: int) -> Any:
    """A part of an encoded form, here and there, is another one."""
    if depth == _MAX_DEPTH or source.ConsumeIntInRange(0, 7) == 0:
        return _structure(source, _MAX_DEPTH if depth == _MAX_DEPTH else depth + 1)
    if type(encoded) is list:
        return [_altered(source, part, depth + 1) for part in encoded]
    if type(encoded) is dict:
        return {tag: _altered(source, body, depth + 1) for tag, body in encoded.items()}
    return encoded


def decoder(data: bytes) -> None:
    """Raises for a frame that the decoder or the comparison handles wrongly."""
    source = atheris.FuzzedDataProvider(data)
    if source.ConsumeBool():
        frame = source.ConsumeBytes(source.remaining_bytes())
    else:
        frame = json.dumps(_structure(source, 0)).encode()
    for rich in (False, True):
        with contextlib.suppress(codec.Unsupported):
            value = codec.loads(frame, rich)
            again = codec.dumps(value, shelf=[])
            codec.loads(again, rich)
    with contextlib.suppress(codec.Unsupported):
        answer = [0, "v", [codec.from_bytes(frame)]]
        _, checks = translation.translate("assert f() == 'an expected value that no input spells'", "f")
        assert rows.checked(answer, checks) is not Verdict.PASS


def _expression(source: Any, depth: int) -> str:
    form = source.PickValueInList(_EXPRESSIONS if depth < _MAX_DEPTH else _NAMES)
    return "".join(_expression(source, depth + 1) if part == "%" else part for part in re.split("(%)", form))


def _text(data: bytes) -> str:
    """Anything, or words of the language in any order, or statements with expressions in them."""
    source = atheris.FuzzedDataProvider(data)
    form = source.ConsumeIntInRange(0, 3)
    if form == 0:
        return str(source.ConsumeUnicode(source.remaining_bytes()))
    text = ""
    while source.remaining_bytes():
        if form == 1:
            text += source.PickValueInList(_WORDS)
        else:
            statement = source.PickValueInList(_STATEMENTS)
            text += "".join(_expression(source, 0) if part == "%" else part for part in re.split("(%)", statement))
    return text


def splitter(data: bytes) -> None:
    """Raises for a test that the splitter handles wrongly."""
    text = _text(data)
    pieces = split(text)
    assert pieces and all(type(piece) is str for piece in pieces)
    with contextlib.suppress(Unusable):
        plain = plain_asserts(text, "f", 3)
        assert len(split(plain)) <= 3


def plan(data: bytes) -> None:
    """Raises for a source that the planner handles wrongly."""
    text = _text(data)
    planner._programs([text, text])
    [written] = planner._tests([text], "f")["plans"]
    if not isinstance(written, list):  # of a judge's test
        return
    kind, _, *parts = work.with_checks((work.LITERAL, text, *written))
    if kind == work.LITERAL:
        calls, checks = marshal.loads(parts[0]), parts[1]
        shapes = atheris.FuzzedDataProvider(data[::-1])
        values = [_structure(shapes, 0) for _, _, wanted in calls for _ in range(1 + len(wanted))]
        assert calls and rows.checked([0, "v", values], checks) in (None, *Verdict)


TARGETS: dict[str, Callable[[bytes], None]] = {"decoder": decoder, "splitter": splitter, "planner": plan}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0, help="0 for a fresh one each time")
    parser.add_argument("--out", type=Path, default=Path("fuzzing"), help="folder for inputs that fail")
    parser.add_argument("--replay", type=Path, help="run this one input")
    options = parser.parse_args(argv)
    if options.minutes <= 0:
        parser.error(f"--minutes is {options.minutes:g}: it must be above 0")
    warnings.simplefilter("ignore")  # odd literals in generated code
    if options.replay:
        TARGETS[options.target](options.replay.read_bytes())
        return
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        flags = [f"-max_total_time={round(60 * options.minutes)}", f"-artifact_prefix={options.out}/{options.target}-",
                 f"-seed={options.seed}", "-max_len=512", "-len_control=10",
                 "-timeout=20", "-print_final_stats=1"]  # fmt: skip
        atheris.Setup([sys.argv[0], *flags, corpus], TARGETS[options.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
