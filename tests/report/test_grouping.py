"""Runs by setting: what counts as a setting, and what a group is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from logged import CONFIG, config

from zerocoder.report.grouping import COMMON, group, names_of
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


def test_what_most_settings_share_is_left_out_of_names() -> None:
    def ablation(**changes: Any) -> RunLog:
        return run(config(**{"data__tau": 2, "algorithm__learning_rate": 0.1, **changes}))

    runs = [ablation(), ablation(data__tau=0), ablation(data__tau=1), ablation(algorithm__learning_rate=0.2), *[
        ablation(model__path=f"m{n}") for n in range(4)
    ]]  # fmt: skip
    grouping = group(runs)
    # of 8 settings 6 have tau=2, 7 have learning_rate=0.1, 4 the model nano
    assert grouping.common == {"learning_rate": "0.1", "tau": "2"}
    assert list(grouping.groups) == [
        "model=nano", "model=nano, tau=0", "model=nano, tau=1", "learning_rate=0.2, model=nano",
        "model=m0", "model=m1", "model=m2", "model=m3",
    ]  # fmt: skip
    assert grouping.values["model=m0"] == {"algorithm.learning_rate": "0.1", "model.path": "m0", "data.tau": "2"}


def test_the_setting_that_has_nothing_else() -> None:
    grouping = group([run(config(**{key: value})) for key, value in
                      [("data__tau", 2), ("data__tau", 0), ("data__calibration", 0), ("model__path", "m"),
                       ("algorithm__max_mutants", 4)]])  # fmt: skip
    assert list(grouping.groups) == [COMMON, "tau=0", "calibration=0", "model=m", "max_mutants=4"]


def test_a_setting_that_only_some_have_is_not_left_out_where_it_tells_them_apart() -> None:
    old = config()
    del old["data"]["tau"]
    taus = [run(config(model__path=path)) for path in ("nano", "a", "b", "c")]
    grouping = group([*taus, run(old)])
    assert list(grouping.groups) == [
        "model=nano, tau=2",
        "model=a, tau=2",
        "model=b, tau=2",
        "model=c, tau=2",
        "model=nano",
    ]
    assert grouping.common == {}


def test_what_follows_from_another_setting_of_its_section_is_not_said() -> None:
    runs = [run(config(algorithm__lambda_low=low, algorithm__lambda_high=high)) for low, high in ((0.9, 1), (0, 0))]
    assert list(group(runs).groups) == ["lambda_low=0.9", "lambda_low=0"]
    assert list(group(runs).keys) == ["algorithm.lambda_low", "algorithm.lambda_high"]  # the table has both
    runs.append(run(config(algorithm__lambda_low=0, algorithm__lambda_high=0.5)))  # high tells low, not the reverse
    assert list(group(runs).groups) == ["lambda_high=1", "lambda_high=0", "lambda_high=0.5"]


def test_long_names_become_numbers() -> None:
    paths = [
        "/a/very/long/path/to/some/checkpoint/of/a/model/one",
        "/a/very/long/path/to/some/checkpoint/of/a/model/two",
    ]
    grouping = group([run(config(model__path=path)) for path in paths])
    assert list(grouping.groups) == ["setting 1", "setting 2"]
    assert [values["model.path"] for values in grouping.values.values()] == paths  # the settings' table is their key


def test_another_length_is_another_setting() -> None:
    assert len(group([run(config()), run(config(trainer__max_steps=8))]).groups) == 2


def test_names_of_runs() -> None:
    one, two = run(config(), "x/nano/1"), run(config(), "x/nano/2")
    assert list(names_of([one, two]).values()) == ["nano/1", "nano/2"]
    same = run(config(), "y/nano/1")
    assert list(names_of([one, same]).values()) == ["x/nano/1", "y/nano/1"]
