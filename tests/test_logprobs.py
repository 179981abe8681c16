"""The log-probs that are fused with the head: derivatives by finite differences, number formats, ZeRO-3's hooks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from zerocoder.logprobs import head_logprobs

ROOT = Path(__file__).parent.parent


def problem(bias: bool, dtype: torch.dtype = torch.float64) -> tuple[nn.Linear, Tensor, Tensor]:
    """A head of 11 tokens over 5 dimensions, hidden states of 7 positions and their targets."""
    torch.manual_seed(0)
    head = nn.Linear(5, 11, bias=bias).to(dtype)
    return head, torch.randn(7, 5, dtype=dtype, requires_grad=True), torch.tensor([0, 10, 3, 3, 7, 1, 9])


def plain(head: nn.Linear, hidden: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    table = (head(hidden) / temperature).log_softmax(-1)
    return table.gather(1, targets[:, None])[:, 0], -(table.exp() * table).sum(-1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_derivatives_by_finite_differences(bias: bool, chunk: int) -> None:
    head, hidden, targets = problem(bias)

    def logprobs(hidden: Tensor, *parameters: Tensor) -> Tensor:
        return head_logprobs(head, hidden, targets, 0.7, chunk).logprobs

    # gradcheck moves the parameters in place, which `logprobs` sees through the head.
    assert torch.autograd.gradcheck(logprobs, (hidden, *head.parameters()))


@pytest.mark.parametrize("chunk", [2, 100])
def test_values_and_gradients_equal_plain_pytorch(chunk: int) -> None:
    head, hidden, targets = problem(bias=True)
    weights = torch.arange(1.0, 8.0, dtype=torch.float64)
    ours = head_logprobs(head, hidden, targets, 0.7, chunk)
    gradients = torch.autograd.grad((ours.logprobs * weights).sum(), (hidden, *head.parameters()))
    logprobs, entropy = plain(head, hidden, targets, 0.7)
    expected = torch.autograd.grad((logprobs * weights).sum(), (hidden, *head.parameters()))
    torch.testing.assert_close((ours.logprobs, ours.entropy, *gradients), (logprobs, entropy, *expected))
    assert not ours.entropy.requires_grad


def test_a_frozen_head_and_frozen_hidden_states_get_no_gradient() -> None:
    head, hidden, targets = problem(bias=True)
    head.requires_grad_(False)
    head_logprobs(head, hidden, targets, 1.0, 3).logprobs.sum().backward()
    assert hidden.grad is not None and head.weight.grad is None and head.bias.grad is None
    head.requires_grad_(True)
    head_logprobs(head, hidden.detach(), targets, 1.0, 3).logprobs.sum().backward()
    assert head.weight.grad is not None and head.bias.grad is not None
    assert not head_logprobs(head.requires_grad_(False), hidden.detach(), targets, 1.0, 3).logprobs.requires_grad


@pytest.mark.parametrize("mixed", [True, False])
def test_sixteen_bit_products_and_wider_sums(mixed: bool) -> None:
    """bf16-mixed (autocast) and bf16-true: near the 32-bit values, and log-probs come in 32 bit."""
    head, hidden, targets = problem(bias=True, dtype=torch.float32)
    expected = torch.autograd.grad(plain(head, hidden, targets, 0.7)[0].sum(), (hidden, *head.parameters()))
    inputs = hidden
    if not mixed:
        head, inputs = head.bfloat16(), hidden.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        ours = head_logprobs(head, inputs, targets, 0.7, 3)
    gradients = torch.autograd.grad(ours.logprobs.sum(), (inputs, *head.parameters()))
    assert ours.logprobs.dtype is ours.entropy.dtype is torch.float32
    torch.testing.assert_close(ours.logprobs, plain(head.float(), hidden, targets, 0.7)[0], atol=0.03, rtol=0.03)
    for gradient, parameter, value in zip(gradients, (inputs, *head.parameters()), expected, strict=True):
        assert gradient.shape == parameter.shape and gradient.dtype is (torch.float32 if mixed else torch.bfloat16)
        torch.testing.assert_close(gradient.float(), value, atol=0.03, rtol=0.03)


def test_the_heads_hooks_see_the_call_and_its_forward_comes_back() -> None:
    head, hidden, targets = problem(bias=False)
    seen: list[str] = []
    head.register_forward_pre_hook(lambda module, inputs: seen.append("before"))
    head.register_forward_hook(lambda module, inputs, output: seen.append("after"))
    head_logprobs(head, hidden, targets, 1.0, 3)
    assert seen == ["before", "after"]
    with pytest.raises(RuntimeError):
        head_logprobs(head, hidden[:, :2], targets, 1.0, 3)
    assert "forward" not in vars(head) and head(hidden).shape == (7, 11)

    def replaced(forward: Callable[[Tensor], Tensor] = head.forward) -> Tensor:
        return forward(hidden)

    head.forward = replaced
    head_logprobs(head, hidden, targets, 1.0, 3)
    assert head.forward is replaced


ZERO3 = """
    import copy, torch, deepspeed
    from deepspeed.utils import safe_get_full_grad
    from test_grpo import CPU, SAMPLES
    from tiny import tiny_policy
    from zerocoder.experience import collate
    from zerocoder.logprobs import completion_logprobs

    class Learner(torch.nn.Module):
        def __init__(self, policy):
            super().__init__()
            self.policy = policy

        def forward(self, batch):
            return completion_logprobs(self.policy, batch, 0.7, 8).logprobs

    settings = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 2,
        "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }
    for tied in (True, False):
        plain = tiny_policy(tied=tied)
        learner = Learner(copy.deepcopy(plain))
        optimizer = torch.optim.SGD(learner.parameters(), lr=0.01)
        engine = deepspeed.initialize(model=learner, optimizer=optimizer, config=settings)[0]
        head = learner.policy.get_output_embeddings()
        for batch in (collate(SAMPLES[:3], 0, CPU), collate(SAMPLES[3:], 0, CPU)):
            logprobs = engine(batch)
            engine.backward(logprobs.sum())
            assert head.weight.numel() == 0, "the head's weights are only there while they are needed"
            expected = Learner(plain)(batch)
            torch.testing.assert_close(logprobs, expected)
            (expected.sum() / 2).backward()
        for ours, theirs in zip(learner.policy.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(safe_get_full_grad(ours), theirs.grad, rtol=1e-4, atol=1e-4)
    print("equal")
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs DeepSpeed")
def test_under_zero_3_the_gradient_is_that_of_plain_pytorch() -> None:
    """In a process of its own, since DeepSpeed makes a process group and patches torch."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ZERO3)],
        env={**os.environ, **world, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=280,
        cwd=ROOT,
    )
    assert done.returncode == 0 and done.stdout.endswith("equal\n"), done.stderr[-2000:]
