"""Sequences whose members are made when they are asked for."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Generic, Self, TypeVar, overload

S = TypeVar("S")
T = TypeVar("T")


class Lazy(Sequence[T]):
    """A sequence that makes a member when it is asked for, and of which a slice is such a sequence, too."""

    @abstractmethod
    def member(self, index: int) -> T:
        """The member at an index, which may count from the end."""

    @abstractmethod
    def members(self, which: slice) -> Self:
        """Some members, still to be made."""

    @overload
    def __getitem__(self, which: int) -> T: ...
    @overload
    def __getitem__(self, which: slice) -> Self: ...
    def __getitem__(self, which: int | slice) -> Any:
        return self.members(which) if isinstance(which, slice) else self.member(which)


class Mapped(Lazy[T], Generic[S, T]):
    """What a function makes of each member of another sequence, made anew whenever it is asked for."""

    def __init__(self, members: Sequence[S], make: Callable[[S], T]):
        self._members, self._make = members, make

    def __len__(self) -> int:
        return len(self._members)

    def member(self, index: int) -> T:
        return self._make(self._members[index])

    def members(self, which: slice) -> Self:
        return type(self)(self._members[which], self._make)

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self._members)


class Joined(Sequence[T]):
    """Several sequences, one after the other."""

    def __init__(self, *parts: Sequence[T]):
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    @overload
    def __getitem__(self, which: int) -> T: ...
    @overload
    def __getitem__(self, which: slice) -> list[T]: ...
    def __getitem__(self, which: int | slice) -> Any:
        if isinstance(which, slice):
            return [self[index] for index in range(len(self))[which]]
        index = range(len(self))[which]
        for part in self._parts:
            if index < len(part):
                return part[index]
            index -= len(part)
        raise IndexError(which)

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._parts)
