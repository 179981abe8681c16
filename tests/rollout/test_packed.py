"""Packed linear layers: the same products, only while they are asked for."""

import pytest
import torch
from torch import nn

from zerocoder.rollout.packed import LEAST_WEIGHTS, MOST_ROWS, packable, packed_linears

WIDE = nn.Linear(512, 513)
pytestmark = pytest.mark.skipif(not packable(WIDE), reason="PyTorch has no oneDNN here")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 2, 8, MOST_ROWS, MOST_ROWS + 1])
@torch.inference_mode()
def test_the_product_is_the_same(bias: bool, rows: int) -> None:
    torch.manual_seed(0)
    layer, hidden = nn.Linear(512, 513, bias=bias), torch.randn(rows, 1, 512)
    with packed_linears(layer):
        packed = layer(hidden)
    torch.testing.assert_close(packed, layer(hidden), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_few_rows_go_through_the_copy_and_many_through_the_weights() -> None:
    layer = nn.Linear(512, 513)
    few, many = torch.randn(2, 512), torch.randn(MOST_ROWS + 1, 512)
    with packed_linears(layer):
        before = layer(few), layer(many)
        layer.weight.mul_(2)
        torch.testing.assert_close(layer(few), before[0])
        assert not torch.allclose(layer(many), before[1], atol=1e-2)


def test_afterwards_the_weights_are_used_again_even_after_an_error() -> None:
    layer = nn.Linear(512, 513)
    with pytest.raises(RuntimeError, match="shapes"), packed_linears(layer):
        layer(torch.randn(MOST_ROWS + 1, 3))
    assert "forward" not in vars(layer)
    with torch.no_grad():
        layer.weight.zero_()
    assert torch.equal(layer(torch.randn(2, 512)), layer.bias.expand(2, -1))


def test_only_large_plain_32_bit_layers_on_a_cpu_are_packed() -> None:
    class Own(nn.Linear):
        pass

    assert packable(nn.Linear(LEAST_WEIGHTS // 512, 512))
    assert not packable(nn.Linear(LEAST_WEIGHTS // 512 - 1, 512))
    assert not packable(nn.Linear(512, 513, dtype=torch.bfloat16))
    assert not packable(nn.Linear(512, 513, device="meta"))
    assert not packable(Own(512, 513))  # it may do more than multiply
    assert not packable(nn.Embedding(512, 513))
