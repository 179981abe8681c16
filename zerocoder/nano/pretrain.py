"""Pre-trains zerocoder-nano from nothing on the CPU: seeded, with progress, resumable after a kill.

The text is endless and drawn window by window from `Random(f"{seed}:{window}")`, so the position in it is one
integer. Weights, both optimizers and that integer go into one state file, written whole or not at all. The training
has phases, each with a text and a schedule of its own: first all kinds of values, then those of the built-in problems,
then testers who are right more often than coders, last coders whose mistakes are many and rare. Turns are bucketed by
length and padded on the right; the loss counts answer tokens only, and only they reach the output layer.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from zerocoder.files import new_dir, write_bytes
from zerocoder.nano.muon import Muon
from zerocoder.nano.text import BROAD, CLEAR, CORE, VARIED, Text, Turn, draw_turn
from zerocoder.nano.tokenizer import CONTEXT, END, train_tokenizer, wrap
from zerocoder.problems import ZeroCoderError

MARK: dict[str, Any] = {"zerocoder_model": "nano"}
"""Kept in config.json, so that its checkpoints too are spoken to by conf/model/nano.yaml."""
WINDOW = 1536  # turns that are drawn, sorted by length and cut into batches together
TOKENIZER_TURNS = 8000
IGNORE = -100


TEXTS: dict[str, Text] = {"broad": BROAD, "core": CORE, "clear": CLEAR, "varied": VARIED}


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the training with a text, a schedule and optimizers of its own."""

    text: str  # one of TEXTS
    steps: int
    rate: float = 1.0  # times the recipe's learning rates
    warmup: float = 0.02  # share of the steps
    decay: float = 0.45  # share of the steps over which the rate falls linearly to zero

    def factor(self, done: int) -> float:
        """Learning-rate factor after `done` of its steps: linear warm-up, flat, linear decay to zero."""
        share = done / self.steps
        return self.rate * min(1.0, (share + 1e-3) / self.warmup, max(0.0, 1 - share) / self.decay)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights."""

    seed: int = 0
    phases: tuple[Phase, ...] = (
        Phase("broad", 2200),
        Phase("core", 1000, rate=0.7, decay=0.6),
        Phase("clear", 400, rate=0.4, decay=0.8),
        Phase("varied", 300, rate=0.4, decay=0.8),
    )
    batch_tokens: int = 4096
    vocabulary: int = 768
    width: int = 192
    layers: int = 6
    heads: int = 6
    feedforward: int = 512
    muon_lr: float = 3e-3  # hidden matrices
    adam_lr: float = 3e-3  # embeddings and norms
    weight_decay: float = 0.01
    save_every: int = 200

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    def shortened(self, steps: int) -> Recipe:
        """The same in about `steps` steps, at least one a phase."""
        share = steps / self.steps
        return replace(self, phases=tuple(replace(p, steps=max(1, round(share * p.steps))) for p in self.phases))

    def at(self, step: int) -> tuple[int, int]:
        """(index of the phase, steps of it that are done) after `step` steps; in the end those of the last one."""
        for index, phase in enumerate(self.phases):
            if step < phase.steps or index == len(self.phases) - 1:
                return index, step
            step -= phase.steps
        raise ValueError("a recipe needs a phase")

    def config(self, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
        return LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.width,
            intermediate_size=self.feedforward,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **MARK,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded turns. Under a causal mask the padding needs no attention mask: nothing real looks at it."""

    tokens: Tensor  # int64 [B, T]
    targets: Tensor  # int64 [B, T], the next token where it belongs to the answer, else IGNORE


def build_tokenizer(recipe: Recipe) -> PreTrainedTokenizerFast:
    rng = Random(f"{recipe.seed}:tokenizer")
    turns = [draw_turn(rng, BROAD) for _ in range(TOKENIZER_TURNS)]
    return train_tokenizer((f"{turn.prompt}\n{turn.answer}" for turn in turns), recipe.vocabulary)


def draw_window(
    recipe: Recipe, window: int, text: Text, progress: float, tokenizer: PreTrainedTokenizerFast
) -> list[Batch]:
    """The batches of one window of the text, in random order."""
    rng = Random(f"{recipe.seed}:{window}")
    turns = [draw_turn(rng, text, progress) for _ in range(WINDOW)]
    rows = sorted(_encode(turns, tokenizer), key=lambda row: len(row[0]))
    batches, start = [], 0
    while start < len(rows):
        stop, longest = start, 0
        while stop < len(rows) and (stop - start + 1) * len(rows[stop][0]) <= recipe.batch_tokens:
            longest, stop = len(rows[stop][0]), stop + 1
        batches.append(_collate(rows[start:stop], longest))
        start = stop
    rng.shuffle(batches)
    return batches


def _encode(turns: list[Turn], tokenizer: PreTrainedTokenizerFast) -> list[tuple[list[int], int]]:
    """(tokens of the whole turn, number of prompt tokens) a turn; the two parts are encoded apart as in sampling."""
    prompts = tokenizer([wrap(turn.prompt) for turn in turns]).input_ids
    answers = tokenizer([turn.answer + END for turn in turns]).input_ids
    rows = [(prompt + answer, len(prompt)) for prompt, answer in zip(prompts, answers, strict=True)]
    return [row for row in rows if len(row[0]) <= CONTEXT // 2]


def _collate(rows: list[tuple[list[int], int]], length: int) -> Batch:
    tokens = torch.zeros(len(rows), length, dtype=torch.long)
    targets = torch.full((len(rows), length), IGNORE)
    for i, (row, prompt) in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row)
        targets[i, prompt - 1 : len(row) - 1] = tokens[i, prompt : len(row)]
    return Batch(tokens, targets)


class Pretraining:
    """One run: model, optimizers and the position in the text."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.out = recipe, out
        self.tokenizer = build_tokenizer(recipe)
        self.model = LlamaForCausalLM(recipe.config(self.tokenizer))
        self.phase = 0
        self.optimizers = self._optimizers()
        self.step = self.window = self.batch = self.tokens = 0
        self.window_progress = 0.0
        self.seconds = 0.0

    def _optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        matrices = [p for name, p in self.model.named_parameters() if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in self.model.named_parameters() if p.ndim != 2 or "embed" in name]
        muon = Muon(matrices, lr=self.recipe.muon_lr, weight_decay=self.recipe.weight_decay)
        return muon, torch.optim.AdamW(others, lr=self.recipe.adam_lr, betas=(0.9, 0.98), weight_decay=0.0)

    @property
    def state_path(self) -> Path:
        return self.out.with_name(f"{self.out.name}.state.pt")

    def batches(self) -> Iterator[Batch]:
        while self.step < self.recipe.steps:
            index, done = self.recipe.at(self.step)
            if index != self.phase:
                self.window += self.batch > 0  # the rest of a window is the earlier text's
                self.phase, self.optimizers, self.batch = index, self._optimizers(), 0
            phase = self.recipe.phases[index]
            if self.batch == 0:
                self.window_progress = done / phase.steps
            drawn = draw_window(self.recipe, self.window, TEXTS[phase.text], self.window_progress, self.tokenizer)
            for batch in drawn[self.batch :]:
                if self.recipe.at(self.step)[0] != index or self.step >= self.recipe.steps:
                    break
                self.batch += 1
                yield batch
            self.window, self.batch = self.window + 1, 0

    def train_batch(self, batch: Batch) -> float:
        """One optimizer step; returns the mean loss of an answer token in nats."""
        factor = self.recipe.phases[self.phase].factor(self.recipe.at(self.step)[1])
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("peak", group["lr"]) * factor
        hidden = self.model.model(input_ids=batch.tokens, use_cache=False).last_hidden_state
        counted = batch.targets != IGNORE
        loss = torch.nn.functional.cross_entropy(self.model.lm_head(hidden[counted]), batch.targets[counted])
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens += int(batch.tokens.numel())
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        counters = {name: getattr(self, name) for name in _COUNTERS}
        return {
            "recipe": asdict(self.recipe),
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "counters": counters,
        }

    def save(self) -> None:
        buffer = io.BytesIO()
        torch.save(self.state(), buffer)
        write_bytes(self.state_path, buffer.getvalue())

    def resume(self) -> bool:
        """Continues from the state file if there is one.

        Raises ZeroCoderError when that file belongs to another recipe.
        """
        if not self.state_path.is_file():
            return False
        state = torch.load(self.state_path, weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            raise ZeroCoderError(
                f"{self.state_path} belongs to a run with other settings; pass another --out or delete it"
            )
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for name, value in state["counters"].items():
            setattr(self, name, value)
        return True

    def export(self) -> None:
        """Writes the Hugging Face folder, weights in bfloat16."""
        model = LlamaForCausalLM(self.model.config)
        model.load_state_dict(self.model.state_dict())
        with new_dir(self.out) as folder:
            torch.nn.Module.to(model, torch.bfloat16)
            model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)


_COUNTERS = ("step", "phase", "window", "batch", "tokens", "window_progress", "seconds")


def pretrain(recipe: Recipe, out: Path, console: Console) -> None:
    """Trains until `recipe.steps`, saving every `recipe.save_every` steps, and exports the model to `out`."""
    run = Pretraining(recipe, out)
    if run.resume():
        console.print(f"resumed {run.state_path} at step {run.step}")
    size = sum(p.numel() for p in run.model.parameters())
    console.print(f"zerocoder-nano: {size / 1e6:.2f} M parameters, {len(run.tokenizer)} tokens, {recipe.steps} steps")
    columns = (
        TextColumn("pre-training"), BarColumn(), TextColumn("{task.completed}/{task.total} {task.fields[note]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    before, began, mean = run.seconds, time.monotonic(), 0.0
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=recipe.steps, completed=run.step, note="")
        for batch in run.batches():
            loss = run.train_batch(batch)
            run.seconds = before + time.monotonic() - began
            mean = loss if mean == 0.0 else 0.98 * mean + 0.02 * loss
            speed = run.tokens / run.seconds
            progress.update(bar, completed=run.step, note=f"loss {mean:.3f}, {speed:.0f} tokens/s")
            if run.step % recipe.save_every == 0:
                run.save()
                if not console.is_terminal:
                    console.print(f"step {run.step} loss {mean:.4f} {speed:.0f} tokens/s {run.seconds:.0f} s")
    run.save()
    run.export()
    console.print(f"wrote {out} after {run.seconds / 60:.1f} minutes and {run.tokens} tokens")
