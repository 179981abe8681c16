"""One of two ranks that roll out with vLLM: `vllm_rank.py <tensor_parallel>`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from tiny import tiny_tokenizer

spec = importlib.util.spec_from_file_location("alone", Path(__file__).parent / "rollout" / "test_vllm_engine.py")
assert spec is not None and spec.loader is not None
alone = importlib.util.module_from_spec(spec)
spec.loader.exec_module(alone)


def everyone(value: float) -> float:
    total = torch.tensor([value])
    dist.all_reduce(total)
    return float(total)


def main(tensor_parallel: int) -> None:
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    policy = alone.new_policy()
    settings = alone.VllmRollout(
        max_prompt_tokens=960, max_new_tokens=40, kv_cache_gb=0.25, tensor_parallel=tensor_parallel
    )
    engine = settings.start(policy, tiny_tokenizer())
    requests = alone.REQUESTS[: 2 + rank]  # other ranks may have more to do
    told: list[tuple[int, int]] = []
    rows = engine.generate(requests, alone.WARM, lambda i, j, _: told.append((i, j)))
    assert sorted(told) == [(i, j) for i in range(len(requests)) for j in range(3)]
    assert alone.gap(policy, requests, rows, 0.7) < 3e-4
    alone.add_noise(policy)
    engine.pause()
    engine.sync_weights(policy)
    rows = engine.generate(requests, alone.WARM)
    assert alone.gap(policy, requests, rows, 0.7) < 3e-4
    if rank == 1 and tensor_parallel == 1:  # the other goes on without noticing
        alone.break_worker(engine, at=6)
        assert engine.generate(requests, alone.WARM) == rows
    assert everyone(rank) == 1.0
    engine.close()
    assert everyone(rank) == 1.0, "the trainer's process group outlives the engine"
    dist.destroy_process_group()
    print("done")


if __name__ == "__main__":
    main(int(sys.argv[1]))
