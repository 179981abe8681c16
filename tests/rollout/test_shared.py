"""Attention to prompts that are kept once, against PyTorch's own over every row's whole sequence."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from zerocoder.rollout.shared import SharedPrompts

HEADS, GROUP, SIZE = 2, 3, 8


def states(random: torch.Generator, lengths: list[int]) -> list[tuple[Tensor, Tensor]]:
    """Two layers' keys and values of prompts; the padding holds large numbers."""
    shape = (len(lengths), HEADS, max(lengths), SIZE)
    layers = [(torch.randn(shape, generator=random), torch.randn(shape, generator=random)) for _ in range(2)]
    for i, length in enumerate(lengths):
        for part in (part for layer in layers for part in layer):
            part[i, :, : max(lengths) - length] = 100
    return layers


def check(
    shared: SharedPrompts, prompts: list[list[tuple[Tensor, Tensor]]], owners: list[int], random: torch.Generator
) -> None:
    """`prompts[i]` has the layers of prompt i, whose number is i; rows have up to 5 tokens."""
    tokens, rows = 5, len(owners)
    mask = torch.arange(tokens) >= torch.randint(tokens, (rows, 1, 1, 1), generator=random)
    for layer in range(2):
        query = torch.randn(rows, HEADS, GROUP, SIZE, generator=random)
        keys, values = (torch.randn(rows, HEADS, tokens, SIZE, generator=random) for _ in range(2))
        found = shared.attend(layer, query, keys, values, mask, 0.3)
        assert torch.equal(found, shared.attend(layer, query, keys, values, mask, 0.3))
        for row, owner in enumerate(owners):
            own = mask[row, 0, 0]
            whole = [
                torch.cat([prompt, part[row, :, own]], 1)
                for prompt, part in zip(prompts[owner][layer], (keys, values), strict=True)
            ]
            torch.testing.assert_close(found[row], scaled_dot_product_attention(query[row], *whole, scale=0.3))


def unpadded(layers: list[tuple[Tensor, Tensor]], lengths: list[int]) -> list[list[tuple[Tensor, Tensor]]]:
    return [[(k[i, :, -n:], v[i, :, -n:]) for k, v in layers] for i, n in enumerate(lengths)]


def test_rows_attend_to_their_prompt_and_to_what_they_wrote() -> None:
    random = torch.Generator().manual_seed(0)
    shared = SharedPrompts()
    first = states(random, [9, 4, 7, 1])
    prompts = unpadded(first, [9, 4, 7, 1])
    shared.join(first, [9, 4, 7, 1])
    for owners in ([0, 1, 2, 3], [2, 0, 0, 3, 1, 0, 2]):
        assert shared.serve(owners) == owners
        check(shared, prompts, owners, random)

    more = states(random, [3, 6])  # narrower than those before
    shared.join(more, [3, 6])
    prompts += unpadded(more, [3, 6])
    assert shared.serve([5, 0, 1, 3, 4, 5]) == [5, 0, 1, 3, 4, 5], "one of six has ended and is kept for the time being"
    check(shared, prompts, [5, 0, 1, 3, 4, 5], random)

    assert shared.serve([5, 1, 5, 4]) == [2, 0, 2, 1], "half of them have ended, and the rest is numbered anew"
    assert len(shared) == 3
    check(shared, [prompts[i] for i in (1, 4, 5)], [2, 0, 2, 1], random)
