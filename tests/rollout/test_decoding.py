"""The decoding loop against transformers' own `generate`, and the sampler against hand-worked distributions."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_policy, tiny_tokenizer
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from zerocoder.rollout import slots
from zerocoder.rollout.attention import NAME, grouped_attention, shares_prompts
from zerocoder.rollout.decoding import TransformersEngine
from zerocoder.rollout.drawing import draw
from zerocoder.rollout.engine import Completion, Request, Sampling, request_seed

PROMPTS = [(5, 9, 7, 30, 41), (12,), (80, 81, 82, 83, 84, 85, 86, 87, 88, 89), (200, 100)]
GREEDY = Sampling(0.0, 1.0, 0, 40)
WARM = Sampling(0.7, 0.8, 0, 40)

ALIKE = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "pad_token_id", "eos_token_id", "initializer_range"),
)


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


def test_what_answers_begin_with_is_written_once() -> None:
    policy = tiny_policy()
    read: list[tuple[tuple[int, ...], list[int]]] = []  # of each pass, the shape and the last tokens

    def watch(module: object, args: object, given: dict[str, torch.Tensor]) -> None:
        read.append((tuple(given["input_ids"].shape), given["input_ids"][:, -1].tolist()))

    policy.register_forward_pre_hook(watch, with_kwargs=True)
    rows = TransformersEngine(policy, tiny_tokenizer(), 64).generate([Request(PROMPTS[0], tuple(range(8)))], WARM)
    assert read[0][0] == (1, len(PROMPTS[0]))  # the prompt, once for all
    for step, (shape, tokens) in enumerate(read[1:], 1):
        beginnings = {c.token_ids[:step] for c in rows[0] if len(c.token_ids) > step}
        assert shape == (len(beginnings), 1)
        assert sorted(tokens) == sorted(beginning[-1] for beginning in beginnings)
    assert read[1][0][0] < 8, "some begin alike"


def windowed_policy() -> Qwen2ForCausalLM:
    """Its second layer sees the last 12 tokens."""
    torch.manual_seed(0)
    config = Qwen2Config(
        **{key: getattr(tiny_policy().config, key) for key in ALIKE},
        use_sliding_window=True,
        sliding_window=12,
        max_window_layers=1,
    )
    return Qwen2ForCausalLM(config).eval()


def eager_policy() -> PreTrainedModel:
    policy = tiny_policy()
    policy.set_attn_implementation("eager")
    return policy


@pytest.mark.parametrize(("make", "shares"), [(tiny_policy, True), (windowed_policy, False), (eager_policy, False)])
@pytest.mark.parametrize("batch_size", [1, 3, 8, 11])
def test_sequences_that_join_and_move_are_written_as_if_alone(
    batch_size: int, make: Callable[[], PreTrainedModel], shares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make()
    with grouped_attention(policy):
        assert shares_prompts(policy) == shares
    policy.generation_config.eos_token_id = [1, *range(100, 130)]  # answers of very different lengths
    requests = [Request(p, tuple(range(k, k + 5))) for k, p in enumerate(PROMPTS * 2)]
    sampling = Sampling(0.8, 0.95, 0, 60)
    expected = TransformersEngine(policy, tiny_tokenizer(), 64).generate(requests, sampling)
    monkeypatch.setattr(slots, "ROOM", 7)  # the buffers are made anew all the time
    found = TransformersEngine(policy, tiny_tokenizer(), batch_size).generate(requests, sampling)
    for request, theirs, ours in zip(requests, expected, found, strict=True):
        assert [c.token_ids for c in ours] == [c.token_ids for c in theirs]
        for c in ours:
            logits = policy(torch.tensor([request.prompt + c.token_ids])).logits[0, len(request.prompt) - 1 : -1]
            plain = (logits / 0.8).log_softmax(-1).gather(1, torch.tensor(c.token_ids)[:, None])[:, 0]
            torch.testing.assert_close(torch.tensor(c.logprobs), plain, atol=1e-4, rtol=0)


@pytest.mark.parametrize("change", [lambda p: p.to(torch.bfloat16), lambda p: setattr(p.config, "model_type", "other")])
def test_prompts_are_not_shared_where_it_is_unknown_to_work_or_to_pay(
    change: Callable[[PreTrainedModel], None],
) -> None:
    policy = tiny_policy()
    assert not shares_prompts(policy), "only while it decodes"
    with grouped_attention(policy):
        assert shares_prompts(policy)
        change(policy)
        assert not shares_prompts(policy)


def test_the_policy_attends_as_before_when_decoding_is_over_or_failed() -> None:
    policy = tiny_policy()
    eng = TransformersEngine(policy, tiny_tokenizer(), 8)

    def interrupt(*done: object) -> None:
        assert policy.config._attn_implementation == NAME
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        eng.generate([Request((5, 6), (0,))], WARM, interrupt)
    assert policy.config._attn_implementation == "sdpa"
    policy.set_attn_implementation("eager")
    eng.generate([Request((5, 6), (0,))], WARM, lambda *_: None)
    assert policy.config._attn_implementation == "eager"


def test_over_long_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="exceed the model's 1024"):
        engine().generate([Request(tuple(range(5, 205)) * 5, (0,))], GREEDY)


def test_draw_inverts_the_cumulative_distribution() -> None:
    logits = torch.tensor([[math.log(0.5), math.log(0.3), math.log(0.2)]]).repeat(4, 1)
    tokens, logprobs = draw(logits, torch.tensor([0.0, 0.49, 0.51, 0.99], dtype=torch.float64), Sampling(1, 1, 0, 1))
    assert tokens.tolist() == [0, 0, 1, 2]
    assert logprobs.exp().tolist() == pytest.approx([0.5, 0.5, 0.3, 0.2])


def test_several_tokens_of_one_row_are_those_of_equal_rows() -> None:
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    uniforms = torch.rand(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for sampling in (Sampling(1, 1, 0, 1), WARM, GREEDY):
        apart = draw(logits.repeat_interleave(4, 0), uniforms.flatten(), sampling)
        together = draw(logits, uniforms, sampling)
        assert torch.equal(together[0].flatten(), apart[0]) and torch.equal(together[1].flatten(), apart[1])


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
