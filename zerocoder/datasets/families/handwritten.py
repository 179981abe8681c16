"""Problems written by hand: statements, solutions and expected values, none of them produced by the grammar."""

from __future__ import annotations

from dataclasses import dataclass

from zerocoder.datasets.families.core import Split


@dataclass(frozen=True, slots=True)
class Handwritten:
    """One problem; `tests` are `arguments) == value` pairs, written out by hand as `(arguments, value)` source."""

    name: str
    parameters: str
    statement: str
    body: str
    cases: str
    split: Split

    @property
    def signature(self) -> str:
        return f"def {self.name}({self.parameters}):"

    @property
    def solution(self) -> str:
        return "\n".join([self.signature, *(f"    {line}" for line in self.body.split("\n"))])

    @property
    def tests(self) -> tuple[str, ...]:
        """The part of each assert that follows `assert name(`."""
        return tuple(case.replace(" -> ", ") == ") for case in self.cases.split(" ; "))


def _train(name: str, parameters: str, statement: str, body: str, cases: str) -> Handwritten:
    return Handwritten(name, parameters, statement, body, cases, Split.TRAIN)


def _heldout(name: str, parameters: str, statement: str, body: str, cases: str) -> Handwritten:
    return Handwritten(name, parameters, statement, body, cases, Split.HELDOUT)


HANDWRITTEN: tuple[Handwritten, ...] = (
    _train("add", "a, b", "Add the two numbers a and b.", "return a + b",
           "1, 2 -> 3 ; 0, 0 -> 0 ; 5, 4 -> 9 ; -1, 1 -> 0 ; 7, 8 -> 15 ; -3, -4 -> -7"),
    _train("larger", "a, b", "Return the larger of a and b.", "return max(a, b)",
           "1, 2 -> 2 ; 5, 3 -> 5 ; 4, 4 -> 4 ; -1, -2 -> -1 ; 0, 9 -> 9 ; 0, -9 -> 0"),
    _train("distance", "a, b", "Return how far apart a and b are.", "return abs(a - b)",
           "1, 4 -> 3 ; 4, 1 -> 3 ; 2, 2 -> 0 ; -1, 1 -> 2 ; 0, 9 -> 9 ; 9, 0 -> 9"),
    _train("between", "n", "Tell whether n is greater than 2 and less than 7.", "return 2 < n < 7",
           "2 -> False ; 3 -> True ; 6 -> True ; 7 -> False ; 0 -> False ; 9 -> False"),
    _train("sign", "n", "Return 1 if n is positive, -1 if it is negative and 0 if it is zero.",
           "return (n > 0) - (n < 0)", "5 -> 1 ; 1 -> 1 ; 0 -> 0 ; -1 -> -1 ; -7 -> -1 ; 9 -> 1"),
    _train("middle", "xs", "Return the middle number of a list of odd length.", "return xs[len(xs) // 2]",
           "[4] -> 4 ; [1, 2, 3] -> 2 ; [3, 9, 1] -> 9 ; [0, 0, 5, 1, 1] -> 5 ; [7, 6, 5] -> 6 ; [1, 2, 4, 8, 9] -> 4"),
    _train("swap_ends", "xs", "Swap the first and the last number of the list.",
           "if len(xs) < 2:\n    return xs\nreturn [xs[-1], *xs[1:-1], xs[0]]",
           "[] -> [] ; [1] -> [1] ; [1, 2] -> [2, 1] ; [1, 2, 3] -> [3, 2, 1] ; [4, 0, 0, 5] -> [5, 0, 0, 4] "
           "; [7, 7, 1] -> [1, 7, 7]"),
    _train("running", "xs", "Return the list of running sums: each number plus all before it.",
           "total = 0\nsums = []\nfor x in xs:\n    total += x\n    sums.append(total)\nreturn sums",
           "[] -> [] ; [3] -> [3] ; [1, 2] -> [1, 3] ; [1, 2, 3] -> [1, 3, 6] ; [5, -5] -> [5, 0] "
           "; [0, 4, 1] -> [0, 4, 5]"),
    _train("rotate", "xs", "Move the first number of the list to its end.", "return xs[1:] + xs[:1]",
           "[] -> [] ; [1] -> [1] ; [1, 2] -> [2, 1] ; [1, 2, 3] -> [2, 3, 1] ; [0, 0, 4] -> [0, 4, 0] "
           "; [9, 8, 7, 6] -> [8, 7, 6, 9]"),
    _train("is_sorted", "xs", "Tell whether the numbers never get smaller from left to right.",
           "return xs == sorted(xs)",
           "[] -> True ; [1] -> True ; [1, 2] -> True ; [2, 1] -> False ; [1, 1, 2] -> True ; [1, 3, 2] -> False"),
    _train("peaks", "xs", "Count the numbers that are greater than both of their neighbours.",
           "return sum(a < b > c for a, b, c in zip(xs, xs[1:], xs[2:]))",
           "[] -> 0 ; [5] -> 0 ; [1, 3, 2] -> 1 ; [1, 2, 3] -> 0 ; [1, 3, 1, 4, 2] -> 2 ; [3, 1, 3] -> 0"),
    _train("second_best", "xs", "Return the second largest number of a list of at least two numbers.",
           "return sorted(xs)[-2]",
           "[1, 2] -> 1 ; [2, 1] -> 1 ; [3, 5, 4] -> 4 ; [7, 7, 1] -> 7 ; [0, 9, 3, 5] -> 5 ; [-1, -2] -> -2"),
    _train("merge", "xs, ys", "Join the two lists xs and ys and sort the numbers.", "return sorted(xs + ys)",
           "[], [] -> [] ; [1], [] -> [1] ; [2], [1] -> [1, 2] ; [1, 3], [2] -> [1, 2, 3] ; [4], [4] -> [4, 4] "
           "; [5, 0], [3] -> [0, 3, 5]"),
    _train("common", "xs, ys", "Keep the numbers of xs that are also in ys.", "return [x for x in xs if x in ys]",
           "[], [1] -> [] ; [1], [] -> [] ; [1, 2], [2] -> [2] ; [3, 1], [1, 3] -> [3, 1] ; [2, 2], [2] -> [2, 2] "
           "; [4, 5, 6], [6, 4] -> [4, 6]"),
    _train("dot", "xs, ys", "Multiply the lists xs and ys number by number and add up the products.",
           "return sum(x * y for x, y in zip(xs, ys))",
           "[], [] -> 0 ; [2], [3] -> 6 ; [1, 2], [3, 4] -> 11 ; [0, 5], [9, 1] -> 5 ; [1, 1, 1], [1, 2, 3] -> 6 "
           "; [-1], [4] -> -4"),
    _train("zigzag", "xs, ys", "Take numbers from xs and ys in turn, starting with xs; both have the same length.",
           "return [z for pair in zip(xs, ys) for z in pair]",
           "[], [] -> [] ; [1], [2] -> [1, 2] ; [1, 3], [2, 4] -> [1, 2, 3, 4] ; [0, 0], [5, 5] -> [0, 5, 0, 5] "
           "; [7], [7] -> [7, 7] ; [4, 1], [9, 2] -> [4, 9, 1, 2]"),
    _train("initials", "ws", "Return the first letters of the words as one string.",
           'return "".join(w[:1] for w in ws)',
           '[] -> "" ; ["ab"] -> "a" ; ["ab", "cd"] -> "ac" ; ["x", "y", "z"] -> "xyz" ; ["no", "on"] -> "no" '
           '; ["tea"] -> "t"'),
    _train("capital", "s", "Turn the first letter of the string into a capital.", "return s[:1].upper() + s[1:]",
           '"" -> "" ; "a" -> "A" ; "ab" -> "Ab" ; "tea" -> "Tea" ; "oo" -> "Oo" ; "No" -> "No"'),
    _train("mask", "s", 'Replace every letter but the last by "*".', 'return "*" * (len(s) - 1) + s[-1:]',
           '"" -> "" ; "a" -> "a" ; "ab" -> "*b" ; "tea" -> "**a" ; "oo" -> "*o" ; "stone" -> "****e"'),
    _train("vowel_end", "s", "Tell whether the string ends with a vowel.", 'return s[-1:] in tuple("aeiou")',
           '"" -> False ; "a" -> True ; "b" -> False ; "sea" -> True ; "sat" -> False ; "io" -> True'),
    _train("longest_run", "s", "Return the length of the longest run of equal letters.",
           "best = run = 0\nlast = None\nfor c in s:\n    run = run + 1 if c == last else 1\n    last = c\n"
           "    best = max(best, run)\nreturn best",
           '"" -> 0 ; "a" -> 1 ; "aa" -> 2 ; "aab" -> 2 ; "abbb" -> 3 ; "aba" -> 1'),
    _train("most_common", "s", "Return the letter that occurs most often; the first such letter wins.",
           "return max(s, key=s.count)",
           '"a" -> "a" ; "ab" -> "a" ; "abb" -> "b" ; "aab" -> "a" ; "caca" -> "c" ; "teee" -> "e"'),
    _train("invert", "d", "Swap the keys and the values of the dict.", "return {v: k for k, v in d.items()}",
           '{} -> {} ; {"a": 1} -> {1: "a"} ; {"a": 1, "b": 2} -> {1: "a", 2: "b"} ; {"x": 0} -> {0: "x"} '
           '; {"b": 3} -> {3: "b"} ; {"o": 5, "e": 6} -> {5: "o", 6: "e"}'),
    _train("diagonal", "rows", "Return the list of numbers on the diagonal of a square table.",
           "return [row[i] for i, row in enumerate(rows)]",
           "[] -> [] ; [[3]] -> [3] ; [[1, 2], [3, 4]] -> [1, 4] ; [[0, 1], [1, 0]] -> [0, 0] "
           "; [[5, 0, 0], [0, 6, 0], [0, 0, 7]] -> [5, 6, 7] ; [[9, 8], [7, 6]] -> [9, 6]"),
    _train("columns", "rows", "Return the sums of the columns of a table.",
           "return [sum(column) for column in zip(*rows)]",
           "[] -> [] ; [[1]] -> [1] ; [[1, 2]] -> [1, 2] ; [[1, 2], [3, 4]] -> [4, 6] ; [[0], [5]] -> [5] "
           "; [[1, 1], [1, 1], [1, 1]] -> [3, 3]"),
    _train("factorial", "n", "Return the product of the numbers from 1 to n.",
           "result = 1\nfor i in range(2, n + 1):\n    result *= i\nreturn result",
           "0 -> 1 ; 1 -> 1 ; 2 -> 2 ; 3 -> 6 ; 4 -> 24 ; 5 -> 120"),
    _train("fibonacci", "n", "Return the n-th Fibonacci number; the first two are 0 and 1, and n counts from 0.",
           "a, b = 0, 1\nfor _ in range(n):\n    a, b = b, a + b\nreturn a",
           "0 -> 0 ; 1 -> 1 ; 2 -> 1 ; 3 -> 2 ; 6 -> 8 ; 7 -> 13"),
    _train("is_prime", "n", "Tell whether n is a prime number.",
           "return n > 1 and all(n % i for i in range(2, n))",
           "0 -> False ; 1 -> False ; 2 -> True ; 3 -> True ; 4 -> False ; 9 -> False ; 11 -> True"),
    _train("divisors", "n", "List the numbers from 1 to n that divide n.",
           "return [i for i in range(1, n + 1) if n % i == 0]",
           "1 -> [1] ; 2 -> [1, 2] ; 4 -> [1, 2, 4] ; 6 -> [1, 2, 3, 6] ; 7 -> [1, 7] ; 9 -> [1, 3, 9]"),
    _train("fizz", "n", 'Return "fizz" if 3 divides n, else "buzz" if 5 divides it, else "".',
           'return "fizz" if n % 3 == 0 else "buzz" if n % 5 == 0 else ""',
           '1 -> "" ; 3 -> "fizz" ; 5 -> "buzz" ; 15 -> "fizz" ; 10 -> "buzz" ; 8 -> ""'),
    _heldout("average", "a, b", "Return the average of a and b, rounded down to a whole number.", "return (a + b) // 2",
             "1, 3 -> 2 ; 3, 1 -> 2 ; 1, 2 -> 1 ; 0, 0 -> 0 ; 9, 4 -> 6 ; -1, -2 -> -2"),
    _heldout("up_to", "a, b", "List the numbers from a to b, both included; there are none if a is larger.",
             "return list(range(a, b + 1))",
             "1, 3 -> [1, 2, 3] ; 2, 2 -> [2] ; 3, 1 -> [] ; 0, 1 -> [0, 1] ; -1, 1 -> [-1, 0, 1] ; 5, 7 -> [5, 6, 7]"),
    _heldout("neighbour_sums", "xs", "Add every number to the one that follows it and return the list of these sums.",
             "return [a + b for a, b in zip(xs, xs[1:])]",
             "[] -> [] ; [4] -> [] ; [1, 2] -> [3] ; [1, 2, 3] -> [3, 5] ; [5, 0, 5] -> [5, 5] ; [2, 2, 1] -> [4, 3]"),
    _heldout("position", "xs, x", "Return where x is in the list xs for the first time, counted from 0, or -1.",
             "return xs.index(x) if x in xs else -1",
             "[], 1 -> -1 ; [1], 1 -> 0 ; [1, 2], 2 -> 1 ; [3, 3, 3], 3 -> 0 ; [4, 5, 6, 5], 5 -> 1 ; [7, 8], 9 -> -1"),
    _heldout("same_numbers", "xs, ys", "Tell whether xs and ys hold the same numbers, in whatever order.",
             "return sorted(xs) == sorted(ys)",
             "[], [] -> True ; [1, 2], [2, 1] -> True ; [1, 1], [1] -> False ; [3], [4] -> False "
             "; [2, 3, 2], [2, 2, 3] -> True ; [1, 2], [1, 2, 0] -> False"),
    _heldout("longest", "ws", 'Return the longest word, the first one if there are several, or "" if there is none.',
             'return max(ws, key=len, default="")',
             '[] -> "" ; ["ab"] -> "ab" ; ["a", "bc"] -> "bc" ; ["ab", "cd"] -> "ab" ; ["tea", "no", "sea"] -> "tea" '
             '; ["", "x"] -> "x"'),
    _heldout("halves", "s", "Swap the first and the second half of a string of even length.",
             "return s[len(s) // 2:] + s[:len(s) // 2]",
             '"" -> "" ; "ab" -> "ba" ; "abcd" -> "cdab" ; "aabb" -> "bbaa" ; "note" -> "teno" ; "eeeeee" -> "eeeeee"'),
    _heldout("digits", "n", "List the digits of n from left to right.", "return [int(c) for c in str(n)]",
             "0 -> [0] ; 7 -> [7] ; 10 -> [1, 0] ; 12 -> [1, 2] ; 99 -> [9, 9] ; 305 -> [3, 0, 5]"),
)  # fmt: skip
