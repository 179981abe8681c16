"""Runs by setting: what counts as a setting, and what a group is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from logged import CONFIG, config

from zerocoder.report.grouping import group, names_of
from zerocoder.report.logs import RunLog

CODET = {"_target_": "zerocoder.selection.codet.CodeT"}
DYB4 = CONFIG["selector"]


def run(settings: dict[str, Any], name: str = "a") -> RunLog:
    return RunLog(Path("/runs", name), f"nano/{Path(name).name}", settings, {}, {}, {}, {}, ())


def test_seeds_of_one_setting_are_one_group() -> None:
    runs = [run(config(trainer__seed=seed, trainer__root=f"runs/{seed}")) for seed in range(3)]
    grouping = group(runs)
    assert grouping.groups == {"nano": runs}
    assert list(grouping.keys) == []


def test_a_class_is_told_by_its_module_and_its_own_settings_only_where_it_has_several() -> None:
    runs = [run(config(selector=CODET)), run(config(selector=DYB4)), run(config(selector=DYB4, trainer__seed=1))]
    grouping = group(runs)
    assert {label: len(found) for label, found in grouping.groups.items()} == {"selector=codet": 1, "selector=dyb4": 2}
    assert list(grouping.keys) == ["selector._target_"]
    more = group([*runs, run(config(selector={**DYB4, "beta0": 100000.0}))])
    assert list(more.groups) == ["selector=codet", "selector=dyb4, beta0=10000", "selector=dyb4, beta0=100000"]
    assert more.values["selector=codet"] == {"selector._target_": "codet"}


def test_settings_by_the_words_of_the_command_line() -> None:
    runs = [run(config(data__tau=tau, model__path=path)) for tau, path in ((0, "nano"), (2, "big/model"))]
    assert list(group(runs).groups) == ["model=nano, tau=0", "model=big/model, tau=2"]
    alike = [run(config(algorithm__tau=n, data__tau=n)) for n in (1, 2)]
    assert list(group(alike).groups) == ["algorithm.tau=1, data.tau=1", "algorithm.tau=2, data.tau=2"]
    absent = [run(config()), run(config(algorithm__method={"_target_": "zerocoder.algorithms.online.Online"}))]
    assert [len(found) for found in group(absent).groups.values()] == [1, 1]
    assert "algorithm=online" in group(absent).groups
    odd = [run(config(data__limit=None)), run(config(data__limit=True)), run(config(data__limit=[1, 2]))]
    assert list(group(odd).groups) == ["limit=null", "limit=true", "limit=[1, 2]"]


def test_another_length_is_another_setting() -> None:
    assert len(group([run(config()), run(config(trainer__max_steps=8))]).groups) == 2


def test_names_of_runs() -> None:
    one, two = run(config(), "x/nano/1"), run(config(), "x/nano/2")
    assert list(names_of([one, two]).values()) == ["nano/1", "nano/2"]
    same = run(config(), "y/nano/1")
    assert list(names_of([one, same]).values()) == ["x/nano/1", "y/nano/1"]
