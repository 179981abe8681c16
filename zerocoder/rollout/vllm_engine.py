"""The one file that knows vLLM: an engine in the trainer's process that is handed the policy's weights.

Written for the release that `zerocoder.rollout.vllm` names; where it leaves vLLM's beaten path, comments say why. The
engine starts with random weights from the policy's configuration alone and gets the policy's by `sync_weights`, the
only way by which weights ever come: nothing can be read from a disk over newer ones.
"""

from __future__ import annotations

import copy
import gc
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import vllm.v1.engine.core
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from vllm import EngineArgs, SamplingParams, TokensPrompt
from vllm.distributed.parallel_state import cleanup_dist_env_and_memory, get_tp_group
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.executor.uniproc_executor import ExecutorWithExternalLauncher, UniProcExecutor
from vllm.v1.outputs import LogprobsTensors

from zerocoder.console import say
from zerocoder.problems import ZeroCoderError
from zerocoder.rollout.decoding import end_tokens
from zerocoder.rollout.engine import Completion, OnDone, Request, Sampling
from zerocoder.weights import is_sharded, policy_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from vllm.outputs import RequestOutput

    from zerocoder.rollout.vllm import VllmRollout

Job = tuple[int, int]
"""The indices of a request and of one of its seeds."""
CPU_PREFILL = 4096  # tokens of prompts read at once, unless one is longer


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# An engine that shuts down ends all process groups of its process with it. They are the trainer's.
vllm.v1.engine.core.cleanup_dist_env_and_memory = _free_memory


class RankExecutor(ExecutorWithExternalLauncher):
    """The worker of one of several trainer ranks, on that rank's device and within the trainer's process group."""

    def determine_available_memory(self) -> list[int]:
        # Ranks that share no engine need no common size of their caches, and could not agree on one when a single
        # one of them starts its engine anew.
        if self.vllm_config.parallel_config.tensor_parallel_size == 1:
            found: list[int] = UniProcExecutor.determine_available_memory(self)
            return found
        return super().determine_available_memory()


class VllmEngine:
    """A `RolloutEngine` over vLLM that samples from `policy`'s weights as of the last `sync_weights`."""

    def __init__(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: VllmRollout) -> None:
        self._policy = policy
        self._tokenizer = tokenizer
        self._settings = settings
        self._stops = sorted(end_tokens(policy, tokenizer))
        self._max_len = max_model_len(settings, policy)
        self._owns_group = not dist.is_initialized()
        self._closed = False
        try:
            self._start()
        except (ValueError, torch.OutOfMemoryError) as error:  # settings that do not fit the model or the machine
            raise ZeroCoderError(f"rollout=vllm: the engine does not start: {_first_line(error)}") from error

    def _start(self) -> None:
        """An engine with the policy's weights."""
        self._llm = launch(self._policy, self._settings, self._max_len)
        self._asleep = self._fresh = False
        self.sync_weights(self._policy)

    def sync_weights(self, policy: PreTrainedModel) -> None:
        self._policy = policy
        if self._asleep:  # in this order, so that the KV cache takes its memory when the weights' copies are gone
            self._llm.wake_up(tags=["weights"])
        self._llm.collective_rpc(load_weights, args=(policy_weights(policy),))
        if self._asleep:
            self._llm.wake_up(tags=["kv_cache"])
            self._asleep = False
        # What was computed with the old weights must not be reused.
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM did not reset its prefix cache: requests are still running")
        self._llm.reset_mm_cache()
        self._llm.reset_encoder_cache()
        self._fresh = True

    def pause(self) -> None:
        """Free the device's memory; the weights are gone with it, so that `sync_weights` has to come next."""
        self._fresh = False
        if self._settings.sleep and not self._asleep:
            self._llm.sleep(level=2)
            self._asleep = True

    def close(self) -> None:
        if self._closed:
            return
        self._closed, self._fresh = True, False
        self._shut_down()
        if self._owns_group:
            cleanup_dist_env_and_memory()

    def _shut_down(self) -> None:
        self._llm.engine_core.shutdown()
        del self._llm
        _free_memory()

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_done: OnDone | None = None
    ) -> list[list[Completion]]:
        if not self._fresh:
            raise RuntimeError("generate() on an engine that is paused or closed: sync_weights() has to come before it")
        self._check_lengths(requests, sampling)
        answers: list[list[Completion | None]] = [[None] * len(r.seeds) for r in requests]
        ours, everyone = self._shared(requests)
        with isolate_rng(include_cuda=False):  # on CPUs, vLLM draws a number a token from the global generator
            for (request, sample), completion in self._completions(everyone, sampling):
                if request not in ours:
                    continue
                answers[ours[request]][sample] = completion
                if on_done is not None:
                    on_done(ours[request], sample, completion)
        return [[c for c in row if c is not None] for row in answers]

    def _check_lengths(self, requests: Sequence[Request], sampling: Sampling) -> None:
        longest = max((len(r.prompt) for r in requests), default=0)
        if longest + sampling.max_new_tokens > self._max_len:
            raise ValueError(
                f"a prompt of {longest} tokens and {sampling.max_new_tokens} new ones exceed the engine's "
                f"{self._max_len}"
            )

    def _shared(self, requests: Sequence[Request]) -> tuple[dict[int, int], list[Request]]:
        """The requests of all ranks that share this engine, which must all be given the same ones, and which of them
        are ours: index among all -> our index."""
        if self._settings.tensor_parallel == 1:
            return {i: i for i in range(len(requests))}, list(requests)
        group = get_tp_group()
        parts: list[Any] = [None] * group.world_size
        dist.all_gather_object(parts, list(requests), group=group.cpu_group)
        first = sum(len(part) for part in parts[: group.rank_in_group])
        return {first + i: i for i in range(len(requests))}, [request for part in parts for request in part]

    def _completions(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[tuple[Job, Completion]]:
        """Each completion as soon as it has ended. What vLLM had not ended when it fails is drawn again, once."""
        left: dict[str, Job] = {f"{i}.{j}": (i, j) for i, r in enumerate(requests) for j in range(len(r.seeds))}
        restarted = False
        self._llm.collective_rpc(report_logprobs, args=(sampling.temperature or 1.0,))
        self._add(requests, left.items(), sampling)
        try:
            while left:
                try:
                    outputs = self._step()
                except Exception as error:
                    if restarted or not self._can_restart():
                        left = {}
                        raise _given_up(error) from error
                    restarted = True
                    self._restart(error, len(left))
                    self._llm.collective_rpc(report_logprobs, args=(sampling.temperature or 1.0,))
                    self._add(requests, left.items(), sampling)
                    continue
                for output in outputs:
                    yield left.pop(output.request_id), self._completion(output)
        finally:  # whoever takes the completions may have failed: nothing of this call may turn up in the next
            self._llm.abort_request(list(left))

    def _add(self, requests: Sequence[Request], jobs: Iterable[tuple[str, Job]], sampling: Sampling) -> None:
        renderer = self._llm.renderer
        rendered: dict[int, Any] = {}  # samples of one prompt share its cached prefix
        for name, (request, sample) in jobs:
            if request not in rendered:
                prompt = TokensPrompt(prompt_token_ids=list(requests[request].prompt))
                (rendered[request],) = renderer.render_cmpl([prompt])
            self._llm.add_request(name, rendered[request], self._params(requests[request].seeds[sample], sampling))

    def _params(self, seed: int, sampling: Sampling) -> SamplingParams:
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            max_tokens=sampling.max_new_tokens,
            seed=seed,
            stop_token_ids=self._stops,
            logprobs=0,  # of the sampled token alone
            flat_logprobs=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _step(self) -> list[RequestOutput]:
        if not self._llm.has_unfinished_requests():
            raise RuntimeError("vLLM has lost requests")
        ended: list[RequestOutput] = [output for output in self._llm.step() if output.finished]
        return ended

    def _completion(self, output: RequestOutput) -> Completion:
        (answer,) = output.outputs
        if answer.finish_reason not in ("stop", "length"):
            raise RuntimeError(f"vLLM ended a request with {answer.finish_reason}")
        tokens = list(answer.token_ids)
        text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return Completion(tuple(tokens), tuple(answer.logprobs.logprobs), answer.finish_reason == "length", str(text))

    def _can_restart(self) -> bool:
        """Not where other ranks would have to take part: they are not waiting for it."""
        alone = not dist.is_initialized() or dist.get_world_size() == 1
        return alone or (self._settings.tensor_parallel == 1 and not is_sharded(self._policy))

    def _restart(self, error: Exception, left: int) -> None:
        say(f"rollouts: vLLM failed ({_first_line(error)}); it is started anew, {left} answers are drawn again")
        try:
            self._shut_down()
            self._start()
        except Exception as again:
            raise _given_up(again) from error


def max_model_len(settings: VllmRollout, policy: PreTrainedModel) -> int:
    """Tokens of prompt and answer that the engine makes room for."""
    if settings.max_model_len is not None:
        return settings.max_model_len
    wanted = settings.max_prompt_tokens + settings.max_new_tokens
    return min(wanted, int(getattr(policy.config, "max_position_embeddings", wanted)))


def launch(policy: PreTrainedModel, settings: VllmRollout, max_len: int) -> LLMEngine:
    """An engine for models of `policy`'s shape, with random weights. All ranks have to launch theirs at once."""
    on_cpu = current_platform.is_cpu()
    ranks = dist.get_world_size() if dist.is_initialized() else 1
    config = copy.deepcopy(policy.config)
    config.architectures = [type(policy).__name__]  # a model that was never saved does not have it
    with tempfile.TemporaryDirectory() as folder, isolate_rng(), _kept_threads(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        config.save_pretrained(folder)
        args = EngineArgs(
            model=folder,
            load_format="dummy",
            skip_tokenizer_init=True,
            generation_config="vllm",  # no sampling defaults of the model's
            dtype=settings.dtype.value if settings.dtype else str(policy.dtype).removeprefix("torch."),
            max_model_len=max_len,
            max_num_seqs=settings.batch_size,
            gpu_memory_utilization=settings.gpu_memory_utilization,
            kv_cache_memory_bytes=int(settings.kv_cache_gb * 2**30) if on_cpu else None,
            tensor_parallel_size=settings.tensor_parallel,
            distributed_executor_backend=RankExecutor if ranks > 1 else "uni",
            enforce_eager=on_cpu if settings.enforce_eager is None else settings.enforce_eager,
            enable_sleep_mode=settings.sleep and not on_cpu,
            enable_prefix_caching=True,
            # A prompt read in two parts takes back what its generator drew for the first, which CPU generators cannot.
            enable_chunked_prefill=not on_cpu,
            max_num_batched_tokens=max(CPU_PREFILL, max_len, settings.batch_size) if on_cpu else None,
            logprobs_mode="raw_logits",  # see `report_logprobs`
            disable_log_stats=True,
            use_tqdm_on_load=False,
            seed=0,  # of what has no seed of its own: nothing
        )
        return LLMEngine.from_engine_args(args)


@contextmanager
def _kept_threads() -> Iterator[None]:
    """vLLM's CPU worker replaces `torch.set_num_threads` for the whole process."""
    setting = torch.set_num_threads
    try:
        yield
    finally:
        torch.set_num_threads = setting


def load_weights(worker: Any, weights: Iterator[tuple[str, Tensor]]) -> None:
    """Run by the worker: replace its model's weights."""
    worker.reload_weights(weights_iterator=weights)
    head: Any = getattr(worker.get_model(), "lm_head", None)
    # On CPUs linear layers multiply by a packed copy of their weights. A head that shares the embedding's weights is
    # not in the checkpoint, and the reload leaves its packed copy as it was: half of the policy would be stale.
    if current_platform.is_cpu() and hasattr(head, "cpu_linear") and worker.model_config.hf_config.tie_word_embeddings:
        head.quant_method.process_weights_after_loading(head)


def report_logprobs(worker: Any, temperature: float) -> None:
    """Run by the worker: report log-probs of the whole distribution at `temperature`, as the trainer computes them.

    vLLM itself reports them either at temperature 1 ("raw") or of what top-p and top-k leave ("processed"). It also
    ranks the token among all others, which nobody asks for.
    """

    def gather(logits: Tensor, num_logprobs: int, token_ids: Tensor) -> LogprobsTensors:
        scaled = logits.div_(temperature)  # the sampler's own copy, [B, V] float32
        tokens = token_ids[:, None]
        logprobs = scaled.gather(1, tokens) - scaled.logsumexp(1, keepdim=True)
        return LogprobsTensors(tokens.int(), logprobs, torch.zeros_like(token_ids, dtype=torch.int32))

    worker.model_runner.sampler.gather_logprobs = gather


def _given_up(error: Exception) -> ZeroCoderError:
    return ZeroCoderError(
        f"rollouts: vLLM failed and cannot go on ({_first_line(error)}); the steps that are done are kept, continue "
        "with trainer.resume=latest"
    )


def _first_line(error: BaseException) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
