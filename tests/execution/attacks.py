"""Programs that want to pass `f(3) == 42` (or the secret string) without knowing how, or to do harm on the way.

Each in attacks.txt is a module that should define `f`. In it `{port}` is a listening service of the host, `{path}` a
writable folder of it, `{pid}` the trainer.
"""

from __future__ import annotations

import re
from pathlib import Path

_BLOCKS = re.split(r"^=== (\w+): (.*)\n", Path(__file__).with_suffix(".txt").read_text(), flags=re.MULTILINE)[1:]
_ALL = list(zip(_BLOCKS[0::3], _BLOCKS[1::3], _BLOCKS[2::3], strict=True))

FORGERIES = {name: source.strip("\n") for kind, name, source in _ALL if kind == "forgery"}
HARM = {name: source.strip("\n") for kind, name, source in _ALL if kind == "harm"}
