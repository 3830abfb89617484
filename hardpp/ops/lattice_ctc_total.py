"""The sum over all alignments of connectionist temporal classification, forwards and backwards in one loop.

Blanks b[0 .. T] and tokens l[0 .. T - 1] are two rows of states. What arrives in a blank also arrives in the
token after it, unless that token cannot follow the one before without a blank between, so at every frame

    u[k]    = log(exp b[k] + exp l[k - 1])
    b[k]'   = u[k] + log p(blank)
    l[k]'   = log(exp l[k] + exp (u[k], or b[k] where l[k - 1] is not skipped from)) + log p(token k)

are two sums of exponentials where the lattice has four (`hardpp.ops.lattice_ctc`). Read from the end, with
tokens in reverse, the recursion is the same, so both directions are one batch, and what a frame's states
collect before and after it is known when the loop ends. Messages are centred every few frames, frames by
their likeliest state, and offsets are summed in double precision, so float32 does not drift.

Source: Graves, Fernandez, Gomez and Schmidhuber (2006), Connectionist Temporal Classification, section 4.1.
Shapes: B data, S frames, T tokens, V symbols; states are (2 T + 2), the first token's row led by nothing.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from hardpp.ops.lattice import log_total
from hardpp.ops.lattice_ctc import ctc_arcs, ctc_end, without_skip
from hardpp.ops.own_derivatives import InDims, one_by_one, run

CENTRED = 8  # every so many frames
FEW_SYMBOLS = 128  # of so many, a product with indicators is faster than adding one by one


def ctc_log_total(log_probs: Tensor, frames: Tensor, target: Tensor, tokens: Tensor, blank: int) -> Tensor:
    """The log of the sum over all alignments, (B,) in nats; minus infinity if the frames are too few.

    It can be differentiated any number of times by the log-probabilities, in reverse mode. The first
    derivative is the probability that each frame emits each symbol.

    Args:
        log_probs: (B, S, V) of every frame.
        frames: (B,) int64, how many there are.
        target: (B, T) tokens; those of padding are any symbol.
        tokens: (B,) int64, how many there are.
        blank: the symbol that stands for nothing.
    """
    tensors = (log_probs, frames, target, tokens)
    if has_torch_function(tensors):
        tracked: Tensor = handle_torch_function(ctc_log_total, tensors, *tensors, blank)
        return tracked
    learns = torch.is_grad_enabled() and log_probs.requires_grad
    total: Tensor
    total, _ = run(CTCLogTotal, log_probs, frames, target, tokens, blank, learns)
    return total


def _by_arcs(log_probs: Tensor, frames: Tensor, target: Tensor, tokens: Tensor, blank: int) -> Tensor:
    arcs = ctc_arcs(log_probs, frames, target, blank)
    return log_total(arcs, ctc_end(tokens, arcs.shape[-2], arcs.dtype))


class CTCLogTotal(torch.autograd.Function):
    """The log total (B,), and if it is wanted the probability (B, S, V) that each frame emits each symbol."""

    @staticmethod
    def forward(
        log_probs: Tensor, frames: Tensor, target: Tensor, tokens: Tensor, blank: int, learns: bool
    ) -> tuple[Tensor, Tensor]:
        if not log_probs.shape[1]:
            return torch.where(tokens == 0, 0.0, -torch.inf).to(log_probs), log_probs.new_zeros(
                log_probs.shape
            )
        emissions, constant = _emissions(log_probs, frames, target, tokens, blank)
        both = torch.cat([emissions, _from_the_end(emissions)], 1) if learns else emissions
        stuck = without_skip(target, blank)  # (B, T)
        if learns:
            stuck = torch.cat([stuck, torch.nn.functional.pad(stuck.flip(-1), (1, 0))[:, :-1]])
        arriving, last, offsets = _sweep(both, stuck, tokens)
        B, T = target.shape
        ends = torch.stack([tokens, tokens + T + 1], -1)
        total = last[:B].gather(-1, ends).logsumexp(-1)
        total = (total + (offsets[:B] + constant)).to(log_probs.dtype)
        if not learns:
            return total, log_probs.new_zeros(0)
        joint = arriving[:, :B].add_(emissions).add_(_from_the_end(arriving[:, B:]))  # (S, B, 2 T + 2)
        largest = joint.amax(-1, keepdim=True)
        share = joint.sub_(largest.clamp_(min=torch.finfo(joint.dtype).min)).exp_()
        share = share.div_(share.sum(-1, keepdim=True).clamp_(min=torch.finfo(joint.dtype).tiny))
        over = torch.arange(len(share), device=frames.device).unsqueeze(-1) >= frames
        share = share.masked_fill_(over.unsqueeze(-1), 0.0)
        return total, _by_symbol(share.transpose(0, 1), target, blank, log_probs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        *tensors, ctx.blank, _ = inputs
        ctx.save_for_backward(*tensors, output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        nothing = (None,) * 5
        if gradient is None:
            return None, *nothing
        log_probs, frames, target, tokens, emitted = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return emitted * gradient[:, None, None], *nothing
        total = _by_arcs(log_probs, frames, target, tokens, ctx.blank)
        (first,) = torch.autograd.grad(total, log_probs, gradient, create_graph=True)
        return first, *nothing

    @staticmethod
    def vmap(info: Any, in_dims: InDims, *inputs: Any) -> tuple[Any, InDims]:
        return one_by_one(CTCLogTotal, info, in_dims, *inputs)


# Log-probabilities of the states' symbols, (S, B, 2 T + 2), each frame's largest taken off; the sum of these.
def _emissions(
    log_probs: Tensor, frames: Tensor, target: Tensor, tokens: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    B, S, _ = log_probs.shape
    T = target.shape[-1]
    out = log_probs.new_full((S, B, 2 * T + 2), -torch.inf)
    by_frame = log_probs.transpose(0, 1)
    out[..., : T + 1] = by_frame[..., blank, None]
    torch.gather(by_frame, -1, target.expand(S, B, T), out=out[..., T + 2 :])
    place = torch.arange(T + 1, device=tokens.device)
    beyond = place > tokens.unsqueeze(-1)
    out.masked_fill_(torch.cat([beyond, beyond], -1), -torch.inf)
    largest = out.amax(-1).clamp_(min=torch.finfo(out.dtype).min)  # (S, B)
    over = torch.arange(S, device=frames.device).unsqueeze(-1) >= frames
    largest = largest.masked_fill(over, 0.0)
    out.sub_(largest.unsqueeze(-1))
    # After its last frame a path waits in the last blank.
    waits = torch.cat([place == tokens.unsqueeze(-1), torch.zeros_like(beyond)], -1)
    waiting = out.new_full(waits.shape, -torch.inf).masked_fill_(waits, 0.0)
    torch.where(over.unsqueeze(-1), waiting, out, out=out)
    return out, largest.sum(0, dtype=torch.float64)


# The same with frames, blanks and tokens in reverse.
def _from_the_end(states: Tensor) -> Tensor:
    T = states.shape[-1] // 2 - 1
    blanks, lead, tokens = states.split([T + 1, 1, T], -1)
    return torch.cat([blanks.flip(0, -1), lead, tokens.flip(0, -1)], -1)


# What arrives in every state before each frame's emission, (S, n, 2 T + 2); messages after the last; offsets.
def _sweep(emissions: Tensor, stuck: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    _, n, states = emissions.shape
    T = states // 2 - 1
    arriving = torch.full_like(emissions, -torch.inf)
    message = emissions.new_full((n, states), -torch.inf)
    message[: len(tokens), 0] = 0.0
    if n > len(tokens):
        message[len(tokens) :].scatter_(1, (T - tokens).unsqueeze(-1), 0.0)
    offsets = torch.zeros(n, dtype=torch.float64, device=message.device)
    blanks, before, own = message[:, : T + 1], message[:, T + 1 :], message[:, T + 2 :]
    skips = message.device.type != "cpu" or bool(stuck.any())  # no other device is asked
    least = torch.finfo(message.dtype).min
    follows = emissions.new_empty(n, T)
    to_blanks, to_tokens = arriving[..., : T + 1].unbind(0), arriving[..., T + 2 :].unbind(0)
    rows = zip(to_blanks, to_tokens, arriving.unbind(0), emissions.unbind(0), strict=True)
    for frame, (to_blank, to_token, arrived, emitted) in enumerate(rows, start=1):
        torch.logaddexp(blanks, before, out=to_blank)
        if skips:
            torch.where(stuck, blanks[:, :T], to_blank[:, :T], out=follows)
            torch.logaddexp(own, follows, out=to_token)
        else:
            torch.logaddexp(own, to_blank[:, :T], out=to_token)
        torch.add(arrived, emitted, out=message)
        if frame % CENTRED == 0:
            centre = message.amax(-1, keepdim=True).clamp_(min=least)
            message.sub_(centre)
            offsets += centre.squeeze(-1)
    return arriving, message, offsets


# Adds the states of one symbol up, (B, S, V), for (B, S, 2 T + 2).
def _by_symbol(share: Tensor, target: Tensor, blank: int, like: Tensor) -> Tensor:
    T, V = target.shape[-1], like.shape[-1]
    of_tokens = share[..., T + 2 :]
    if V <= FEW_SYMBOLS:
        symbols = torch.nn.functional.one_hot(target, V).to(share.dtype)
        out = of_tokens @ symbols
    else:
        out = torch.zeros_like(like).scatter_add_(-1, target.unsqueeze(1).expand_as(of_tokens), of_tokens)
    out[..., blank] += share[..., : T + 1].sum(-1)
    return out
