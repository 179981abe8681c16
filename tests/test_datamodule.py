"""Splits, calibration set and the stream of batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from scripted import DOUBLE, DOUBLE_SOLUTIONS, DOUBLE_TESTS, fenced, scripted_sampler
from tiny import tiny_policy

from zerocoder.algorithms.base import Algorithm
from zerocoder.algorithms.offline import Offline
from zerocoder.algorithms.online import Online
from zerocoder.algorithms.oracle import Oracle
from zerocoder.algorithms.zerocoder import ZeroCoder
from zerocoder.config import AlgorithmConfig, Config, DataConfig, ModelConfig, TrainerConfig
from zerocoder.datamodule import ProblemDataModule
from zerocoder.execution import Executor, ProcessExecutor
from zerocoder.problems import Problem, ZeroCoderError
from zerocoder.rollout.sampler import Sampler

NAMES = [f"p{i:02}" for i in range(20)]
FLAT = {"p00", "p01", "p02", "p03"}  # problems whose matrices have rank 1


@dataclass(frozen=True)
class Source:
    unlabelled: frozenset[str] = frozenset()

    def train(self) -> list[Problem]:
        made = [replace(DOUBLE, id=n, statement=f"Double {n}.") for n in NAMES]
        return [p.unlabelled() if p.id in self.unlabelled else p for p in made]

    def heldout(self) -> list[Problem]:
        return [replace(DOUBLE, id=f"h{i}") for i in range(6)]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessExecutor(workers=1) as running:
        yield running


def sampler() -> Sampler:
    agreed = [fenced("assert double(3) == 6")]
    statements = {n: f"Double {n}." for n in NAMES}
    return scripted_sampler(
        dict.fromkeys(statements.values(), DOUBLE_SOLUTIONS),
        {s: agreed if n in FLAT else DOUBLE_TESTS for n, s in statements.items()},
    )


def prepared(
    executor: Executor,
    tmp_path: Path,
    source: Any = Source(),
    algorithm: AlgorithmConfig = AlgorithmConfig(),
    **data: Any,
) -> ProblemDataModule:
    settings = {"batch_size": 4, "calibration": 3, "cache": str(tmp_path), **data}
    config = Config(algorithm=algorithm, data=DataConfig(source=source, **settings), trainer=TrainerConfig(seed=5))
    module = ProblemDataModule(config)
    module.load()
    module.prepare(tiny_policy(), sampler(), executor)
    return module


def test_splits_are_disjoint_and_only_calibration_has_labels(executor: Executor, tmp_path: Path) -> None:
    data = prepared(executor, tmp_path)
    chosen = {p.id for p in data.calibration}
    assert len(chosen) == 3 and not chosen & FLAT
    assert all(p.label is not None for p in data.calibration)
    assert {p.id for p in data.training} == set(NAMES) - FLAT
    assert {p.id for p in data.training if p.label is not None} == chosen
    assert data.filter_report is not None and data.filter_report.ranks == {1: 4, 2: 16}


def test_labelled_rewards_off_takes_the_calibration_problems_out(executor: Executor, tmp_path: Path) -> None:
    data = prepared(executor, tmp_path, algorithm=AlgorithmConfig(labelled_rewards=False))
    assert all(p.label is None for p in data.training)
    assert {p.id for p in data.training} == set(NAMES) - FLAT - {p.id for p in data.calibration}


@pytest.mark.parametrize("labelled_rewards", [True, False])
def test_algorithms_differ_in_the_labels_and_in_nothing_else(
    executor: Executor, tmp_path: Path, labelled_rewards: bool
) -> None:
    def trained_on(method: Algorithm) -> list[Problem]:
        algorithm = AlgorithmConfig(method=method, labelled_rewards=labelled_rewards)
        data = prepared(executor, tmp_path, algorithm=algorithm)
        assert [p.id for p in data.calibration] == few
        return data.training

    few = [p.id for p in prepared(executor, tmp_path).calibration]
    zerocoder, offline, online, oracle = map(trained_on, (ZeroCoder(), Offline(), Online(), Oracle()))
    ids = [p.id for p in zerocoder]
    assert len(ids) == (16 if labelled_rewards else 13) and (set(few) <= set(ids)) == labelled_rewards
    assert ids == [p.id for p in offline] == [p.id for p in online] == [p.id for p in oracle]
    assert [p.id for p in zerocoder if p.label is not None] == (few if labelled_rewards else [])
    assert not [p for p in (*offline, *online) if p.label is not None]
    assert all(p.label is not None for p in oracle)


def test_the_oracle_refuses_problems_without_labels(executor: Executor, tmp_path: Path) -> None:
    oracle = AlgorithmConfig(method=Oracle())
    with pytest.raises(ZeroCoderError, match=r"1 of 20 training problems \('p07' is the first\) lack a solution"):
        prepared(executor, tmp_path, Source(frozenset({"p07"})), oracle)


def test_tau_zero_keeps_all_and_measures_nothing(executor: Executor, tmp_path: Path) -> None:
    data = prepared(executor, tmp_path, tau=0)
    assert len(data.training) == 20 and data.filter_report is None and not list(tmp_path.iterdir())


def test_batches_visit_every_problem_once_a_pass(executor: Executor, tmp_path: Path) -> None:
    data = prepared(executor, tmp_path)  # 16 problems, 4 a batch
    seen = [p.id for step in range(4) for p in data.batch(step)]
    assert Counter(seen) == Counter({p.id for p in data.training})
    second = [p.id for step in range(4, 8) for p in data.batch(step)]
    assert sorted(second) == sorted(seen) and second != seen


def test_the_stream_continues_where_the_state_says(executor: Executor, tmp_path: Path) -> None:
    data = prepared(executor, tmp_path)
    whole = [[p.id for p in b] for b in islice(data.train_dataloader(), 7)]
    other = prepared(executor, tmp_path)
    other.load_state_dict({"next_step": 3})
    assert [[p.id for p in b] for b in islice(other.train_dataloader(), 4)] == whole[3:]


def test_limits_take_seeded_samples(executor: Executor, tmp_path: Path) -> None:
    data = prepared(executor, tmp_path, limit=12, heldout_limit=2, tau=0)
    again = prepared(executor, tmp_path, limit=12, heldout_limit=2, tau=0)
    ids = [p.id for p in data.candidates]
    assert len(ids) == 12 and ids == sorted(ids) != NAMES[:12]
    assert ids == [p.id for p in again.candidates] and len(data.heldout) == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"batch_size": 17},
            r"data.batch_size=17 is larger than the 16 problems left .* lower data.batch_size or data",
        ),
        (
            {"calibration": 17},
            r"data.calibration=17 labelled problems are wanted, but only 16 .* lower data.calibration",
        ),
        ({"tau": 5}, r"keeps none of 20 problems: the highest rank is 2, data.tau is 5"),
    ],
)
def test_mistakes_say_what_to_change(executor: Executor, tmp_path: Path, data: dict[str, int], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        prepared(executor, tmp_path, **data)


def test_unlabelled_data_cannot_calibrate(executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(ZeroCoderError, match=r"only 0 problems with solution and tests"):
        prepared(executor, tmp_path, Source(frozenset(NAMES)))
    data = prepared(executor, tmp_path, Source(frozenset(NAMES)), calibration=0)
    assert len(data.training) == 16 and data.labelled_probe(5) == []


def test_the_probe_passes_calibration_problems_over(executor: Executor, tmp_path: Path) -> None:
    few, many = (prepared(executor, tmp_path, calibration=n) for n in (0, 12))
    free, left = ({p.id for p in data.labelled_probe(6)} for data in (few, many))
    assert len(free) == len(left) == 6 and not left & {p.id for p in many.calibration}
    assert free - {p.id for p in many.calibration} <= left  # the same sample otherwise
    assert {p.id for p in many.labelled_probe(99)} == set(NAMES) - {p.id for p in many.calibration}


def test_labels_to_measure_by_are_of_what_is_trained_on_without(executor: Executor, tmp_path: Path) -> None:
    data = prepared(executor, tmp_path, Source(frozenset({"p07"})))
    watched = data.labelled_training()
    assert all(p.label is not None for p in watched)
    assert {p.id for p in watched} == {p.id for p in data.training if p.label is None} - {"p07"}
    assert not {p.id for p in watched} & {p.id for p in data.calibration}
    data.training = data.calibration  # as of an algorithm that trains on labels alone
    assert {p.id for p in data.labelled_training()} == {p.id for p in data.calibration}


def test_over_long_prompts_are_dropped_and_counted(executor: Executor, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class WithLong(Source):
        def train(self) -> list[Problem]:
            return [replace(DOUBLE, id="long", statement="Double " * 200), *super().train()]

    settings = DataConfig(source=WithLong(), batch_size=4, calibration=3, cache=str(tmp_path))
    module = ProblemDataModule(Config(model=ModelConfig(max_prompt_tokens=100), data=settings))
    module.load()
    module.prepare(tiny_policy(), sampler(), executor)
    assert module.too_long == 1 and "long" not in {p.id for p in module.training}
    assert "long" not in {p.id for p in module.labelled_probe(99)}


@dataclass(frozen=True)
class Contaminated(Source):
    """p03 and p05 are held out too, p05 under another name."""

    def heldout(self) -> list[Problem]:
        return [replace(DOUBLE, id="h0", statement="DOUBLE `p03`."), replace(DOUBLE, id="h1", origins=("site/5",))]

    def train(self) -> list[Problem]:
        return [replace(p, origins=("site/5",)) if p.id == "p05" else p for p in super().train()]


def loaded(source: Source, **data: Any) -> ProblemDataModule:
    module = ProblemDataModule(Config(data=DataConfig(source=source, **{"batch_size": 4, **data})))
    module.load()
    return module


def test_what_is_evaluated_on_is_not_trained_on() -> None:
    data = loaded(Contaminated())
    assert {p.id for p in data.candidates} == set(NAMES) - {"p03", "p05"} and len(data.heldout) == 2
    assert data.findings is not None and data.findings.ids == {"p03", "p05"}
    assert dict(data.findings.evaluation) == {"its held-out problems": 2}
    limited = loaded(Contaminated(), heldout_limit=1, limit=18)
    assert {p.id for p in limited.candidates} == set(NAMES) - {"p03", "p05"}  # all that may be evaluated on counts


def test_contamination_can_be_reported_only_or_not_looked_for() -> None:
    reported, off = loaded(Contaminated(), decontaminate="report"), loaded(Contaminated(), decontaminate="off")
    assert [p.id for p in reported.candidates] == [p.id for p in off.candidates] == NAMES
    assert reported.findings is not None and reported.findings.ids == {"p03", "p05"} and off.findings is None


def test_named_benchmarks_are_compared_with_too() -> None:
    data = loaded(Source(), against=["builtin"])
    assert data.findings is not None and not data.findings.matches
    assert dict(data.findings.evaluation) == {"its held-out problems": 6, "builtin": 158}
    with pytest.raises(ZeroCoderError, match="unknown benchmark 'bulitin'; .*builtin"):
        loaded(Source(), against=["bulitin"])


def test_a_data_set_that_is_evaluated_on_as_a_whole_is_refused() -> None:
    @dataclass(frozen=True)
    class Same(Source):
        def heldout(self) -> list[Problem]:
            return self.train()

    with pytest.raises(ZeroCoderError, match="all 20 training problems are evaluation problems too"):
        loaded(Same())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"decontaminate": "yes"}, "data.decontaminate .*drop, report, off"),
        ({"overlap": 0.0}, "data.overlap .*above 0 and at most 1"),
        ({"overlap": 1.5}, "data.overlap .*above 0 and at most 1"),
    ],
)
def test_contamination_settings_that_are_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        DataConfig(**data)
