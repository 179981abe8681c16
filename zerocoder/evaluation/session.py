"""One model, or one set of answers that are there, on the chosen benchmarks: from the settings to scores.

A model's answers go to a file as they arrive; what the file has already is not asked again, and a file that is complete
needs no model at all.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerocoder import preflight
from zerocoder.config import EvaluationConfig
from zerocoder.console import new_progress, quiet_libraries, say
from zerocoder.evaluation.benchmarks import ALL, Selection, drawn_in_words
from zerocoder.evaluation.provenance import provenance
from zerocoder.evaluation.questions import Key, Question, Reply, Task, prompt_hashes, prompts_of, questions_of
from zerocoder.evaluation.records import Item, Provenance, Scores, score
from zerocoder.evaluation.runner import Asking, Watch, evaluate_tasks, judge_saved
from zerocoder.evaluation.saved import Answers, Header
from zerocoder.execution import Executor
from zerocoder.models import load_policy, load_tokenizer, resolve
from zerocoder.problems import ZeroCoderError
from zerocoder.rollout.engine import Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A model's scores and what decided them, by benchmark."""

    scores: Mapping[str, Scores]
    provenance: Mapping[str, Provenance]


@dataclass(frozen=True, slots=True)
class Given:
    """Answers that are there: a column of the tables. Those made elsewhere have no header."""

    name: str
    replies: Mapping[Key, Reply]
    header: Header | None = None


def evaluate_model(
    config: EvaluationConfig, selections: Sequence[Selection], executor: Executor, file: Path
) -> Evaluated:
    """Ask the model of `config`, keeping its answers in `file`, and score it."""
    start = time.perf_counter()
    quiet_libraries()
    tokenizer = load_tokenizer(config.model)
    tasks = [selection.task for selection in selections]
    questions = questions_of(tasks)
    prompts = prompts_of(questions, tokenizer, config.model.prompt_style)
    counts = {name: config.n * count for name, count in Counter(q.benchmark for q in questions).items()}
    header = Header(config.model.path, deciding(config, selections), prompt_hashes(questions, prompts), counts)
    with Answers(file, header) as answers:
        total = sum(counts.values())
        if answers.replies:
            say(f"{config.model.path}: {len(answers.replies)} of {total} answers are in {file}")
        if len(answers.replies) == total:
            with bars(config.model.path) as watch:
                items = judge_saved(tasks, answers.replies, executor, config.max_mutants, watch)
        else:
            items = _asked(config, tasks, questions, prompts, executor, tokenizer, answers)
    return evaluated(config, selections, items, header, config.n, executor, time.perf_counter() - start)


def _asked(
    config: EvaluationConfig,
    tasks: Sequence[Task],
    questions: Sequence[Question],
    prompts: Sequence[tuple[int, ...]],
    executor: Executor,
    tokenizer: PreTrainedTokenizerBase,
    answers: Answers,
) -> dict[str, list[Item]]:
    """Load the model, ask what `answers` does not have, judge everything."""
    import torch

    if config.threads is not None:
        torch.set_num_threads(config.threads)
    policy = load_policy(config.model, preflight.device(config.accelerator, "accelerator"))
    longest = prompt_room(config, policy)
    engine = config.rollout.start(policy, tokenizer)
    try:
        asking = Asking(engine, sampling(config), longest, config.n, config.seed)
        known = dict(answers.replies)
        with bars(config.model.path) as watch:
            return evaluate_tasks(
                tasks, questions, prompts, asking, executor, config.max_mutants, watch, known, answers.add
            )
    finally:
        engine.close()


def complete(given: Given, benchmarks: Sequence[str]) -> Given:
    """The answers to `benchmarks` of an evaluation that is through with them.

    Raises ZeroCoderError for one that was stopped: its answers are not a fair sample, short ones come first.
    """
    counts = Counter(key.benchmark for key in given.replies)
    wanted = given.header.answers if given.header else counts
    for name in benchmarks:
        if name not in wanted:
            raise ZeroCoderError(f"{given.name} has no answers to {name}; it has {', '.join(wanted)}")
        if counts[name] < wanted[name]:
            raise ZeroCoderError(
                f"{given.name} has {counts[name]} of {wanted[name]} answers to {name}: its evaluation was stopped; go "
                "on with it first, with its own command and output= set to this folder"
            )
    return replace(given, replies={key: reply for key, reply in given.replies.items() if key.benchmark in benchmarks})


def score_given(
    config: EvaluationConfig, given: Given, selections: Sequence[Selection], executor: Executor
) -> Evaluated:
    """Score answers that are there, on the problems and in the roles that they answer."""
    start = time.perf_counter()
    chosen = [found for s in selections if (found := _answered(s, given)) is not None]
    n = 1 + max(key.sample for key in given.replies)
    tasks = [selection.task for selection in chosen]
    with bars(given.name) as watch:
        items = judge_saved(tasks, given.replies, executor, config.max_mutants, watch)
    return evaluated(config, chosen, items, given.header, n, executor, time.perf_counter() - start)


def _answered(selection: Selection, given: Given) -> Selection | None:
    """The part of a selection that was answered; what is missing on either side is told."""
    benchmark = selection.benchmark
    replies = [key for key in given.replies if key.benchmark == benchmark.name]
    ids = {problem.id for problem in selection.problems}
    lost = {key.problem for key in replies} - ids
    if lost:
        say(f"{given.name}: {len(lost)} problems of {benchmark.name} are not in the data any more, such as {min(lost)}")
    found = {key.problem for key in replies} & ids
    if not found:
        return None
    for role in benchmark.roles:
        samples = Counter(key.problem for key in replies if key.role is role and key.problem in ids)
        if len(set(samples.values())) > 1:
            (most, a), (least, b) = samples.most_common(1)[0], samples.most_common()[-1]
            raise ZeroCoderError(
                f"{given.name}: {a} {role} answers to {most} and {b} to {least}; every problem needs the same number"
            )
        if samples and len(samples) < len(found):
            say(f"{given.name}: {role} answers to {len(samples)} of the {len(found)} answered problems")
    roles = tuple(role for role in benchmark.roles if any(key.role is role for key in replies))
    problems = tuple(p for p in selection.problems if p.id in found)
    words = selection.sample
    if given.header is not None and len(found) == given.header.settings.get("limit"):
        words = drawn_in_words(len(found), len(ids), given.header.settings["seed"], words)
    elif len(found) < len(ids):
        words = f"the {len(found)} of {len(ids)} that were answered" + (f", {words}" if words != ALL else "")
        say(f"{given.name}: {benchmark.name} is scored on {words}")
    return Selection(replace(benchmark, roles=roles), problems, words)


def evaluated(
    config: EvaluationConfig,
    selections: Sequence[Selection],
    items: Mapping[str, Sequence[Item]],
    header: Header | None,
    n: int,
    executor: Executor,
    seconds: float,
) -> Evaluated:
    """Scores and provenance; `seconds` are those of all benchmarks, whose work is done together."""
    by_name = {selection.benchmark.name: selection for selection in selections}
    limit, isolation = float(config.verifier.cpu_seconds), executor.isolation
    return Evaluated(
        {name: score(items[name], seconds, config.k) for name in by_name},
        {name: provenance(s, header, n, limit, isolation, seconds) for name, s in by_name.items()},
    )


def deciding(config: EvaluationConfig, selections: Sequence[Selection]) -> dict[str, Any]:
    """Everything that decides the answers, by the key that sets it."""
    drawn = sampling(config)
    engine = {k: v for k, v in config.rollout.deciding.items() if k in ("engine", "dtype")}
    return {
        "model.path": config.model.path,
        "model.revision": config.model.revision,
        "model.files": files_digest(resolve(config.model.path)),
        "model.dtype": config.model.dtype.value,
        "model.chat_template": config.model.chat_template,
        "model.prompt_style": config.model.prompt_style.value,
        "model.max_prompt_tokens": config.model.max_prompt_tokens,
        "rollout": engine["engine"],
        "rollout.dtype": engine.get("dtype"),
        "rollout.max_new_tokens": drawn.max_new_tokens,
        "rollout.top_k": drawn.top_k,
        "n": config.n,
        "temperature": drawn.temperature,
        "top_p": drawn.top_p,
        "seed": config.seed,
        "limit": config.limit,
        "benchmarks": [selection.benchmark.spec for selection in selections],
        "benchmark": config.benchmark,
    }


def sampling(config: EvaluationConfig) -> Sampling:
    """How the answers are drawn: temperature and top-p are the evaluation's own, the rest is the engine's."""
    drawn = Sampling(config.temperature, config.top_p, config.rollout.top_k, config.rollout.max_new_tokens)
    return drawn.greedy() if config.temperature == 0 else drawn


def files_digest(model: Path | str) -> str | None:
    """A hash of a model folder's files by name, size and time of change; None for a model of the hub."""
    if isinstance(model, str):
        return None
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(path for path in model.iterdir() if path.is_file()):
        state = file.stat()
        digest.update(f"{file.name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


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


@contextmanager
def bars(name: str) -> Iterator[Watch]:
    """A bar a benchmark: verdicts, and beside them the answers that are there."""
    with new_progress() as progress:
        rows: dict[str, Any] = {}

        def watch(benchmark: str, answered: int, judged: int, total: int) -> None:
            if benchmark not in rows:
                rows[benchmark] = progress.add_task(f"{name} on {benchmark}", total=total, note="")
            note = f"{answered} answers, {judged} judged"
            progress.update(rows[benchmark], completed=judged, note=note)

        yield watch
