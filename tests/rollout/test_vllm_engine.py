"""The vLLM engine on a tiny model: log-probs, seeds, weights that take, faults that are noticed or survived."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from tiny import tiny_policy, tiny_tokenizer
from transformers import LlamaForCausalLM
from two_ranks import run_two_ranks

from zerocoder.problems import ZeroCoderError
from zerocoder.rollout.engine import Completion, Request, RolloutEngine, Sampling
from zerocoder.rollout.vllm import VllmRollout

pytestmark = pytest.mark.vllm
pytest.importorskip("vllm")

SETTINGS = VllmRollout(max_prompt_tokens=960, max_new_tokens=40, kv_cache_gb=0.5)
GREEDY = Sampling(0.0, 1.0, 0, 40)
WARM = Sampling(0.7, 0.8, 0, 40)


def prompt(length: int, start: int = 0) -> tuple[int, ...]:
    """Tokens of the alphabet in an order of their own."""
    return tuple(5 + (start + 37 * i * i) % 250 for i in range(length))


PROMPTS = [prompt(5), prompt(1, 7), prompt(40, 3), prompt(200, 11)]
REQUESTS = [Request(p, (1, 2, 2**62 + 1)) for p in PROMPTS]


def new_policy(tied: bool = True) -> LlamaForCausalLM:
    return tiny_policy(tied=tied, hidden=128)  # vLLM's CPU attention wants heads of 32


def start(policy: LlamaForCausalLM, settings: VllmRollout = SETTINGS) -> RolloutEngine:
    return settings.start(policy, tiny_tokenizer())


@pytest.fixture(scope="module")
def policy() -> LlamaForCausalLM:
    return new_policy()


@pytest.fixture(scope="module")
def running(policy: LlamaForCausalLM) -> Iterator[RolloutEngine]:
    engine = start(policy)
    yield engine
    engine.close()


@pytest.fixture
def engine(running: RolloutEngine, policy: LlamaForCausalLM) -> RolloutEngine:
    """With the policy's first weights, whatever the test before did."""
    policy.load_state_dict(new_policy().state_dict())
    running.sync_weights(policy)
    return running


@torch.no_grad()
def add_noise(policy: LlamaForCausalLM, seed: int = 5) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in policy.parameters():
        parameter += 0.02 * torch.randn(parameter.shape, generator=generator)


@torch.no_grad()
def gap(policy: LlamaForCausalLM, requests: list[Request], rows: list[list[Completion]], temperature: float) -> float:
    """The largest |engine - policy| log-prob of any token, by a plain forward pass."""
    worst = 0.0
    for request, row in zip(requests, rows, strict=True):
        for completion in row:
            ids = torch.tensor([request.prompt + completion.token_ids])
            logits = policy(ids).logits[0, len(request.prompt) - 1 : -1] / temperature
            own = logits.log_softmax(-1).gather(1, torch.tensor(completion.token_ids)[:, None])[:, 0]
            worst = max(worst, (own - torch.tensor(completion.logprobs)).abs().max().item())
    return worst


@pytest.mark.parametrize("sampling", [WARM, Sampling(1.3, 1.0, 5, 40), Sampling(1.0, 1.0, 0, 40)])
def test_logprobs_are_those_of_the_whole_distribution(
    engine: RolloutEngine, policy: LlamaForCausalLM, sampling: Sampling
) -> None:
    rows = engine.generate(REQUESTS, sampling)
    assert [len(row) for row in rows] == [3, 3, 3, 3]
    assert gap(policy, REQUESTS, rows, sampling.temperature) < 3e-4


def test_greedy_equals_transformers_generate(engine: RolloutEngine, policy: LlamaForCausalLM) -> None:
    rows = engine.generate(REQUESTS, GREEDY)
    assert gap(policy, REQUESTS, rows, 1.0) < 3e-4
    for ids, row in zip(PROMPTS, rows, strict=True):
        expected = policy.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False, max_new_tokens=40
        )
        assert all(c.token_ids == tuple(expected[0, len(ids) :].tolist()) for c in row)


def test_an_end_token_ends_an_answer_and_stays_in_it() -> None:
    policy = new_policy()
    policy.generation_config.eos_token_id = [1, *range(100, 140)]  # a seventh of the vocabulary ends an answer
    engine = start(policy)
    told: list[tuple[int, int, Completion]] = []
    requests = [Request(p, tuple(range(8))) for p in PROMPTS]
    rows = engine.generate(requests, Sampling(1.0, 1.0, 0, 40), lambda *done: told.append(done))
    engine.close()
    ends = {1, *range(100, 140)}
    for completion in (c for row in rows for c in row):
        found = [t for t in completion.token_ids if t in ends]
        assert len(completion.logprobs) == len(completion.token_ids)
        assert found == ([] if completion.truncated else [completion.token_ids[-1]])
        assert completion.truncated == (len(completion.token_ids) == 40 and not found)
        assert completion.text == tiny_tokenizer().decode(completion.token_ids, skip_special_tokens=True)
    assert len(told) == 32 and all(rows[i][j] == completion for i, j, completion in told)
    lengths = [len(completion.token_ids) for _, _, completion in told]
    assert lengths == sorted(lengths) and len(set(lengths)) > 3, "each is told as soon as it has ended"


def test_a_sample_depends_on_its_seed_and_not_on_its_neighbours(engine: RolloutEngine) -> None:
    together = engine.generate(REQUESTS, WARM)
    apart = [engine.generate([request], WARM)[0] for request in REQUESTS]
    assert [[c.token_ids for c in row] for row in together] == [[c.token_ids for c in row] for row in apart]
    assert len({c.token_ids for row in together for c in row}) > len(PROMPTS)
    state = torch.get_rng_state()
    engine.generate(REQUESTS, WARM)
    assert torch.equal(state, torch.get_rng_state()), "the run's own generators are left alone"


def test_more_prompts_than_are_read_at_once(engine: RolloutEngine, policy: LlamaForCausalLM) -> None:
    requests = [Request(prompt(900, start), (start,)) for start in range(12)]
    assert gap(policy, requests, engine.generate(requests, WARM), 0.7) < 3e-4


def test_over_long_requests_are_refused(engine: RolloutEngine) -> None:
    with pytest.raises(ValueError, match="exceed the engine's 1000"):
        engine.generate([Request(prompt(961), (0,))], WARM)


@pytest.mark.parametrize("pause", [True, False])
def test_a_sync_takes_and_empties_the_prefix_cache(
    engine: RolloutEngine, policy: LlamaForCausalLM, pause: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zerocoder.rollout.vllm_engine import VllmEngine

    cached: list[int] = []
    completion = VllmEngine._completion

    def spy(self: VllmEngine, output: Any) -> Completion:
        cached.append(output.num_cached_tokens)
        return completion(self, output)

    monkeypatch.setattr(VllmEngine, "_completion", spy)
    long = [Request(prompt(300, 5), (4,))]
    engine.generate(long, WARM)
    engine.generate(long, WARM)
    assert cached == [0, 256]
    add_noise(policy)
    assert gap(policy, REQUESTS, engine.generate(REQUESTS, WARM), 0.7) > 0.5
    if pause:
        engine.pause()
    engine.sync_weights(policy)
    cached.clear()
    assert gap(policy, long, engine.generate(long, WARM), 0.7) < 3e-4
    assert cached == [0]
    assert gap(policy, REQUESTS, engine.generate(REQUESTS, WARM), 0.7) < 3e-4


def test_an_untied_head_takes_its_own_weights() -> None:
    policy = new_policy(tied=False)
    engine = start(policy)
    for seed in (1, 2):
        add_noise(policy, seed)
        engine.sync_weights(policy)
        assert gap(policy, REQUESTS, engine.generate(REQUESTS, WARM), 0.7) < 3e-4
    engine.close()


def test_samples_of_a_prompt_share_its_cache(engine: RolloutEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    from zerocoder.rollout.vllm_engine import VllmEngine

    cached: list[int] = []
    completion = VllmEngine._completion
    monkeypatch.setattr(
        VllmEngine,
        "_completion",
        lambda self, output: cached.append(output.num_cached_tokens) or completion(self, output),
    )
    engine.generate([Request(prompt(300, 9), (1, 2, 3, 4))], WARM)
    assert sorted(cached) == [0, 256, 256, 256]


def test_a_paused_engine_draws_nothing(engine: RolloutEngine, policy: LlamaForCausalLM) -> None:
    engine.pause()
    engine.pause()
    with pytest.raises(RuntimeError, match="sync_weights"):
        engine.generate(REQUESTS, WARM)
    engine.sync_weights(policy)
    assert gap(policy, REQUESTS, engine.generate(REQUESTS, WARM), 0.7) < 3e-4


def test_same_seeds_repeat_in_another_engine(engine: RolloutEngine, policy: LlamaForCausalLM) -> None:
    other = start(policy)
    assert other.generate(REQUESTS, WARM) == engine.generate(REQUESTS, WARM)
    other.close()
    assert other.close() is None, "twice is no harm"


def test_whoever_takes_an_answer_may_fail(engine: RolloutEngine) -> None:
    def fail(*done: Any) -> None:
        raise KeyError("mine")

    expected = engine.generate(REQUESTS, GREEDY)
    with pytest.raises(KeyError, match="mine"):
        engine.generate(REQUESTS, WARM, fail)
    assert engine.generate(REQUESTS, GREEDY) == expected, "nothing of the call before turns up"


def break_worker(engine: Any, at: int) -> None:
    """Let the worker's `at`-th forward pass from now on fail."""
    worker = engine._llm.model_executor.driver_worker.worker
    execute, calls = worker.execute_model, iter(range(1, 10**6))

    def failing(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == at:
            raise RuntimeError("a fault\nwith details")
        return execute(*args, **kwargs)

    worker.execute_model = failing


def test_an_engine_that_dies_is_started_anew_and_draws_what_is_missing() -> None:
    policy = new_policy()
    policy.generation_config.eos_token_id = [1, *range(100, 140)]
    engine, free = start(policy), Sampling(1.0, 1.0, 0, 40)
    requests = [Request(p, tuple(range(8))) for p in PROMPTS]
    expected = engine.generate(requests, free)
    ended_before = sum(len(c.token_ids) < 6 for row in expected for c in row)
    assert 0 < ended_before < 32
    break_worker(engine, at=6)
    told: list[tuple[int, int]] = []
    assert engine.generate(requests, free, lambda i, j, _: told.append((i, j))) == expected
    assert sorted(told) == [(i, j) for i in range(4) for j in range(8)], "each answer is told once"
    engine.close()


def test_an_engine_that_dies_twice_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from zerocoder.rollout import vllm_engine

    launch = vllm_engine.launch
    engine = start(new_policy())

    def launch_broken(*args: Any) -> Any:
        class Started:
            _llm = launch(*args)

        break_worker(Started, at=3)
        return Started._llm

    monkeypatch.setattr(vllm_engine, "launch", launch_broken)
    break_worker(engine, at=3)
    with pytest.raises(ZeroCoderError, match=r"vLLM failed .*a fault.* trainer\.resume=latest") as caught:
        engine.generate(REQUESTS, WARM)
    assert "\n" not in str(caught.value)
    engine.close()


def test_settings_that_do_not_fit_the_machine_are_one_line() -> None:
    with pytest.raises(ZeroCoderError, match=r"rollout=vllm: the engine does not start: .*") as caught:
        start(new_policy(), VllmRollout(max_prompt_tokens=960, max_new_tokens=40, kv_cache_gb=1e-4))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tensor_parallel", [1, 2])
def test_two_ranks_each_get_their_own_answers(tensor_parallel: int) -> None:
    for told in run_two_ranks("vllm_rank.py", str(tensor_parallel)):
        assert told.splitlines()[-1] == "done"
