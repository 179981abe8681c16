"""One side of a training benchmark, in a process of its own: `python grpo_side.py SIDE SETTINGS` (as JSON).

A side prints JSON: seconds and CPU seconds of each measured repetition, and the peak of the resident memory beyond what
was resident when the model and all that is to be measured had been set up. Both sides of a comparison get the same
model folder, lengths and number of threads.
"""

from __future__ import annotations

import ctypes
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PROMPTS = [f"Write a python function that returns {what} of a and b." for what in ("the sum", "the product")]


@dataclass(frozen=True)
class Settings:
    """What both sides of a comparison are given."""

    model: str  # folder
    samples: int = 4  # of each of the two prompts
    new_tokens: int = 128
    width: int = 512  # tokens of a sequence where nothing is sampled
    tokens: int = 4096  # of a micro-batch where nothing is sampled
    repetitions: int = 1
    threads: int = 2
    chunk: int = 512


class Meter:
    """Time and peak memory of what is run under it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        self.rest = self.peak = 0

    def run(self, work: Callable[[], None]) -> None:
        import gc

        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the kernel's peak begins anew
        before = _status("VmRSS")
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.seconds.append(time.perf_counter() - wall)
        self.cpu_seconds.append(time.process_time() - cpu)
        self.peak = max(self.peak, _status("VmHWM") - before)

    def as_json(self) -> str:
        return json.dumps({"seconds": self.seconds, "cpu_seconds": self.cpu_seconds, "peak_bytes": self.peak})


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


class Ours:
    """The parts that `python train.py` builds, without Lightning's Trainer around them."""

    def __init__(self, settings: Settings, packed: bool = False) -> None:
        from zerocoder.config import AlgorithmConfig, ModelConfig, Packing, TrainerConfig
        from zerocoder.learner import Learner
        from zerocoder.models import load_policy, load_tokenizer
        from zerocoder.strategies import adamw
        from zerocoder.world import current

        model = ModelConfig(path=settings.model)
        self.settings = settings
        self.tokenizer = load_tokenizer(model)
        self.policy = load_policy(model).train()
        self.algorithm = AlgorithmConfig(kl_coefficient=0.0)
        trainer = TrainerConfig(
            micro_batch_tokens=10**6,
            logprob_chunk=settings.chunk,
            packing=Packing.ON if packed else Packing.AUTO,
            accelerator="cpu",
        )
        self.learner = Learner(self.policy, None, self.algorithm, trainer, 1.0, current())
        self.optimizer = adamw(list(self.policy.parameters()), self.algorithm, trainer)

    def learn(self, samples: list[Any]) -> None:
        """What `ZeroCoderModule.update` does with one rank and no strategy."""
        import torch

        from zerocoder.experience import Experience

        experience = Experience(tuple(samples))
        for batch, _ in self.learner.micro_batches(experience, torch.device("cpu")):
            loss, _ = self.learner.loss(batch)
            (loss / experience.tokens).backward()

    def step(self) -> None:
        import torch

        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.algorithm.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()


def grpo_ours(settings: Settings, meter: Meter) -> None:
    """A whole GRPO step: sample, advantages of made-up rewards, loss, backward, clip, AdamW."""
    import numpy as np

    from zerocoder.experience import TrainingSample
    from zerocoder.grpo import group_advantages
    from zerocoder.rollout.decoding import TransformersEngine
    from zerocoder.rollout.engine import Request, Sampling, request_seed

    ours = Ours(settings)
    engine = TransformersEngine(ours.policy, ours.tokenizer, batch_size=64)
    engine.end_tokens = set()  # every answer has its full length
    prompts = [tuple(_prompt_ids(ours.tokenizer, text)) for text in PROMPTS]
    sampling = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=settings.new_tokens)

    def step(number: int) -> None:
        requests = [
            Request(p, tuple(request_seed(number, i, n) for n in range(settings.samples)))
            for i, p in enumerate(prompts)
        ]
        samples = []
        for request, answers in zip(requests, engine.generate(requests, sampling), strict=True):
            rewards = np.array([float(len(a.text) % 7) for a in answers])
            advantages = group_advantages(rewards, np.ones(len(rewards), dtype=bool))
            samples += [
                TrainingSample(request.prompt, a.token_ids, a.logprobs, float(advantage))
                for a, advantage in zip(answers, advantages, strict=True)
            ]
        assert all(len(s.completion) == settings.new_tokens for s in samples)
        ours.learn(samples)
        ours.step()

    step(0)  # not measured: memory is mapped, kernels are chosen
    for number in range(1, settings.repetitions + 1):
        meter.run(lambda number=number: step(number))  # type: ignore[misc]


def grpo_trl(settings: Settings, meter: Meter) -> None:
    """The same by TRL's GRPOTrainer, which keeps the time of each of its steps."""
    from transformers import TrainerCallback

    class Steps(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.start = time.perf_counter(), time.process_time()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step > 1:
                meter.seconds.append(time.perf_counter() - self.start[0])
                meter.cpu_seconds.append(time.process_time() - self.start[1])

    trainer = _trl_trainer(settings, settings.repetitions + 1, [Steps()])
    trainer.train()


def _trl_trainer(settings: Settings, steps: int, callbacks: list[Any]) -> Any:
    import torch
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    def reward(completions: list[Any], **kwargs: Any) -> list[float]:
        return [float(len(c[0]["content"]) % 7) for c in completions]

    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=2 * settings.samples,
        num_generations=settings.samples,
        max_completion_length=settings.new_tokens,
        max_steps=steps,
        gradient_accumulation_steps=1,
        learning_rate=1e-6,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        temperature=1.0,
        model_init_kwargs={"dtype": "float32"},
        use_vllm=False,
        beta=0.0,
        disable_tqdm=True,
        generation_kwargs={"min_new_tokens": settings.new_tokens},
    )
    torch.manual_seed(0)
    data = Dataset.from_dict({"prompt": [[{"role": "user", "content": text}] for text in PROMPTS]})
    return GRPOTrainer(model=settings.model, reward_funcs=reward, args=config, train_dataset=data, callbacks=callbacks)


def _made_up(settings: Settings, vocabulary: int) -> list[tuple[list[int], list[int]]]:
    """Prompts and completions of random tokens: `tokens` tokens in sequences of `width`, a sixteenth of them prompt."""
    import random

    draw = random.Random(0)
    ids = [
        [draw.randrange(5, vocabulary) for _ in range(settings.width)] for _ in range(settings.tokens // settings.width)
    ]
    cut = max(1, settings.width // 16)
    return [(row[:cut], row[cut:]) for row in ids]


def pass_ours(settings: Settings, meter: Meter, packed: bool = True) -> None:
    """Forward and backward pass of one micro-batch."""
    from zerocoder.experience import TrainingSample

    ours = Ours(settings, packed)
    samples = [
        TrainingSample(tuple(prompt), tuple(answer), (-1.0,) * len(answer), 1.0 - 2.0 * (n % 2))
        for n, (prompt, answer) in enumerate(_made_up(settings, ours.policy.config.vocab_size))
    ]
    for n in range(settings.repetitions + 1):
        (meter if n else Meter()).run(lambda: ours.learn(samples))
        ours.policy.zero_grad()


def peak_ours(settings: Settings, meter: Meter) -> None:
    """The same, padded (all sequences are of one length), once and without a warm-up."""
    from zerocoder.experience import TrainingSample

    ours = Ours(settings)
    samples = [
        TrainingSample(tuple(prompt), tuple(answer), (-1.0,) * len(answer), 1.0)
        for prompt, answer in _made_up(settings, ours.policy.config.vocab_size)
    ]
    meter.run(lambda: ours.learn(samples))


def whole_ours(settings: Settings, meter: Meter) -> None:
    """Two steps without sampling: in the second one the optimizer's state is there too."""
    from zerocoder.experience import TrainingSample

    ours = Ours(settings)
    samples = [
        TrainingSample(tuple(prompt), tuple(answer), (-1.0,) * len(answer), 1.0)
        for prompt, answer in _made_up(settings, ours.policy.config.vocab_size)
    ]

    def work() -> None:
        for _ in range(2):
            ours.learn(samples)
            ours.step()

    meter.run(work)


def peak_trl(settings: Settings, meter: Meter) -> None:
    """TRL's loss of the same sequences and its backward pass, by the method that its training step calls."""
    import torch

    trainer = _trl_trainer(settings, 1, [])
    rows = _made_up(settings, trainer.model.config.vocab_size)
    prompts, answers = (torch.tensor([row[i] for row in rows]) for i in (0, 1))
    inputs = {
        "prompt_ids": prompts,
        "prompt_mask": torch.ones_like(prompts),
        "completion_ids": answers,
        "completion_mask": torch.ones_like(answers),
        "advantages": torch.ones(len(rows)),
        "num_items_in_batch": torch.tensor(answers.numel()),
    }
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    meter.run(lambda: trainer.compute_loss(trainer.model, inputs).backward())


def pass_bare(settings: Settings, meter: Meter) -> None:
    """transformers alone, on the same packed tokens: logits of all of them, log-softmax, backward."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(settings.model, dtype=torch.float32).train()
    rows = _made_up(settings, model.config.vocab_size)
    ids = torch.tensor([token for prompt, answer in rows for token in (*prompt, *answer)])[None]
    positions = torch.cat([torch.arange(settings.width) for _ in rows])[None]
    advantages = torch.cat([torch.full((len(answer),), 1.0 - 2.0 * (n % 2)) for n, (_, answer) in enumerate(rows)])
    counted = torch.cat([torch.arange(settings.width) >= len(prompt) for prompt, _ in rows])[1:]

    def learn() -> None:
        logits = model(input_ids=ids, position_ids=positions, use_cache=False).logits[0, :-1]
        logprobs = logits.log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0][counted]
        ratio = (logprobs - logprobs.detach()).exp()
        (-(ratio * advantages).sum() / len(advantages)).backward()

    for n in range(settings.repetitions + 1):
        (meter if n else Meter()).run(learn)
        model.zero_grad()


def _prompt_ids(tokenizer: Any, text: str) -> list[int]:
    shown = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
    )
    return list(tokenizer.encode(shown, add_special_tokens=False))


SIDES = {side.__name__: side for side in (grpo_ours, grpo_trl, pass_ours, pass_bare, peak_ours, peak_trl, whole_ours)}


def main() -> None:
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    side, settings = sys.argv[1], Settings(**json.loads(sys.argv[2]))
    torch.set_num_threads(settings.threads)
    meter = Meter()
    SIDES[side](settings, meter)
    print(meter.as_json())


if __name__ == "__main__":
    main()
