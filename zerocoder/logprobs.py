"""Log-probs of completions under a model, without [tokens x vocabulary] logits ever being there at once.

They are computed from the hidden states of completion tokens, fused with the model's output layer ("head"): the
forward pass goes through the tokens a chunk at a time and keeps one normaliser a token; the backward pass makes the
logits anew, a block of the vocabulary at a time, and turns them into their gradient in place. Every row of the head's
gradient is so written once, by one matrix product over all tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from zerocoder.experience import MicroBatch
from zerocoder.problems import ZeroCoderError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class TokenLogprobs(NamedTuple):
    logprobs: Tensor  # [T]
    entropy: Tensor  # [T], without gradient


def completion_logprobs(model: PreTrainedModel, batch: MicroBatch, temperature: float, chunk: int) -> TokenLogprobs:
    """Log-probs of the sequences' completion tokens at `temperature`, and the entropy of each token's distribution.

    Entropies are in nats. What sequences share is computed once.
    """
    hidden = model.base_model(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        use_cache=False,  # a cache that is there would hide where packed sequences begin
    ).last_hidden_state
    head = model.get_output_embeddings()
    if batch.shared is None:
        predicts = batch.loss_mask[:, 1:]  # the hidden state of a position predicts the next token
        return head_logprobs(head, hidden[:, :-1][predicts], batch.targets, temperature, chunk)
    hidden = hidden.flatten(0, 1)[batch.shared.predictors]
    once = head_logprobs(head, hidden, batch.targets, temperature, chunk)
    return TokenLogprobs(*(values[batch.shared.nodes] for values in once))


def head_logprobs(head: nn.Module, hidden: Tensor, targets: Tensor, temperature: float, chunk: int) -> TokenLogprobs:
    """Log-probs of `targets` [T] under softmax(head(hidden) / temperature), `hidden` being [T, H], and the entropies.

    At most `chunk` x vocabulary logits exist at once. They are made inside a call of `head` itself, with its forward
    exchanged while it lasts: the hooks by which DeepSpeed's ZeRO-3 collects a module's weights before its forward and
    backward pass, and frees them after, then do so here as in any other layer.
    """
    own = vars(head).get("forward")

    def forward(hidden: Tensor) -> tuple[Tensor, Tensor]:
        out: tuple[Tensor, Tensor] = _HeadLogprobs.apply(hidden, head.weight, head.bias, targets, temperature, chunk)
        return out

    head.forward = forward
    try:
        return TokenLogprobs(*head(hidden))
    finally:
        if own is None:
            del head.forward
        else:
            head.forward = own


class _HeadLogprobs(torch.autograd.Function):
    """(log-probs [T], entropies [T]) of hidden [T, H], weight [V, H], bias [V] or None, targets [T].

    Matrix products run in autocast's number format or else in the tensors' own, everything after them in 32 bit at
    least. Buffers are made once and used for every chunk: on a CPU new ones cost more than what is computed in them.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, temperature: float, chunk: int
    ) -> tuple[Tensor, Tensor]:
        device, tokens, vocabulary = hidden.device.type, len(hidden), len(weight)
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        wide = torch.promote_types(dtype, torch.float32)
        normaliser, logprobs, entropy = (hidden.new_empty(tokens, dtype=wide) for _ in range(3))
        size = (min(chunk, tokens), vocabulary)
        raw, table = hidden.new_empty(size, dtype=dtype), hidden.new_empty(size, dtype=wide)
        spare = raw if dtype is wide else torch.empty_like(table)
        with torch.autocast(device, enabled=False):
            matrix = weight.to(dtype)
            for start in range(0, tokens, chunk):
                at = slice(start, min(start + chunk, tokens))
                rows, these = slice(0, at.stop - start), targets[at, None]
                logits = _logits(raw[rows], hidden[at].to(dtype), matrix, bias, temperature)
                shown = logits.gather(1, these)[:, 0].to(wide)
                logp = torch.log_softmax(logits, -1, dtype=wide, out=table[rows])
                logprobs[at] = logp.gather(1, these)[:, 0]
                normaliser[at] = shown - logprobs[at]
                entropy[at] = -torch.linalg.vecdot(torch.exp(logp, out=spare[rows]), logp)
        ctx.save_for_backward(hidden, weight, bias, targets, normaliser)
        ctx.dtype, ctx.temperature, ctx.chunk = dtype, temperature, chunk
        ctx.mark_non_differentiable(entropy)
        return logprobs, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets, normaliser = ctx.saved_tensors
        of_hidden, of_weight, of_bias = ctx.needs_input_grad[:3]
        dtype, wide, tokens, vocabulary = ctx.dtype, normaliser.dtype, len(hidden), len(weight)
        grad_hidden = torch.zeros_like(hidden, dtype=wide) if of_hidden else None
        grad_weight = torch.empty_like(weight) if of_weight else None
        grad_bias = torch.empty_like(bias) if of_bias else None
        scale = (grad / ctx.temperature)[:, None]
        width = min(vocabulary, max(1, vocabulary * ctx.chunk // max(1, tokens)))
        raw = hidden.new_empty(tokens * width, dtype=dtype)
        table = raw if dtype is wide else torch.empty_like(raw, dtype=wide)
        with torch.autocast(hidden.device.type, enabled=False):
            inputs = hidden.to(dtype)
            for start in range(0, vocabulary, width):
                at = slice(start, min(start + width, vocabulary))
                rows, size = weight[at].to(dtype), (tokens, at.stop - start)
                narrow, change = (buffer[: size[0] * size[1]].view(size) for buffer in (raw, table))
                logits = _logits(narrow, inputs, rows, None if bias is None else bias[at], ctx.temperature)
                # d logprob / d logit = [token is the target] - p
                torch.sub(logits, normaliser[:, None], out=change).exp_().mul_(-scale)
                column, inside = (targets - start)[:, None], ((targets >= start) & (targets < at.stop))[:, None]
                change.scatter_add_(1, column.clamp(0, size[1] - 1), scale.to(wide) * inside)
                if grad_bias is not None:
                    grad_bias[at] = change.sum(0)
                narrow.copy_(change)
                if grad_hidden is not None:
                    grad_hidden += narrow @ rows
                if grad_weight is not None:
                    grad_weight[at] = narrow.T @ inputs
        return None if grad_hidden is None else grad_hidden.to(hidden.dtype), grad_weight, grad_bias, None, None, None


def _logits(out: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor | None, temperature: float) -> Tensor:
    """(hidden @ weight.T + bias) / temperature, written into `out`."""
    if bias is not None:
        out.copy_(bias)
    return out.addmm_(hidden, weight.T, beta=0 if bias is None else 1 / temperature, alpha=1 / temperature)


@torch.no_grad()
def check_head(model: PreTrainedModel) -> None:
    """Refuse models whose logits are more than a linear head over the hidden states (soft caps, scaled logits)."""
    vocabulary = model.get_output_embeddings().weight.shape[0]
    ids = torch.arange(8, device=model.device)[None] % vocabulary
    logits = model(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
    ones = torch.ones_like(ids)
    loss_mask = ones.bool()
    loss_mask[:, 0] = False
    batch = MicroBatch(ids, ones, loss_mask, ids[0, 1:], ones[0, 1:].float(), ones[0, 1:].float(), None)
    ours = completion_logprobs(model, batch, 1.0, 4).logprobs
    theirs = logits.gather(1, ids[0, 1:, None])[:, 0]
    if not torch.allclose(ours, theirs, atol=0.05 if model.dtype is torch.bfloat16 else 1e-3):
        raise ZeroCoderError(
            f"model.path: {type(model).__name__} does more to its logits than a linear head; "
            "log-probs in chunks do not fit it, choose another architecture"
        )
