"""Which training problems are also evaluation problems, by where they come from or by what their statements say.

Two problems match when
- they were first published under one name (a contest's problem that two data sets took over), or are one row of one
  data set;
- their statements are equal but for case, spacing, markup and quotes;
- of the shorter statement's runs of 13 words, at least a given share stands in the other too.

The last rule is for statements of 50 words and more. In shorter ones a phrase that many problems share ("write a
function to find ... in the given list", and all that the built-in problems are made of) fills most of the runs of 13
words there are, so that wording alone does not tell a copy from a neighbour: those match as wholes or not at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerocoder.problems import Problem

RUN = 13
"""Words of a run, as GPT-3's authors took them."""
MIN_WORDS = 50
"""Of statements that are compared by their runs."""
MIN_WORDS_ALONE = 8
"""Shorter statements ("Complete the function.") are equal only when their signatures are too."""
_MARKUP = re.compile(r"""[$\\`'"‘’“”#]""")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it loses nothing


class Evidence(StrEnum):
    """What a match rests on, the strongest first."""

    ORIGIN = "origin"
    STATEMENT = "statement"
    OVERLAP = "overlap"


@dataclass(frozen=True, slots=True)
class Match:
    """A training problem that is an evaluation problem.

    evaluation: where it is evaluated on and its id there, "benchmark: id".
    share: of the shorter statement's runs of words that the other has too; 1 for other evidence.
    """

    training: str
    evaluation: str
    evidence: Evidence
    share: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What was compared with what, and the matches: the strongest of every training problem that has any."""

    training: int
    evaluation: Mapping[str, int]
    overlap: float
    matches: tuple[Match, ...]

    @property
    def ids(self) -> frozenset[str]:
        """Of the training problems that match."""
        return frozenset(match.training for match in self.matches)

    def line(self, dropped: bool) -> str:
        """One line for a run's log."""
        against = ", ".join(f"{count} of {name}" for name, count in self.evaluation.items() if count)
        kinds = Counter(match.evidence for match in self.matches)
        told = ", ".join(f"{kinds[kind]} by {kind}" for kind in Evidence if kinds[kind])
        what = f"{len(self.matches)} {'dropped' if dropped else 'kept'} ({told})" if self.matches else "none"
        compared = against or "nothing to compare with"
        return f"contamination: {what} of {self.training} training problems match an evaluation problem ({compared})"

    def as_dict(self) -> dict[str, Any]:
        """For the run's folder."""
        return {
            "training_problems": self.training,
            "compared_with": dict(self.evaluation),
            "run_of_words": RUN,
            "overlap": self.overlap,
            "matches": [asdict(match) for match in self.matches],
        }


def find_matches(
    training: Sequence[Problem], evaluation: Mapping[str, Sequence[Problem]], overlap: float = 0.5
) -> Findings:
    """Compare training problems with the evaluation problems of every benchmark, by its name.

    `overlap` is the share, above 0 and up to 1, from which on statements match by their runs of words.
    """
    index = _Index(evaluation)
    matches = (index.match(problem, overlap) for problem in training)
    sizes = {name: len(problems) for name, problems in evaluation.items()}
    return Findings(len(training), sizes, overlap, tuple(match for match in matches if match is not None))


class _Index:
    """The evaluation problems, to be found by origin, statement and runs of words."""

    def __init__(self, evaluation: Mapping[str, Iterable[Problem]]) -> None:
        self._names: list[str] = []
        self._origins: dict[str, int] = {}
        self._statements: dict[str, int] = {}
        runs: list[NDArray[np.uint64]] = []
        for name, problems in evaluation.items():
            for problem in problems:
                number, tokens = len(self._names), _tokens(problem.statement)
                self._names.append(f"{name}: {problem.id}")
                for origin in _origins(problem):
                    self._origins.setdefault(origin, number)
                self._statements.setdefault(_plain(problem, tokens), number)
                runs.append(_runs(tokens))
        self._sizes = np.array([len(r) for r in runs], dtype=np.int64)  # [problems]
        hashes = np.concatenate([*runs, np.empty(0, dtype=np.uint64)])
        order = np.argsort(hashes, kind="stable")
        self._owners = np.repeat(np.arange(len(runs)), self._sizes)[order]  # [runs], those of one hash together
        self._hashes, self._starts = np.unique(hashes[order], return_index=True)  # [different runs]
        self._ends = np.append(self._starts[1:], len(hashes))

    def match(self, problem: Problem, overlap: float) -> Match | None:
        """The strongest match of a training problem."""
        for origin in _origins(problem):
            if origin in self._origins:
                return self._matched(problem, self._origins[origin], Evidence.ORIGIN, 1.0)
        tokens = _tokens(problem.statement)
        if (number := self._statements.get(_plain(problem, tokens))) is not None:
            return self._matched(problem, number, Evidence.STATEMENT, 1.0)
        number, share = self._closest(_runs(tokens))
        return self._matched(problem, number, Evidence.OVERLAP, share) if share >= overlap else None

    def _closest(self, runs: NDArray[np.uint64]) -> tuple[int, float]:
        """The evaluation problem that shares most of the shorter one's runs, and that share."""
        at = np.searchsorted(self._hashes, runs)
        at = at[self._hashes[np.minimum(at, len(self._hashes) - 1)] == runs] if len(self._hashes) else at[:0]
        if not len(at):
            return 0, 0.0
        starts, counts = self._starts[at], self._ends[at] - self._starts[at]
        # All places from starts[i] to ends[i], for every i.
        places = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        shared = np.bincount(self._owners[places], minlength=len(self._sizes))
        shares = shared / np.maximum(np.minimum(self._sizes, len(runs)), 1)
        best = int(np.argmax(shares))
        return best, float(shares[best])

    def _matched(self, problem: Problem, number: int, evidence: Evidence, share: float) -> Match:
        return Match(problem.id, self._names[number], evidence, round(share, 3))


def _tokens(text: str) -> list[str]:
    """Words and signs, without case and markup."""
    return re.findall(r"\w+|[^\w\s]", _MARKUP.sub("", unicodedata.normalize("NFKC", text).casefold()))


def _runs(tokens: list[str]) -> NDArray[np.uint64]:
    """Hashes of the different runs of RUN words, sorted; none of a statement below MIN_WORDS words."""
    words = [token for token in tokens if token[0].isalnum()]
    if len(words) < MIN_WORDS:
        return np.empty(0, dtype=np.uint64)
    numbers = np.array([_number(word) for word in words], dtype=np.uint64)
    count = len(words) - RUN + 1
    hashes = np.zeros(count, dtype=np.uint64)
    for at in range(RUN):
        hashes = hashes * _FACTOR + numbers[at : at + count]  # modulo 2**64
    return np.unique(hashes)


@lru_cache(maxsize=2**16)
def _number(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")


def _plain(problem: Problem, tokens: list[str]) -> str:
    """A statement without what differs between copies of it; operators and numbers stay."""
    text = " ".join(tokens)
    return text if len(tokens) >= MIN_WORDS_ALONE else f"{text} | {' '.join(problem.signature.split())}"


def _origins(problem: Problem) -> tuple[str, ...]:
    """Where a problem comes from; a row of a known data set is one of them, its id begins with the data set's name."""
    known = bool(problem.source) and problem.id.startswith(f"{problem.source}/")
    return (*problem.origins, problem.id) if known else problem.origins
