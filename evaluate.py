"""Evaluate models: `python evaluate.py model.path=<model> benchmarks=builtin`. `--help` lists what can be set.

Pass@k of the coder (greedy Pass@1 by default), accuracy and mutation score of the tester: tables in the terminal, and
in the output folder as results.json, .md, .tex and .html, with every answer and its verdicts as JSON lines.
`compare=[path,...]` puts further models beside the first. Answers are saved as they arrive: an evaluation that was
stopped goes on when it is started again with its output=, `rescore=<output>` scores its answers again without a model,
and `answers=<file>` scores answers made elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from zerocoder import cli
from zerocoder.compose import for_model, load_evaluation, to_dict, to_yaml
from zerocoder.config import EvaluationConfig
from zerocoder.console import say
from zerocoder.evaluation.benchmarks import DEFAULT, Selection, known_benchmarks, select
from zerocoder.evaluation.paper import published
from zerocoder.evaluation.saved import FOLDER, read_folder, read_outside
from zerocoder.files import require_writable
from zerocoder.models import resolve
from zerocoder.problems import Problem, ZeroCoderError

if TYPE_CHECKING:
    from zerocoder.evaluation.session import Evaluated

CONF = Path(__file__).parent / "conf"
BENCHMARKS = CONF / "benchmark"
EXAMPLES = (
    "model.path=nano benchmarks=builtin",
    "model.path=runs/nano/latest compare=[nano]",
    "model.path=Qwen/Qwen2.5-Coder-7B-Instruct benchmarks=paper paper=qwen2.5-coder-7b",
    "model.path=my_model benchmarks=mbpp:mbpp.jsonl,humaneval limit=50 output=results",
    "model.path=my_model benchmarks=mbpp benchmark.mbpp.source.show_tests=3",
    "model.path=my_model benchmarks=livecodebench n=10 temperature=0.8 top_p=0.95",
    "rescore=results verifier.cpu_seconds=5",
    "benchmarks=mbpp answers=mine.jsonl",
)


def main(argv: list[str]) -> int:
    config = load_evaluation(argv, CONF)
    rows = [row for name in config.paper for row in published(name)]
    folder = output_folder(config)
    if config.rescore is None and not config.answers:
        # Each model is spoken to by the settings that were made for it; what the command line sets holds for all.
        compared = {path: load_evaluation([*argv, *for_model(path, CONF)], CONF) for path in config.compare}
        settings = {config.model.path: config} | compared
        selections, results = evaluate_models(settings, folder)
    else:
        selections, results = score_saved(config)
        settings = dict.fromkeys(results, config)
    report(folder, selections, results, settings, rows)
    return 0


def output_folder(config: EvaluationConfig) -> Path:
    """The folder of the results; refused before any work where it holds something else or cannot be written."""
    output = config.output
    folder = Path(output).expanduser() if output else Path("runs", "evaluate", f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    require_writable(folder, f"output={folder}")
    goes_on = config.rescore is None and not config.answers and (folder / FOLDER).is_dir()
    if folder.exists() and not goes_on and not (folder.is_dir() and not any(folder.iterdir())):
        raise ZeroCoderError(f"output={folder} exists already; name a new folder")
    return folder


def evaluate_models(
    models: Mapping[str, EvaluationConfig], folder: Path
) -> tuple[Sequence[Selection], dict[str, Evaluated]]:
    """Ask and score every model. An interrupt leaves the answers that are there, and says how to go on."""
    config = next(iter(models.values()))
    for path, settings in models.items():
        resolve(path)
        settings.rollout.check(1)
    selections = select(config.benchmarks or DEFAULT, BENCHMARKS, config.benchmark, config.limit, config.seed, say)
    from zerocoder.evaluation.records import file_names
    from zerocoder.evaluation.session import evaluate_model

    files = {path: folder / FOLDER / f"{name}.jsonl" for path, name in file_names(list(models)).items()}
    try:
        with config.verifier.build() as executor:
            say(f"isolation  {executor.isolation}")
            return selections, {p: evaluate_model(c, selections, executor, files[p]) for p, c in models.items()}
    except KeyboardInterrupt:
        if any(file.exists() for file in files.values()):
            say(f"the answers so far are saved; to go on, give the same command with output={folder}")
        raise


def score_saved(config: EvaluationConfig) -> tuple[Sequence[Selection], dict[str, Evaluated]]:
    """Score the answers of an earlier evaluation, or of files made elsewhere."""
    saved = read_folder(config.rescore) if config.rescore is not None else []
    asked = [spec for one in saved for spec in one.header.settings.get("benchmarks", ())]
    changes = config.benchmark or (saved[0].header.settings.get("benchmark", {}) if saved else {})
    selections = select(config.benchmarks or asked or DEFAULT, BENCHMARKS, changes, None, config.seed, say)
    from zerocoder.evaluation.session import Given, complete, score_given

    names = [selection.benchmark.name for selection in selections]
    ids = {s.benchmark.name: {p.id for p in s.problems} for s in selections}
    given = [complete(Given(one.header.model, one.replies, one.header), names) for one in saved]
    shown = [Path(file).name for file in config.answers]
    names_of = shown if len(set(shown)) == len(shown) else config.answers
    given += [Given(name, read_outside(file, ids)) for name, file in zip(names_of, config.answers, strict=True)]
    with config.verifier.build() as executor:
        say(f"isolation  {executor.isolation}")
        return selections, {one.name: score_given(config, one, selections, executor) for one in given}


def report(
    folder: Path,
    selections: Sequence[Selection],
    results: Mapping[str, Evaluated],
    settings: Mapping[str, EvaluationConfig],
    rows: Sequence[Any],
) -> None:
    from zerocoder.evaluation.provenance import in_a_line
    from zerocoder.evaluation.report import terminal_report, write_report

    problems: dict[str, Sequence[Problem]] = {s.benchmark.name: s.problems for s in selections}
    sheet = write_report(
        folder,
        {model: found.scores for model, found in results.items()},
        {model: found.provenance for model, found in results.items()},
        {model: to_dict(config) for model, config in settings.items()},
        problems,
        rows,
    )
    Console().print(terminal_report(sheet))
    lines = [in_a_line(name, p) for found in results.values() for name, p in found.provenance.items()]
    Console(highlight=False).print(*dict.fromkeys(lines), sep="\n", markup=False, style="dim", soft_wrap=True)
    say(f"results in {folder}")


def help_text() -> str:
    usage = cli.usage(__doc__, "evaluate.py", "evaluate", CONF, EXAMPLES)
    return f"{usage}\n\nbenchmarks: {', '.join(known_benchmarks(BENCHMARKS))}, paper, all"


if __name__ == "__main__":
    cli.run(main, lambda argv: to_yaml(load_evaluation(argv, CONF)), help_text)
