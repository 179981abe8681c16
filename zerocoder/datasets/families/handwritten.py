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
    _heldout("smaller", "a, b", "Return the smaller of a and b.", "return min(a, b)",
             "1, 2 -> 1 ; 5, 3 -> 3 ; 4, 4 -> 4 ; -1, -2 -> -2 ; 0, 9 -> 0 ; 9, 0 -> 0"),
    _heldout("difference", "a, b", "Subtract b from a.", "return a - b",
             "5, 3 -> 2 ; 3, 5 -> -2 ; 0, 0 -> 0 ; 9, 1 -> 8 ; 1, -1 -> 2 ; 4, 4 -> 0"),
    _heldout("outside", "n", "Tell whether n is less than 2 or greater than 6.", "return n < 2 or n > 6",
             "1 -> True ; 2 -> False ; 6 -> False ; 7 -> True ; 4 -> False ; 0 -> True"),
    _heldout("same_ends", "xs", "Tell whether the list is not empty and starts and ends with the same number.",
             "return len(xs) > 0 and xs[0] == xs[-1]",
             "[] -> False ; [1] -> True ; [1, 2] -> False ; [1, 2, 1] -> True ; [3, 3] -> True ; [2, 1, 1] -> False"),
    _heldout("rotate_back", "xs", "Move the last number of the list to its front.", "return xs[-1:] + xs[:-1]",
             "[] -> [] ; [1] -> [1] ; [1, 2] -> [2, 1] ; [1, 2, 3] -> [3, 1, 2] ; [0, 0, 4] -> [4, 0, 0] "
             "; [9, 8, 7, 6] -> [6, 9, 8, 7]"),
    _heldout("spread", "xs", "Return the largest minus the smallest number, or 0 if there is none.",
             "return max(xs) - min(xs) if xs else 0",
             "[] -> 0 ; [4] -> 0 ; [1, 5] -> 4 ; [5, 1] -> 4 ; [3, 3] -> 0 ; [2, 9, 4] -> 7"),
    _heldout("only_xs", "xs, ys", "Keep the numbers of xs that are not in ys.",
             "return [x for x in xs if x not in ys]",
             "[], [1] -> [] ; [1], [] -> [1] ; [1, 2], [2] -> [1] ; [3, 1], [1, 3] -> [] ; [2, 2], [1] -> [2, 2] "
             "; [4, 5, 6], [6, 4] -> [5]"),
    _heldout("sums", "xs, ys", "Add the lists xs and ys number by number.",
             "return [x + y for x, y in zip(xs, ys)]",
             "[], [] -> [] ; [2], [3] -> [5] ; [1, 2], [3, 4] -> [4, 6] ; [0, 5], [9, 1] -> [9, 6] "
             "; [1, 1, 1], [1, 2, 3] -> [2, 3, 4] ; [-1], [4] -> [3]"),
    _heldout("endings", "ws", "Return the last letters of the words as one string.",
             'return "".join(w[-1:] for w in ws)',
             '[] -> "" ; ["ab"] -> "b" ; ["ab", "cd"] -> "bd" ; ["x", "y"] -> "xy" ; ["no", "on"] -> "on" '
             '; ["tea"] -> "a"'),
    _heldout("wrap", "s", 'Put "(" before and ")" behind the string.', 'return "(" + s + ")"',
             '"" -> "()" ; "a" -> "(a)" ; "ab" -> "(ab)" ; "tea" -> "(tea)" ; "oo" -> "(oo)" ; "x" -> "(x)"'),
    _heldout("doubled", "s", "Tell whether any letter is followed by the same letter.",
             "return any(a == b for a, b in zip(s, s[1:]))",
             '"" -> False ; "a" -> False ; "aa" -> True ; "aba" -> False ; "abb" -> True ; "abab" -> False'),
    _heldout("transpose", "rows", "Turn the rows of a table into its columns.",
             "return [list(column) for column in zip(*rows)]",
             "[] -> [] ; [[1]] -> [[1]] ; [[1, 2]] -> [[1], [2]] ; [[1, 2], [3, 4]] -> [[1, 3], [2, 4]] "
             "; [[1], [2]] -> [[1, 2]] ; [[5, 6], [7, 8]] -> [[5, 7], [6, 8]]"),
    _heldout("power", "n", "Return 2 to the power of n.", "return 2**n",
             "0 -> 1 ; 1 -> 2 ; 2 -> 4 ; 3 -> 8 ; 4 -> 16 ; 5 -> 32"),
    _heldout("digit_sum", "n", "Return the sum of the digits of n.", "return sum(int(c) for c in str(n))",
             "0 -> 0 ; 7 -> 7 ; 10 -> 1 ; 12 -> 3 ; 99 -> 18 ; 305 -> 8"),
)  # fmt: skip
