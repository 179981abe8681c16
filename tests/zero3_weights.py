"""One rank whose policy has an adapter and is sharded by ZeRO-3: its `policy_weights` against those from before it was sharded."""

from __future__ import annotations

import deepspeed
import torch
import torch.distributed as dist
from peft import LoraConfig
from tiny import tiny_policy
from transformers import PreTrainedModel

from zerocoder.weights import is_sharded, policy_weights


def adapted() -> PreTrainedModel:
    policy = tiny_policy()
    policy.add_adapter(LoraConfig(r=4, target_modules=["q_proj", "down_proj"]))
    torch.manual_seed(1)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return policy


def main() -> None:
    dist.init_process_group("gloo")
    # gloo, instead of a library for shared memory that DeepSpeed would have to compile
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    policy = adapted()
    whole = {name: tensor.clone() for name, tensor in policy_weights(policy)}
    trained = [p for p in policy.parameters() if p.requires_grad]
    deepspeed.initialize(
        model=policy,
        optimizer=torch.optim.SGD(trained, lr=0.1),
        config={
            "train_micro_batch_size_per_gpu": 1,
            "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0},
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
        },
    )
    assert is_sharded(policy) and all(p.numel() == 0 for p in policy.parameters())
    gathered = dict(policy_weights(policy, bucket_bytes=20_000))
    assert gathered.keys() == whole.keys()
    for name, tensor in whole.items():
        assert torch.equal(gathered[name], tensor), name
    assert all(p.numel() == 0 for p in policy.parameters()), "sharded again"
    print("same", len(whole))


if __name__ == "__main__":
    main()
