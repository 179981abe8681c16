"""Values on the wire: ASCII JSON with tags, known types only, safe to decode whoever wrote it.

JSON carries None, bool, str, float, small int and list as themselves; everything else is an object with one key, the
tag. A value is read through the methods of its base type, so that what a subclass overrides (`__eq__`, `__iter__`,
`__class__`, a metaclass) has no say, and it arrives as that base. What has no plain form raises Unsupported: it fails
closed. A new type is a row in one of the tables of:

    core        None, bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, range
    scalars     Decimal, Fraction, date, time, datetime, timedelta, timezone
    containers  Counter, OrderedDict, defaultdict, deque
    records     namedtuple, dataclass instances, enum members
    matches     what a regular expression found
    iterators   iterators, which stay where they are and are asked for their items
    arrays      numpy's scalars and arrays, where programs may import numpy

There are two ways to decode. Plain, for the warden: a hostile frame cannot make it build a class, import a module or
compare two numbers for long; a namedtuple is its tuple, an IntEnum member its int, and a dataclass instance, other enum
member or match an object that equals nothing. Rich, for the judge and the runner: all of them can be used as what they
were. Both raise nothing but Unsupported, which is NotPlain where a rich decoder may succeed. What a value cannot tell
later on (whether one with a `__bool__` of the program's own is true) is NotPlain, too, or Undecidable where it was
decoded richly.
"""

from . import arrays, containers, core, iterators, matches, records, scalars  # noqa: F401 (importing them adds their rows)
from .core import (
    MAX_DEPTH,
    MAX_KEY_BITS,
    NotPlain,
    Undecidable,
    Unsupported,
    decode,
    dumps,
    encode,
    from_bytes,
    is_basic,
    is_mutable,
    loads,
    overwrite,
    paced,
    to_bytes,
)
from .iterators import Kept, rich_decoder

core.set_finders(
    (
        arrays.array_encoder,
        records.special_encoder,
        core.base_encoder,
        records.dataclass_encoder,
        iterators.iterator_encoder,
    )
)

__all__ = [
    "MAX_DEPTH",
    "MAX_KEY_BITS",
    "Kept",
    "NotPlain",
    "Undecidable",
    "Unsupported",
    "decode",
    "dumps",
    "encode",
    "from_bytes",
    "is_basic",
    "is_mutable",
    "loads",
    "overwrite",
    "paced",
    "rich_decoder",
    "to_bytes",
]
