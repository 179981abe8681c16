"""The benchmark's own problems: for each a right program, another right one, wrong, failing and odd ones, and 8 tests.

All sources are ours and harmless, except that `odd` programs may never end (see `odd_is_endless`). "Another right one"
mostly keeps state between calls, so it is right only where each test meets a fresh namespace. Two of the eight tests
assert something wrong, as tests written by a model do; about half need more than a comparison of literals: loops,
try/except, identity, mutated arguments, isclose.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sources:
    """The texts of one problem."""

    name: str
    entry_point: str
    right: str
    other_right: str
    wrong: tuple[str, str]
    failing: str  # raises, or is no Python
    odd: str  # endless, or runs away in another manner that ends by itself
    odd_is_endless: bool
    right_tests: tuple[str, str, str, str, str, str]
    wrong_tests: tuple[str, str]


_DIGITS = Sources(
    name="digits",
    entry_point="digit_sum",
    right="""
def digit_sum(n):
    total = 0
    n = abs(n)
    while n > 0:
        total += n % 10
        n //= 10
    return total
""",
    other_right="""
_seen = set()
def digit_sum(n):
    if n in _seen:                       # right only when nobody asked before
        return -1
    _seen.add(n)
    return sum(map(int, str(n).lstrip('-')))
""",
    wrong=(
        "def digit_sum(n):\n    return n % 10 + n // 10\n",
        "def digit_sum(n):\n    return len(str(n))\n",
    ),
    failing="def digit_sum(n):\n    return sum(int(c) for c in n)\n",
    odd="def digit_sum(n):\n    total = 0\n    while n != 0 or True:\n        total += n % 10\n        n //= 10\n",
    odd_is_endless=True,
    right_tests=(
        "assert digit_sum(123) == 6",
        "assert digit_sum(0) == 0",
        "assert digit_sum(-45) == 9",
        "for n in (7, 70, 700):\n    assert digit_sum(n) == 7",
        "assert digit_sum(99999) == 45",
        "assert digit_sum(10 ** 30 + 5) == 6",
    ),
    wrong_tests=("assert digit_sum(19) == 11", "assert digit_sum(-1) == -1"),
)

_ROTATE = Sources(
    name="rotate",
    entry_point="rotate",
    right="""
def rotate(xs, k):
    n = len(xs)
    if n == 0:
        return []
    if k < 0:
        k = k + n * (1 - k // n)
    k = k % n
    out = []
    for i in range(n):
        out.append(xs[(i - k + n) % n])
    return out
""",
    other_right="""
from collections import deque
def rotate(xs, k, _ring=deque()):        # the default argument remembers
    _ring.extend(xs)
    _ring.rotate(k)
    return list(_ring)
""",
    wrong=(
        "def rotate(xs, k):\n    return xs[k:] + xs[:k]\n",
        "def rotate(xs, k):\n    return xs[-k:] + xs[:-k]\n",
    ),
    failing="def rotate(xs, k):\nreturn xs\n",
    odd="def rotate(xs, k):\n    return rotate(xs[1:] + xs[:1], k + 1)\n",
    odd_is_endless=False,
    right_tests=(
        "assert rotate([1, 2, 3, 4], 1) == [4, 1, 2, 3]",
        "assert rotate([], 3) == []",
        "assert rotate([1, 2, 3], 4) == [3, 1, 2]",
        "xs = [1, 2, 3]\nys = rotate(xs, 3)\nassert ys == xs and ys is not xs",
        "assert rotate(['a', 'b'], 1) == ['b', 'a']",
        "assert rotate([1, 2, 3], -1) == [2, 3, 1]",
    ),
    wrong_tests=("assert rotate([1, 2, 3, 4], 1) == [2, 3, 4, 1]", "assert rotate([5], 1) == []"),
)

_COUNTS = Sources(
    name="counts",
    entry_point="word_counts",
    right="""
def word_counts(text):
    counts = {}
    for word in text.lower().split():
        word = word.strip('.,!?')
        if word != '' and word is not None:
            counts[word] = counts.get(word, 0) + 1
    return counts
""",
    other_right="""
import re
from collections import Counter
_total = Counter()
def word_counts(text):
    _total.update(re.findall(r"[^\\s.,!?]+", text.lower()))
    return dict(_total)
""",
    wrong=(
        "def word_counts(text):\n    return {w: text.split().count(w) for w in text.split()}\n",
        "def word_counts(text):\n    return dict.fromkeys(text.lower().split(), 1)\n",
    ),
    failing="def word_counts(text):\n    counts = {}\n    counts[text] += 1\n    return counts\n",
    odd="""
def word_counts(text):
    while True:
        try:
            return {}[text]
        except:                          # swallows every exception, also a timeout's
            pass
""",
    odd_is_endless=True,
    right_tests=(
        "assert word_counts('a b a') == {'a': 2, 'b': 1}",
        "assert word_counts('') == {}",
        "assert word_counts('Go, go!') == {'go': 2}",
        "counts = word_counts('x y z x')\nassert sum(counts.values()) == 4",
        "assert word_counts('one') == {'one': 1}",
        "assert sorted(word_counts('b a c')) == ['a', 'b', 'c']",
    ),
    wrong_tests=("assert word_counts('a A') == {'a': 1, 'A': 1}", "assert word_counts('a b') == ['a', 'b']"),
)

_PALINDROME = Sources(
    name="palindrome",
    entry_point="is_palindrome",
    right="""
def is_palindrome(s):
    left, right = 0, len(s) - 1
    while left < right:
        if not s[left].isalnum():
            left += 1
        elif not s[right].isalnum():
            right -= 1
        elif s[left].lower() != s[right].lower():
            return False
        else:
            left += 1
            right -= 1
    return True
""",
    other_right="""
class Letters:
    asked = []
    def check(self, letters):
        self.asked.append(letters)       # on the class: another instance sees it
        return (letters == letters[::-1]) is (self.asked.count(letters) == 1)
def is_palindrome(s):
    return Letters().check([c for c in s.lower() if c.isalnum()])
""",
    wrong=(
        "def is_palindrome(s):\n    return s == s[::-1]\n",
        "def is_palindrome(s):\n    return not s or s[0].lower() == s[-1].lower()\n",
    ),
    failing="import palindromes_that_are_absent as p\ndef is_palindrome(s):\n    return p.check(s)\n",
    odd="""
class Half:
    def __getattr__(self, name):
        return getattr(self, name + '_')
def is_palindrome(s):
    return Half().left
""",
    odd_is_endless=False,
    right_tests=(
        "assert is_palindrome('level') is True",
        "assert is_palindrome('A man, a plan, a canal: Panama')",
        "assert not is_palindrome('abca')",
        "assert is_palindrome('') == True",
        "for s in ('aa', 'aba', 'a bb a'):\n    assert is_palindrome(s)\n    assert not is_palindrome(s + 'z')",
        "assert is_palindrome('No') == False",
    ),
    wrong_tests=("assert is_palindrome('ab') == True", "assert is_palindrome('Aa') is False"),
)

_GCD = Sources(
    name="gcd",
    entry_point="gcd_all",
    right="""
def gcd_all(nums):
    result = 0
    for n in nums:
        a, b = abs(n), abs(result)
        if a == 0:
            continue
        while b != 0:
            a, b = b, a % b
        if a == 1:
            return 1
        result = a
    return result
""",
    other_right="""
import math
from functools import lru_cache, reduce
@lru_cache(maxsize=None)
def _gcd(a, b):
    return math.gcd(a, b)
def gcd_all(nums):
    return reduce(_gcd, nums, 0)
""",
    wrong=(
        "def gcd_all(nums):\n    return min(nums, default=0)\n",
        "def gcd_all(nums):\n    return max(d for d in range(1, 7) if all(n % d == 0 for n in nums))\n",
    ),
    failing="def gcd_all(nums):\n    first = nums.pop(0) / 0\n    return first\n",
    odd="import itertools\ndef gcd_all(nums):\n    return next(d for d in itertools.count(1) if d < 0)\n",
    odd_is_endless=True,
    right_tests=(
        "assert gcd_all([12, 18]) == 6",
        "assert gcd_all([]) == 0",
        "assert gcd_all([7]) == 7",
        "assert gcd_all([-4, 6, 10]) == 2",
        "g = gcd_all([30, 45, 75])\nfor n in (30, 45, 75):\n    assert n % g == 0\nassert g == 15",
        "assert gcd_all([17, 31]) == 1",
    ),
    wrong_tests=("assert gcd_all([12, 18]) == 36", "assert gcd_all([0, 5]) == 0"),
)

_MEDIAN = Sources(
    name="median",
    entry_point="median",
    right="""
def median(xs):
    ordered = sorted(xs)
    n = len(ordered)
    middle = n // 2
    if n % 2 == 1:
        return float(ordered[middle])
    return (ordered[middle - 1] + ordered[middle]) / 2
""",
    other_right="import statistics\ndef median(xs):\n    return float(statistics.median(xs))\n",
    wrong=(
        "def median(xs):\n    return sorted(xs)[len(xs) // 2]\n",
        "def median(xs):\n    return sum(xs) / len(xs)\n",
    ),
    failing="def median(xs):\n    return {}['middle']\n",
    odd="def median(xs):\n    high = 1.0\n    while high > 0:\n        high = (high + 1) / 2\n    return high\n",
    odd_is_endless=True,
    right_tests=(
        "assert median([3, 1, 2]) == 2.0",
        "import math\nassert math.isclose(median([1, 2, 3, 4]), 2.5)",
        "assert abs(median([0.1, 0.2]) - 0.15) < 1e-9",
        "assert isinstance(median([1]), float)",
        "assert round(median([10, 20, 25, 30]), 3) == 22.5",
        "try:\n    median([])\nexcept Exception:\n    pass\nelse:\n    assert False",
    ),
    wrong_tests=("assert median([1, 2, 3, 4]) == 2.0", "assert median([5, 1]) is None"),
)

_DEDUPE = Sources(
    name="dedupe",
    entry_point="dedupe",
    right="""
def dedupe(xs):
    kept = 0
    for i in range(len(xs)):
        j, found = 0, False
        while j < kept and not found:
            found = xs[j] == xs[i]
            j += 1
        if not found:
            xs[kept] = xs[i]
            kept += 1
    while len(xs) > kept:
        xs.pop()
    return xs
""",
    other_right="""
class Kept:
    def __init__(self, xs):
        self.xs = xs
    def first(self):
        self.xs[:] = dict.fromkeys(self.xs)
        return self.xs
def dedupe(xs):
    return Kept(xs).first()
""",
    wrong=("def dedupe(xs):\n    return list(dict.fromkeys(xs))\n", "def dedupe(xs):\n    return xs\n"),
    failing="def dedupe(xs):\n    return xs.unique()\n",
    odd="def dedupe(xs):\n    def f(n):\n        return f(n + 1) + xs[n]\n    return f(0)\n",
    odd_is_endless=False,
    right_tests=(
        "xs = [1, 2, 1]\ndedupe(xs)\nassert xs == [1, 2]",
        "assert dedupe([]) == []",
        "ys = [3, 3]\nassert dedupe(ys) is ys",
        "assert dedupe(['b', 'a', 'b']) == ['b', 'a']",
        "for n in range(4):\n    assert dedupe(list(range(n)) * 2) == list(range(n))",
        "assert dedupe([1, 1, 1]) == [1]",
    ),
    wrong_tests=("assert dedupe([2, 1, 2]) == [1, 2]", "assert dedupe([1]) is None"),
)

_SEARCH = Sources(
    name="search",
    entry_point="search",
    right="""
def search(xs, x):
    low, high = 0, len(xs)
    while low < high:
        middle = (low + high) // 2
        if xs[middle] < x:
            low = middle + 1
        else:
            high = middle
    if low < len(xs) and xs[low] == x:
        return low
    return -1
""",
    other_right="""
import bisect
_asked = []
def search(xs, x):
    _asked.append(x)
    i = bisect.bisect_left(xs, _asked[0])
    return i if i < len(xs) and xs[i] == x else -1
""",
    wrong=(
        "def search(xs, x):\n    return xs.index(x) if x in xs else 0\n",
        "def search(xs, x):\n    return len(xs) - 1 - xs[::-1].index(x) if x in xs else -1\n",
    ),
    failing="def search(xs, x):\n    return int(input())\n",
    odd="def search(xs, x):\n    return 1 + search(xs[1:] + [x + 1], x) if xs else 0\n",
    odd_is_endless=False,
    right_tests=(
        "assert search([1, 3, 5], 3) == 1",
        "assert search([], 1) == -1",
        "assert search([1, 3, 5], 4) == -1",
        "xs = list(range(0, 100, 3))\nassert search(xs, 60) == xs.index(60)",
        "assert search([2, 2, 2], 2) == 0",
        "assert search(['a', 'c'], 'c') == 1",
    ),
    wrong_tests=("assert search([1, 3, 5], 5) == 3", "assert search([1], 2) is None"),
)

PROBLEMS = (_DIGITS, _ROTATE, _COUNTS, _PALINDROME, _GCD, _MEDIAN, _DEDUPE, _SEARCH)
"""Four of them have an endless program: one in 16 of all programs."""

CRASHING = (
    "import os\ndef double(x):\n    os.abort()\n",
    "import os\ndef double(x):\n    os._exit(0)\n",
    "import os, signal\ndef double(x):\n    os.kill(os.getpid(), signal.SIGKILL)\n",
    "import ctypes\ndef double(x):\n    return ctypes.string_at(8)\n",
    "def double(x):\n    return len([bytearray(1 << 24) for _ in range(1 << 12)])\n",
    "import sys\nsys.setrecursionlimit(10 ** 9)\ndef double(x):\n    return double(x) + 0\n",
    "def double(x):\n    return 'x' * (1 << 28)\n",
)
"""Programs that end the interpreter or take all they can get; none doubles a number."""
