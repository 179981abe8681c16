"""The shipped policy, its text and its pre-training."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import torch
from rich.console import Console
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from zerocoder.answers import parse_program, parse_test
from zerocoder.datasets.builtin import Builtin
from zerocoder.datasets.families.core import Split, split_of
from zerocoder.nano import MODEL_DIR
from zerocoder.nano.pretrain import Phase, Recipe, draw_window, pretrain
from zerocoder.nano.text import BROAD, CLEAR, CORE, VARIED, Reading, Text, as_problem, draw_turn
from zerocoder.problems import Problem, Program, Role, TestCase, ZeroCoderError
from zerocoder.prompting import prompt_ids
from zerocoder.prompts import PromptStyle, messages

PHASES = (Phase("broad", 2), Phase("core", 3, rate=0.5))
TINY = Recipe(phases=PHASES, width=32, layers=1, heads=2, feedforward=32, vocabulary=400, save_every=2)


def test_the_shipped_folder_is_small_and_plain() -> None:
    assert sum(f.stat().st_size for f in MODEL_DIR.glob("*.safetensors")) <= 12e6
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32)
    assert isinstance(model, LlamaForCausalLM) and 2e6 <= sum(p.numel() for p in model.parameters()) <= 6e6
    assert (MODEL_DIR / "README.md").read_text().count("Apache") + (MODEL_DIR / "README.md").read_text().count("apache")
    with safe_open(MODEL_DIR / "model.safetensors", "pt") as weights:
        assert "model.embed_tokens.weight" in weights.keys()  # noqa: SIM118


def test_training_and_heldout_problems_never_occur_in_the_text() -> None:
    source = Builtin()
    validation = Builtin(heldout_split="validation").heldout()
    known = {p.statement for p in [*source.train(), *validation, *source.heldout()]}
    assert len(known) > 450
    rng = Random("another seed than any run's")
    for i in range(6000):
        pipeline = draw_turn(rng, CORE if i % 2 else BROAD, i / 6000).pipeline
        assert split_of(pipeline.composition) is Split.PRETRAIN
        assert pipeline.statement not in known


@pytest.mark.parametrize("text", [BROAD, CORE, CLEAR, VARIED], ids=["broad", "core", "clear", "varied"])
def test_turns_are_the_prompts_that_training_uses_and_parse(text: Text) -> None:
    rng = Random(1)
    turns = [draw_turn(rng, text) for _ in range(1500)]
    for turn in turns:
        problem = as_problem(turn.pipeline)
        assert turn.prompt == messages(problem, turn.role, PromptStyle.COMPACT)[-1]["content"]
        named = Problem("x", problem.statement, entry_point=problem.entry_point, signature=problem.signature)
        parsed = (parse_program if turn.role is Role.CODER else parse_test)(turn.answer, named)
        assert isinstance(parsed, Program | TestCase), (turn.answer, parsed)
    share = sum(t.role is Role.TESTER for t in turns) / len(turns)
    assert share == pytest.approx(text.tester_share, abs=0.05)


def test_the_last_phase_makes_coders_right_more_often_than_wrong_in_any_one_way() -> None:
    """On problems with a strong misreading, where the phase before it does not."""
    rates = {}
    for name, text in (("clear", CLEAR), ("varied", VARIED)):
        rng = Random(2)
        turns = [turn for turn in (draw_turn(rng, text) for _ in range(6000)) if turn.role is Role.CODER]
        strong = [turn for turn in turns if turn.pipeline.strong]
        assert len(strong) > 300
        rates[name] = {reading: sum(turn.reading is reading for turn in strong) / len(strong) for reading in Reading}
    assert rates["clear"][Reading.MISREAD] > rates["clear"][Reading.RIGHT] + 0.03
    assert rates["varied"][Reading.RIGHT] > max(rates["varied"][r] for r in (Reading.MISREAD, Reading.BUG)) + 0.1
    assert rates["varied"][Reading.BUG] > 4 * rates["clear"][Reading.BUG]


def test_sampling_sees_the_tokens_of_pre_training() -> None:
    """The chat template's prompt, tokenised as for rollouts, is the beginning of the pre-training row."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    from zerocoder.nano.tokenizer import wrap

    for problem in Builtin().heldout()[:40]:
        for role in Role:
            text = messages(problem, role, PromptStyle.COMPACT)[-1]["content"]
            assert list(prompt_ids(tokenizer, problem, role, PromptStyle.COMPACT)) == tokenizer(wrap(text)).input_ids


def test_text_repeats_with_its_seed() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    a, b, c = (draw_window(Recipe(seed=s), 3, CORE, 0.5, tokenizer) for s in (0, 0, 1))
    assert torch.equal(a[0].tokens, b[0].tokens) and a[0].tokens.tolist() != c[0].tokens.tolist()


def test_the_rate_rises_stays_and_falls_in_every_phase() -> None:
    phase = Phase("core", 100, rate=0.5, warmup=0.02, decay=0.5)
    assert [phase.factor(done) for done in (1, 2, 50, 75, 100)] == pytest.approx([0.275, 0.5, 0.5, 0.25, 0.0])
    recipe = Recipe(phases=(Phase("broad", 2), Phase("core", 3)))
    assert recipe.steps == 5
    assert [recipe.at(step) for step in (0, 1, 2, 4, 5)] == [(0, 0), (0, 1), (1, 0), (1, 2), (1, 3)]
    assert [p.steps for p in Recipe().shortened(39).phases] == [22, 10, 4, 3]


@pytest.mark.parametrize("killed_at", [2, 3])
def test_pretraining_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    """Whether it is killed between two phases or within one."""
    from zerocoder.nano import pretrain as module

    monkeypatch.setattr(module, "WINDOW", 64)
    monkeypatch.setattr(module, "TOKENIZER_TURNS", 300)
    quiet = Console(quiet=True)
    pretrain(TINY, tmp_path / "whole", quiet)

    class Killed(Exception):
        pass

    train_batch = module.Pretraining.train_batch

    def dies(self: module.Pretraining, batch: module.Batch) -> float:
        if self.step == killed_at:
            raise Killed
        return train_batch(self, batch)

    monkeypatch.setattr(module.Pretraining, "train_batch", dies)
    with pytest.raises(Killed):
        pretrain(TINY, tmp_path / "broken", quiet)
    assert not (tmp_path / "broken").exists()
    monkeypatch.setattr(module.Pretraining, "train_batch", train_batch)
    pretrain(TINY, tmp_path / "broken", quiet)
    weights = [AutoModelForCausalLM.from_pretrained(tmp_path / n).state_dict() for n in ("whole", "broken")]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_a_state_of_another_recipe_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zerocoder.nano import pretrain as module

    monkeypatch.setattr(module, "WINDOW", 64)
    monkeypatch.setattr(module, "TOKENIZER_TURNS", 300)
    pretrain(TINY, tmp_path / "model", Console(quiet=True))
    with pytest.raises(ZeroCoderError, match="belongs to a run with other settings"):
        pretrain(Recipe(seed=9, phases=PHASES, vocabulary=400, layers=1), tmp_path / "model", Console(quiet=True))
