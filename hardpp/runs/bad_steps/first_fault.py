"""What stops being finite first in a training step: a weight, datum, network, sample site or gradient.

Numbers that are not finite spread: by the end of a step all may be NaN. So whatever a step computes is looked
at in the order in which it is computed. That -inf stands for what is impossible, and is no fault by itself,
is the field's custom: masked scores are -inf. As a log-probability it is told of apart.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from typing import Any, NamedTuple

import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor, nn

from hardpp.inference.weights.sample_sites import PARTICLES

_WORDS = {
    "weight": "the weight {} before the step",
    "data": "the {} of the batch",
    "output": "what the network {} gives",
    "bound": "the bound of {}",
    "gradient": "the gradient of {}",
    "norm": "the norm of {}, though each number is finite",
    "update": "{} after the step",
}


class Fault(NamedTuple):
    """Numbers that are not finite, where they were first seen."""

    kind: str  # a key of `_WORDS`, or "site", "log-probability", "impossible"
    name: str  # of the parameter, field, network or site; the datum in words
    numbers: str  # "3 of 64 numbers are nan"
    program: str = ""  # "model" or "guide", of a site
    distribution: str = ""  # of a site
    parameters: Mapping[str, str] = {}  # of the distribution: name -> its numbers
    place: Mapping[str, int] = {}  # of the first such number: plate -> index from 0, the outermost first

    @property
    def row(self) -> int:
        """The datum of the batch, by the outermost plate; -1 where it is not known."""
        return next(iter(self.place.values()), -1)

    @property
    def sentence(self) -> str:
        """The fault in words."""
        where = "".join(f", {plate} {index}" for plate, index in self.place.items())
        given = "; ".join(f"{name}: {numbers}" for name, numbers in self.parameters.items())
        of = f" of the {self.program}" if self.program else ""
        if self.kind == "site":
            what = f"what site {self.name!r}{of} is given"
            return f"{what}, {self.distribution}: {given or self.numbers}"
        if self.kind in ("log-probability", "impossible"):
            under = f" under {self.distribution} ({given})" if given else f" under {self.distribution}"
            return f"the log-probability of site {self.name!r}{of}{where}{under}: {self.numbers}"
        return f"{_WORDS[self.kind].format(self.name)}{where}: {self.numbers}"


class Watch:
    """Notes what is not finite in whatever modules compute in a `with` block of `watching`.

    Args:
        modules: an objective with its programs, `OBJ(model, guide)`, and copies of it.

    Attributes:
        faults: of the last such block, in the order in which they came.
    """

    def __init__(self, *modules: nn.Module):
        self.modules, self.faults = modules, list[Fault]()
        self.running: list[str] = []  # programs that are being run, the outermost first

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Notes the faults of a step: of its weights first, last of its gradients; not of its update."""
        self.faults.clear()
        self.look("weight", dict(self.modules[0].named_parameters()))
        self.look("weight", dict(self.modules[0].named_buffers()), masked=True)
        with ExitStack() as stack, _Sites(self):
            for whole in self.modules:
                for name, module in whole.named_modules():
                    for handle in self._hooks(name, module):
                        stack.callback(handle.remove)
            for name, parameter in self.modules[0].named_parameters():
                if parameter.requires_grad:
                    stack.callback(parameter.register_hook(self._gradient(name)).remove)
            yield

    def look(self, kind: str, tensors: Mapping[str, Any], *, masked: bool = False) -> None:
        """Notes those of some tensors that are not finite; `masked`: -inf is finite, too."""
        for name, tensor in tensors.items():
            numbers = not_numbers(tensor, masked=masked) if isinstance(tensor, Tensor) else ""
            if numbers and all((kind, name) != fault[:2] for fault in self.faults):  # networks run many times
                self.faults.append(Fault(kind, name, numbers))

    # Programs are known by where they stand in the objective's module.
    def _hooks(self, name: str, module: nn.Module) -> Iterator[Any]:
        if name in ("model", "guide"):
            yield module.register_forward_pre_hook(lambda *_: self.running.append(name))
            yield module.register_forward_hook(lambda *_: self._leave(), always_call=True)
        elif name:
            yield module.register_forward_hook(self._output(name))

    def _leave(self) -> None:
        self.running.pop()

    def _output(self, name: str) -> Callable[..., None]:
        def look(module: nn.Module, given: Any, output: Any) -> None:
            parts = output if isinstance(output, tuple) else (output,)
            for part in parts:
                if isinstance(part, Tensor):
                    self.look("output", {name: part}, masked=True)
                    self.look_back(f"what the network {name} gives", part)

        return look

    def look_back(self, name: str, tensor: Tensor) -> None:
        """Notes the gradient of something that was computed, when it comes, if it is not finite."""
        if tensor.requires_grad and tensor.is_floating_point():
            tensor.register_hook(self._gradient(f"{name} ({span(tensor)})"))

    def _gradient(self, name: str) -> Callable[[Tensor], None]:
        def look(gradient: Tensor) -> None:
            self.look("gradient", {name: gradient})

        return look


class _Sites(Messenger):
    """Shows every sample statement to a watch: before it draws, and with its log-probability."""

    def __init__(self, watch: Watch):
        super().__init__()
        self.watch = watch

    def _pyro_sample(self, msg: Any) -> None:
        if site_is_subsample(msg):
            return
        given = {}
        for name, value in _given(msg["fn"]):
            self.watch.look_back(f"{name} of site {msg['name']!r}", value)
            if numbers := not_numbers(value):
                given[name] = numbers
        if given:
            self._note("site", msg, next(iter(given.values())), given)

    def _pyro_post_sample(self, msg: Any) -> None:
        if site_is_subsample(msg) or not isinstance(msg["value"], Tensor):
            return
        if numbers := not_numbers(msg["value"]):
            self._note("site", msg, f"its value: {numbers}", {})
        try:
            log_prob = _apart(msg["fn"]).log_prob(msg["value"])
        except (RuntimeError, ValueError, NotImplementedError):
            return  # not of such a value: the objective treats the site in its own way
        if isinstance(msg["mask"], Tensor):
            log_prob = torch.where(msg["mask"], log_prob, 0.0)
        elif msg["mask"] is False:
            return
        for kind, bad in (("log-probability", ~(log_prob < math.inf)), ("impossible", log_prob == -math.inf)):
            if bool(bad.any()):
                numbers = not_numbers(log_prob) or _count(bad, "-inf")
                self._note(kind, msg, numbers, {name: span(value) for name, value in _given(msg["fn"])}, bad)
                return

    def _note(
        self, kind: str, msg: Any, numbers: str, given: Mapping[str, str], bad: Tensor | None = None
    ) -> None:
        place, first = {}, [] if bad is None else bad.nonzero()[0].tolist()
        frames = [frame for frame in msg["cond_indep_stack"] if frame.dim is not None]
        for frame in sorted(frames, key=lambda frame: frame.dim):
            if frame.name != PARTICLES and -frame.dim <= len(first):
                place[frame.name] = first[frame.dim]
        program = self.watch.running[0] if self.watch.running else ""
        name = type(_innermost(msg["fn"])).__name__
        self.watch.faults.append(Fault(kind, msg["name"], numbers, program, name, dict(given), place))


def not_numbers(tensor: Tensor, *, masked: bool = True) -> str:
    """How many of a tensor's numbers are NaN or infinite, in words, -inf only if not `masked`; or nothing."""
    fine = tensor < math.inf if masked else tensor.isfinite()
    if not tensor.is_floating_point() or bool(fine.all()):
        return ""
    kinds = {"nan": tensor.isnan(), "inf": tensor == math.inf, "-inf": tensor == -math.inf}
    if masked:
        del kinds["-inf"]
    return ", ".join(_count(bad, word) for word, bad in kinds.items() if bool(bad.any()))


def _count(bad: Tensor, word: str) -> str:
    number = int(bad.sum())
    return f"{word}" if bad.numel() == 1 else f"{number:,} of {bad.numel():,} numbers are {word}"


def span(tensor: Tensor) -> str:
    """The smallest and the largest finite number of a tensor, or what is wrong with it, in words."""
    if bad := not_numbers(tensor):
        return bad
    finite = tensor.detach()[tensor.isfinite()]
    masked = f", {_count(tensor == -math.inf, '-inf')}" if bool((tensor == -math.inf).any()) else ""
    return f"{float(finite.min()):.4g} to {float(finite.max()):.4g}{masked}" if finite.numel() else "all -inf"


def _innermost(distribution: Any) -> Any:
    while hasattr(distribution, "base_dist"):
        distribution = distribution.base_dist
    return distribution


# A copy of a distribution, to be asked what changes it: some know which value was scored last.
def _apart(distribution: Any) -> Any:
    apart = copy(distribution)
    for name in {"base_dist", "base"} & vars(apart).keys():
        setattr(apart, name, _apart(getattr(apart, name)))
    return apart


# The tensors that a distribution holds, by name. Read and never asked for: what is computed when it is asked
# for would be kept, and could change how the step goes on.
def _given(distribution: Any) -> Iterator[tuple[str, Tensor]]:
    seen = set()
    for name, value in vars(_innermost(distribution)).items():
        if isinstance(value, Tensor) and value.is_floating_point() and id(value) not in seen:
            seen.add(id(value))  # torch's own hold some twice
            yield name.strip("_"), value
