"""One side of `small_model.py`: `python small_side.py CHECKOUT SETTINGS` (as JSON), in a process of its own.

Measures the parts of a training step of the checkout's own code and prints them as JSON. It uses no more of the code
than older revisions have, too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


def main(checkout: str, settings: dict[str, Any]) -> dict[str, Any]:
    os.chdir(checkout)
    sys.path.insert(0, checkout)
    import torch

    from zerocoder.compose import load
    from zerocoder.experience import Experience, TrainingSample
    from zerocoder.learner import Learner
    from zerocoder.models import load_policy, load_tokenizer
    from zerocoder.problems import Role
    from zerocoder.prompting import prompt_ids
    from zerocoder.reference import FrozenCopy
    from zerocoder.rollout.engine import Request, request_seed, sampling_of
    from zerocoder.world import World

    torch.set_num_threads(settings["threads"])
    config = load([f"model={settings['model']}", f"rollout.max_new_tokens={settings['tokens']}"])
    policy, tokenizer = load_policy(config.model), load_tokenizer(config.model)
    requests = [
        Request(
            prompt_ids(tokenizer, problem, role, config.model.prompt_style),
            tuple(request_seed(problem.id, role.value, i) for i in range(8)),
        )
        for problem in config.data.source.train()[: settings["problems"]]
        for role in Role
    ]
    engine, sampling = config.rollout.start(policy, tokenizer), sampling_of(config.rollout)
    device = torch.device("cpu")
    learner = Learner(
        policy, FrozenCopy(load_policy(config.model)), config.algorithm, config.trainer, sampling.temperature, World()
    )
    engine.generate(requests[:1], sampling)  # not counted: kernels are chosen, memory is touched for the first time

    def learn(samples: list[TrainingSample]) -> None:
        for batch, _ in learner.micro_batches(Experience(tuple(samples)), device):
            loss, _ = learner.loss(batch)
            loss.backward()

    meter = Meter()
    answers = meter("rollout", lambda: engine.generate(requests, sampling))
    policy.train()
    for n, role in enumerate(Role):
        samples = [
            TrainingSample(request.prompt, answer.token_ids, answer.logprobs, 1.0)
            for request, row in zip(requests[n::2], answers[n::2], strict=True)
            for answer in row
        ]
        told = meter(f"reference, {role.value}", lambda samples=samples: learner.with_reference(samples, device))
        meter(f"training, {role.value}", lambda told=told: learn(told))
    told_tokens = [[answer.token_ids for answer in row] for row in answers]
    return {"seconds": meter.seconds, "cpu_seconds": meter.cpu_seconds, "answers": told_tokens}


class Meter:
    """Seconds of the clock and of the CPU, by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}

    def __call__(self, part: str, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        self.seconds[part] = time.perf_counter() - wall
        self.cpu_seconds[part] = time.process_time() - cpu
        return result


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], json.loads(sys.argv[2]))))
