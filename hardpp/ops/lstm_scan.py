"""An LSTM whose inputs are sums of rows of tables, with a derivative of its own: fast where steps are many.

    gates[t] = sum over rows r of step t of table[r] + W h[t-1]
    o, i, f = sigmoid of three quarters of gates[t],    g = tanh of the last one
    c[t] = f c[t-1] + i g        h[t] = o tanh(c[t])        h[-1] = c[-1] = 0

What an input adds to the gates is computed once, however many steps and rows read it: along paths through
frames and tokens that is most of the work. A step takes seven operations forwards and five back, as all that
needs no earlier step is computed of all steps together.

Sources: Hochreiter and Schmidhuber (1997); the derivative is theirs, written out.
Shapes: N steps, R rows, C rows of the table a step, P rows of the table, H features.
"""

from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.nn.functional import embedding_bag
from torch.overrides import handle_torch_function, has_torch_function

from hardpp.ops.own_derivatives import is_plain, one_by_one, run

_AT_ONCE = 16  # steps


def gates_in_order(weight: Tensor) -> Tensor:
    """Weights or biases (4 H, ...) as `torch.nn.LSTM` has them, in the order of gates that is wanted here."""
    i, f, g, o = weight.chunk(4)
    return torch.cat([o, i, f, g])


def gates_as_torch(weight: Tensor) -> Tensor:
    """The way back."""
    o, i, f, g = weight.chunk(4)
    return torch.cat([i, f, g, o])


def lstm_scan(table: Tensor, index: Tensor | None, weight: Tensor) -> Tensor:
    """The states h of all steps, (N, R, H).

    Args:
        table: what inputs add to the gates, (P, 4 H); without an index (N, R, 4 H).
        index: rows of the table that are summed, (N, R, C) int64.
        weight: W (4 H, H); its gates, as the table's, in order (`gates_in_order`).

    Its derivative has none.
    """
    tensors = [each for each in (table, index, weight) if each is not None]
    if has_torch_function(tensors):  # a Function drops subclasses, and with them Pyro's provenance
        tracked: Tensor = handle_torch_function(lstm_scan, tensors, table, index, weight)
        return tracked
    if is_plain(*tensors):
        return _states_alone(table, index, weight)
    states: Tensor = run(_Scan, table, index, weight)[0]
    return states


# A few steps at a time: what only the derivative needs would be seven times the states.
def _states_alone(table: Tensor, index: Tensor | None, weight: Tensor) -> Tensor:
    steps = table if index is None else index
    states = table.new_empty(*steps.shape[:2], weight.shape[1])
    hidden = carry = torch.zeros_like(states[0])
    for some, into in zip(steps.split(_AT_ONCE), states.split(_AT_ONCE), strict=True):
        gates = _inputs(some, None) if index is None else _inputs(table, some)
        for step, state in zip(gates.unbind(), into.unbind(), strict=True):
            opened, new = step.addmm_(hidden, weight.t()).split([3 * len(weight) // 4, len(weight) // 4], -1)
            o, i, f = opened.sigmoid_().chunk(3, -1)
            carry = (f * carry).addcmul_(i, new.tanh_())
            hidden = torch.mul(o, carry.tanh(), out=state)
    return states


# What is added to the gates at every step, (N, R, 4 H), as memory that may be written to.
def _inputs(table: Tensor, index: Tensor | None) -> Tensor:
    if index is None:
        return table.clone(memory_format=torch.contiguous_format)
    return embedding_bag(index.flatten(0, 1), table, mode="sum").view(*index.shape[:2], table.shape[1])


class _Scan(torch.autograd.Function):
    # Returns h, and what the derivative needs: gates, c before the first step and after each, tanh(c).
    @staticmethod
    def forward(table: Tensor, index: Tensor | None, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        gates = _inputs(table, index)
        H, by_input = weight.shape[1], weight.t()
        carried = gates.new_zeros(len(gates) + 1, gates.shape[1], H)
        states, bounded = torch.empty_like(carried[1:]), torch.empty_like(carried[1:])
        hidden = carried[0]
        open_, new = gates[..., : 3 * H].unbind(), gates[..., 3 * H :].unbind()
        o, i, f = (gates[..., k * H : (k + 1) * H].unbind() for k in range(3))
        carries = carried.unbind()
        for t, (state, tanh, step) in enumerate(
            zip(states.unbind(), bounded.unbind(), gates.unbind(), strict=True)
        ):
            step.addmm_(hidden, by_input)
            open_[t].sigmoid_()
            new[t].tanh_()
            carry = torch.mul(f[t], carries[t], out=carries[t + 1])
            carry.addcmul_(i[t], new[t])
            hidden = torch.mul(o[t], torch.tanh(carry, out=tanh), out=state)
        return states, gates, carried, bounded

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor | None, Tensor], output: Any) -> None:
        table, index, weight = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.table = table.shape
        ctx.save_for_backward(index, weight, *output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, None, Tensor | None]:
        if gradient is None:
            return None, None, None
        with torch.no_grad():
            of_table, of_weight = _Scan.gradients(ctx, gradient)
        # Torch's own `once_differentiable` says nothing where the incoming gradient is a constant.
        if torch.is_grad_enabled() and not is_functorch_wrapped_tensor(gradient):
            of_table, of_weight = (_refusing(each) for each in (of_table, of_weight))
        return of_table, None, of_weight

    @staticmethod
    def gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        index, weight, states, gates, carried, bounded = ctx.saved_tensors
        with torch.autocast(gates.device.type, enabled=False):
            of_gates = _of_gates(gradient.to(gates.dtype), weight, gates, carried, bounded)
            flat, of_table, of_weight = of_gates.flatten(0, 1), None, None
            if ctx.needs_input_grad[2]:
                of_weight = of_gates[1:].flatten(0, 1).t() @ states[:-1].flatten(0, 1)
            if ctx.needs_input_grad[0]:
                of_table = of_gates if index is None else _summed(flat, index.flatten(0, 1), ctx.table[0])
        return of_table, of_weight

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> Any:
        return one_by_one(_Scan, info, in_dims, *inputs)


# A gradient that is an error to differentiate.
def _refusing(gradient: Tensor | None) -> Tensor | None:
    if gradient is None:
        return None
    refuse = torch._C._functions.DelayedError(b"lstm_scan has one derivative, and not a second", 1)
    refused: Tensor = refuse(gradient.requires_grad_())
    return refused


# d / d gates before their sigmoid or tanh, (N, R, 4 H).
def _of_gates(gradient: Tensor, weight: Tensor, gates: Tensor, carried: Tensor, bounded: Tensor) -> Tensor:
    o, i, f, g = gates.chunk(4, -1)
    # What d h[t] is multiplied by for o, and d c[t] for the others.
    factors = torch.addcmul(gates, gates, gates, value=-1)
    to_o, to_i, to_f, to_g = factors.chunk(4, -1)
    to_o.mul_(bounded)
    to_i.mul_(g)
    to_f.mul_(carried[:-1])
    torch.addcmul(i, i * g, g, value=-1, out=to_g)
    to_carry = torch.addcmul(o, o * bounded, bounded, value=-1).unbind()
    if not len(gates):
        return factors
    of_step, of_others = factors.unbind(), factors.unflatten(-1, (4, -1))[:, :, 1:].unbind()
    of_o, kept, gradients = to_o.unbind(), f.unbind(), gradient.unbind()
    hidden, carry = gradients[-1], torch.zeros_like(carried[0])
    for_others = carry.unsqueeze(1)
    for t in range(len(gates) - 1, -1, -1):
        carry.addcmul_(hidden, to_carry[t])
        of_others[t].mul_(for_others)
        of_o[t].mul_(hidden)
        if t:
            carry.mul_(kept[t])
            hidden = torch.addmm(gradients[t - 1], of_step[t], weight)
    return factors


# The sum of the gradients (M, 4 H) of each row of the table, of indices (M, C).
def _summed(gradient: Tensor, index: Tensor, rows: int) -> Tensor:
    total = gradient.new_zeros(rows, gradient.shape[-1])
    for column in index.unbind(-1):
        total.index_add_(0, column, gradient)
    return total
