"""Evaluate models: `python evaluate.py model.path=<model> benchmarks=builtin`. `--help` lists what can be set.

Greedy Pass@1 of the coder, accuracy and mutation score of the tester on held-out problems: a table in the terminal,
and results.json, results.md and every answer with its verdicts as JSON lines in the output folder.
`compare=[path,...]` puts further models beside the first.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from zerocoder import cli, preflight
from zerocoder.compose import for_model, load_evaluation, to_dict, to_yaml
from zerocoder.config import EvaluationConfig
from zerocoder.console import say, stages
from zerocoder.evaluation.benchmarks import Benchmark, load_benchmarks
from zerocoder.models import resolve
from zerocoder.problems import Problem, ZeroCoderError
from zerocoder.rollout.engine import sampling_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from zerocoder.evaluation.records import Scores
    from zerocoder.execution import Executor

CONF = Path(__file__).parent / "conf"
EXAMPLES = (
    "model.path=nano benchmarks=builtin",
    "model.path=runs/nano/latest compare=[nano]",
    "model.path=Qwen/Qwen2.5-Coder-0.5B-Instruct benchmarks=mbpp:mbpp.jsonl limit=50",
    "model.path=my_model benchmarks=jsonl:my_problems.jsonl output=results",
)


def main(argv: list[str]) -> int:
    config = load_evaluation(argv, CONF)
    # Each model is spoken to by the settings that were made for it; what the command line sets holds for all.
    compared = {path: load_evaluation([*argv, *for_model(path, CONF)], CONF) for path in config.compare}
    models = {config.model.path: config} | compared
    for path, settings in models.items():
        resolve(path)
        settings.rollout.check(1)
    benchmarks = load_benchmarks(config.benchmarks, CONF / "data")
    problems = {b.name: b.problems(config.limit, config.seed) for b in benchmarks}
    folder = output_folder(config.output)
    with config.verifier.build() as executor:
        say(f"isolation  {executor.isolation}")
        results = {path: evaluate(c, benchmarks, problems, executor) for path, c in models.items()}
    report(folder, results, models)
    return 0


def output_folder(output: str | None) -> Path:
    """The folder of the results; refused before any work when it holds something or cannot be written."""
    folder = Path(output).expanduser() if output else Path("runs", "evaluate", f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ZeroCoderError(f"output={folder} exists already; name a new folder")
    nearest = next(parent for parent in folder.absolute().parents if parent.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise ZeroCoderError(f"output={folder} cannot be written: {nearest} is no folder that you may write to")
    return folder


def evaluate(
    config: EvaluationConfig,
    benchmarks: Sequence[Benchmark],
    problems: dict[str, list[Problem]],
    executor: Executor,
) -> dict[str, Scores]:
    """Scores of one model by benchmark."""
    import torch

    from zerocoder.evaluation.runner import evaluate_policy
    from zerocoder.models import load_policy, load_tokenizer

    if config.threads is not None:
        torch.set_num_threads(config.threads)
    tokenizer = load_tokenizer(config.model)
    policy = load_policy(config.model, preflight.device(config.accelerator, "accelerator"))
    longest = prompt_room(config, policy)
    engine = config.rollout.start(policy, tokenizer)
    scores = {}
    try:
        for benchmark in benchmarks:
            with stages(f"{config.model.path} on {benchmark.name}") as progress:
                scores[benchmark.name] = evaluate_policy(
                    engine,
                    tokenizer,
                    config.model.prompt_style,
                    problems[benchmark.name],
                    executor,
                    sampling_of(config.rollout),
                    longest,
                    config.max_mutants,
                    progress,
                    benchmark.roles,
                )
    finally:
        engine.close()
    return scores


def prompt_room(config: EvaluationConfig, policy: PreTrainedModel) -> int:
    """Tokens a prompt may have: what the settings allow, less where the model's context has no room for the answer."""
    context = getattr(policy.config, "max_position_embeddings", None)
    if context is None:
        return config.model.max_prompt_tokens
    room = int(context) - config.rollout.max_new_tokens
    if room < 1:
        raise ZeroCoderError(
            f"rollout.max_new_tokens={config.rollout.max_new_tokens} leaves no room for a prompt in the {context} "
            f"tokens of {config.model.path}; lower it"
        )
    return min(config.model.max_prompt_tokens, room)


def report(folder: Path, results: dict[str, dict[str, Scores]], models: dict[str, EvaluationConfig]) -> None:
    from zerocoder.evaluation.report import results_table, write_report

    write_report(folder, results, {path: to_dict(config) for path, config in models.items()})
    Console().print(results_table(results, "held-out problems, greedy"))
    say(f"results in {folder}")


if __name__ == "__main__":
    cli.run(
        main,
        lambda argv: to_yaml(load_evaluation(argv, CONF)),
        lambda: cli.usage(__doc__, "evaluate.py", "evaluate", CONF, EXAMPLES),
    )
