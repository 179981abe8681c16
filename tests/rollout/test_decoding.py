"""The decoding loop against transformers' own `generate`, and the sampler against hand-worked distributions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_policy, tiny_tokenizer

from zerocoder.rollout.decoding import TransformersEngine
from zerocoder.rollout.drawing import draw
from zerocoder.rollout.engine import Completion, Request, Sampling, request_seed

PROMPTS = [(5, 9, 7, 30, 41), (12,), (80, 81, 82, 83, 84, 85, 86, 87, 88, 89), (200, 100)]
GREEDY = Sampling(0.0, 1.0, 0, 40)
WARM = Sampling(0.7, 0.8, 0, 40)


def engine(batch_size: int = 64) -> TransformersEngine:
    return TransformersEngine(tiny_policy(), tiny_tokenizer(), batch_size)


def test_greedy_equals_transformers_generate() -> None:
    ours = engine().generate([Request(p, (0,)) for p in PROMPTS], GREEDY)
    policy = tiny_policy()
    for prompt, (completion,) in zip(PROMPTS, ours, strict=True):
        theirs = policy.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), do_sample=False, max_new_tokens=40
        )
        assert completion.token_ids == tuple(theirs[0, len(prompt) :].tolist())
        assert completion.truncated == (completion.token_ids[-1] != 1)


def test_logprobs_are_those_of_a_plain_forward_pass() -> None:
    policy = tiny_policy()
    request = Request(PROMPTS[0], tuple(range(6)))
    for completion in engine().generate([request], WARM)[0]:
        ids = torch.tensor([request.prompt + completion.token_ids])
        logits = policy(ids).logits[0, len(request.prompt) - 1 : -1] / WARM.temperature
        expected = logits.log_softmax(-1).gather(1, torch.tensor(completion.token_ids)[:, None])[:, 0]
        assert torch.allclose(torch.tensor(completion.logprobs), expected, atol=1e-4)


def test_a_sample_depends_on_its_seed_and_not_on_its_neighbours() -> None:
    together = engine().generate([Request(p, (11, 12, 13)) for p in PROMPTS], WARM)
    apart = [engine(batch_size=2).generate([Request(p, (11, 12, 13))], WARM)[0] for p in PROMPTS]
    assert [[c.token_ids for c in row] for row in together] == [[c.token_ids for c in row] for row in apart]
    assert len({c.token_ids for row in together for c in row}) > len(PROMPTS)  # seeds differ, so samples do


def test_ended_sequences_leave_and_the_rest_goes_on() -> None:
    policy = tiny_policy()
    policy.generation_config.eos_token_id = [1, *range(100, 140)]  # a seventh of the vocabulary ends an answer
    reported: list[tuple[int, int, Completion]] = []
    eng = TransformersEngine(policy, tiny_tokenizer(), 64)
    rows = eng.generate(
        [Request(p, tuple(range(8))) for p in PROMPTS], Sampling(1.0, 1.0, 0, 40), lambda *done: reported.append(done)
    )
    completions = [c for row in rows for c in row]
    assert len(reported) == len(completions) == 32
    assert all(rows[request][sample] == completion for request, sample, completion in reported)
    lengths = [len(completion.token_ids) for _, _, completion in reported]
    assert lengths == sorted(lengths), "each is told as soon as it has ended"
    assert len({len(c.token_ids) for c in completions}) > 3
    for c in completions:
        ends = [t for t in c.token_ids if t in eng.end_tokens]
        assert (len(ends) == 0) if c.truncated else (len(ends) == 1 and c.token_ids[-1] in eng.end_tokens)
        assert len(c.logprobs) == len(c.token_ids)


def test_over_long_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="exceed the model's 1024"):
        engine().generate([Request(tuple(range(5, 205)) * 5, (0,))], GREEDY)


def test_draw_inverts_the_cumulative_distribution() -> None:
    logits = torch.tensor([[math.log(0.5), math.log(0.3), math.log(0.2)]]).repeat(4, 1)
    tokens, logprobs = draw(logits, torch.tensor([0.0, 0.49, 0.51, 0.99], dtype=torch.float64), Sampling(1, 1, 0, 1))
    assert tokens.tolist() == [0, 0, 1, 2]
    assert logprobs.exp().tolist() == pytest.approx([0.5, 0.5, 0.3, 0.2])


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    # In falling order .5 .3 .2: 0.8 needs the first two (renormalised 5/8, 3/8), 0.81 all three.
    logits = torch.tensor([[math.log(0.2), math.log(0.5), math.log(0.3)]]).repeat(2, 1)
    uniforms = torch.tensor([0.624, 0.99], dtype=torch.float64)
    assert draw(logits, uniforms, Sampling(1, 0.79, 0, 1))[0].tolist() == [1, 2]
    assert draw(logits, uniforms, Sampling(1, 0.81, 0, 1))[0].tolist() == [2, 0]
    # The reported log-prob is that of the whole distribution.
    assert draw(logits, uniforms, Sampling(1, 0.79, 0, 1))[1].exp().tolist() == pytest.approx([0.5, 0.3])


def test_top_k_cuts_and_temperature_sharpens() -> None:
    logits = torch.tensor([[math.log(0.5), math.log(0.3), math.log(0.2)]])
    last = torch.tensor([0.999], dtype=torch.float64)
    assert draw(logits, last, Sampling(1, 1, 1, 1))[0].item() == 0
    assert draw(logits, last, Sampling(1, 1, 2, 1))[0].item() == 1
    # At temperature 1/2 the weights are squared: .25 .09 .04 of .38.
    assert draw(logits, last, Sampling(0.5, 1, 0, 1))[1].exp().item() == pytest.approx(0.04 / 0.38)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 1, exclude_max=True), st.floats(0.05, 1), st.integers(0, 5))
def test_a_drawn_token_is_always_inside_the_nucleus(seed: int, u: float, top_p: float, top_k: int) -> None:
    logits = 4 * torch.randn(1, 3000, generator=torch.Generator().manual_seed(seed))
    token = draw(logits, torch.tensor([u], dtype=torch.float64), Sampling(1.0, top_p, top_k, 1))[0].item()
    probs = logits[0].softmax(-1)
    heavier = probs[probs > probs[token]].sum().item()
    assert heavier < top_p + 1e-5
    if top_k:
        assert (probs > probs[token]).sum().item() < top_k


def test_request_seeds_differ_by_every_part() -> None:
    seeds = {
        request_seed(0, "train", step, p, role, i) for step in (0, 1) for p in "ab" for role in "ct" for i in (0, 1)
    }
    assert len(seeds) == 16
    assert request_seed(1, "a") != request_seed(1, "b") and request_seed("1", "2") != request_seed("12")
