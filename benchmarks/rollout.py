"""How fast rollouts are: `python benchmarks/rollout.py`. See docs/engine.md.

`rollout=vllm` against calling vLLM itself on the same prompts with the same seeds, in one process and in turns, and the
time that a weight sync takes; `rollout=transformers` on the same requests for comparison. Needs vLLM.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import command
from report import Report
from rich.console import Console

from zerocoder.compose import load
from zerocoder.config import Config
from zerocoder.problems import Role
from zerocoder.prompting import prompt_ids
from zerocoder.rollout.engine import Request, RolloutEngine, Sampling, request_seed, sampling_of
from zerocoder.rollout.transformers import TransformersRollout

Draw = Callable[[Sequence[Request], Sampling], list[list[tuple[int, ...]]]]
"""Token ids of the answers, by request."""


def main(argv: Sequence[str]) -> int:
    options = parse(argv)
    config = load(
        [
            f"model.path={options.model}",
            "rollout=vllm",
            f"rollout.max_new_tokens={options.tokens}",
            f"rollout.top_p={options.top_p}",
            "trainer.accelerator=cpu",
        ]
    )
    config.rollout.check(1)
    report = measure(config, options)
    table = report.table()
    table.title = f"rollouts of {options.model}"
    Console(width=160).print(table)
    if options.json:
        Path(options.json).write_text(json.dumps(report.as_json(), indent=1))
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--samples", type=int, default=8, help="answers a problem and role")
    parser.add_argument("--tokens", type=int, default=96, help="at most, of an answer")
    parser.add_argument("--top-p", type=float, default=0.8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args(argv)


def measure(config: Config, options: argparse.Namespace) -> Report:
    from zerocoder.models import load_policy, load_tokenizer

    policy, tokenizer = load_policy(config.model), load_tokenizer(config.model)
    problems = config.data.source.train()[: options.problems]
    requests = [
        Request(
            prompt_ids(tokenizer, problem, role, config.model.prompt_style),
            tuple(request_seed(problem.id, role.value, i) for i in range(options.samples)),
        )
        for problem in problems
        for role in Role
    ]
    ours = config.rollout.start(policy, tokenizer)
    sides: dict[str, Draw] = {
        "ours": drawer(ours),
        "vLLM itself": direct(config),
        "rollout=transformers": drawer(TransformersRollout(batch_size=256).start(policy, tokenizer)),
    }
    sampling = sampling_of(config.rollout)
    for draw in sides.values():  # not counted: kernels are chosen, memory is touched for the first time
        draw(requests[:2], sampling)
    report = Report()
    speed = in_turns(sides, requests, sampling, options.rounds, report)
    for unit in ("s", "CPU s"):
        for name, values in speed[unit].items():
            note = f"{len(requests)} prompts x {options.samples}"
            report.figure("rollout", name, values, f"tokens/{unit.replace(' ', '-')}", note=note)
        ratios = [theirs / own for theirs, own in zip(speed[unit]["vLLM itself"], speed[unit]["ours"], strict=True)]
        report.figure("rollout", f"ours / vLLM itself, {unit} a token", ratios, "x", at_most=1.1)
    syncs = [sync_seconds(ours, policy) for _ in range(max(5, options.rounds))]
    report.figure("sync", "pause to new weights", syncs, "s", note=f"{policy.num_parameters() / 1e6:.1f} M parameters")
    return report


def in_turns(
    sides: dict[str, Draw], requests: Sequence[Request], sampling: Sampling, rounds: int, report: Report
) -> dict[str, dict[str, list[float]]]:
    """Unit of time -> side -> its tokens a unit, one value a round; who goes first changes.

    CPU time is of this process with all its threads, which is where the engines are: the steadier one of the two where
    others use the machine.
    """
    speed: dict[str, dict[str, list[float]]] = {unit: {name: [] for name in sides} for unit in ("s", "CPU s")}
    drawn: dict[str, Any] = {}
    for n in range(rounds):
        for name in list(sides)[:: 1 if n % 2 == 0 else -1]:
            start, start_cpu = time.perf_counter(), time.process_time()
            drawn[name] = sides[name](requests, sampling)
            seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
            tokens = sum(len(answer) for row in drawn[name] for answer in row)
            speed["s"][name].append(tokens / seconds)
            speed["CPU s"][name].append(tokens / cpu)
    same = sum(drawn["ours"][i] == drawn["vLLM itself"][i] for i in range(len(requests)))
    report.facts["same answers"] = f"{same} of {len(requests)} prompts"
    return speed


def drawer(engine: RolloutEngine) -> Draw:
    return lambda requests, sampling: [[c.token_ids for c in row] for row in engine.generate(requests, sampling)]


def direct(config: Config) -> Draw:
    """vLLM's own `LLM.generate`, with the settings of ours."""
    from vllm import LLM, SamplingParams, TokensPrompt

    from zerocoder.models import resolve

    rollout = config.rollout
    room = rollout.max_prompt_tokens + rollout.max_new_tokens
    llm = LLM(
        str(resolve(config.model.path)),
        dtype=config.model.dtype.value,
        max_model_len=room,
        max_num_seqs=rollout.batch_size,
        kv_cache_memory_bytes=int(rollout.kv_cache_gb * 2**30),
        enforce_eager=True,
        enable_chunked_prefill=False,
        max_num_batched_tokens=max(4096, room),
    )

    def draw(requests: Sequence[Request], sampling: Sampling) -> list[list[tuple[int, ...]]]:
        params = [
            SamplingParams(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=sampling.max_new_tokens,
                seed=seed,
                logprobs=0,
            )
            for request in requests
            for seed in request.seeds
        ]
        prompts = [TokensPrompt(prompt_token_ids=list(r.prompt)) for r in requests for _ in r.seeds]
        outputs = iter(llm.generate(prompts, params, use_tqdm=False))
        return [[tuple(next(outputs).outputs[0].token_ids) for _ in r.seeds] for r in requests]

    return draw


def sync_seconds(engine: RolloutEngine, policy: Any) -> float:
    engine.pause()
    start = time.perf_counter()
    engine.sync_weights(policy)
    return time.perf_counter() - start


if __name__ == "__main__":
    command.run(main)
