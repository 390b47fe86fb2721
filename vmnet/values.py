"""`dataclass` for frozen values, without the compiling: the standard one, but its methods are shared by all classes.

The standard one writes the methods of each class as source and compiles them: 0.4 ms a class, and 40 classes for an
attach, which is more than all else that vmnet imports of its own. Here a class takes 0.05 ms.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

T = TypeVar("T")

_set = object.__setattr__

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen: bool, slots: bool = False, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
        """As `dataclasses.dataclass`, for frozen classes."""
        assert frozen, "a value does not change"

        def made(cls: type[T]) -> type[T]:
            for name in _SHARED.keys() - vars(cls).keys():
                setattr(cls, name, _SHARED[name])
            cls = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
            fields = dataclasses.fields(cls)
            cls._names = {f.name: f for f in fields}
            cls._shown = tuple(f.name for f in fields if f.repr)
            cls._compared = tuple(f.name for f in fields if f.compare)
            cls._ordered = tuple(f.name for f in fields if not f.kw_only)
            cls._defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
            cls._makers = {f.name: f.default_factory for f in fields if f.default_factory is not dataclasses.MISSING}
            return cls

        return made


class _Value:
    """What every value has; `_names` and the like are its class's."""

    def __init__(self: Any, /, *given: Any, **named: Any) -> None:
        values = dict(zip(self._ordered, given, strict=False)) | named
        if len(values) == len(given) + len(named):  # else there are too many, or one is said twice
            if len(values) < len(self._names):
                values = {**self._defaults, **{name: make() for name, make in self._makers.items()}, **values}
            if values.keys() == self._names.keys():
                for name, value in values.items():
                    _set(self, name, value)
                self.__post_init__()
                return
        raise TypeError(f"{type(self).__name__} takes {', '.join(self._names)}, each once, and has defaults for some")

    def __post_init__(self) -> None:
        """As `dataclasses` calls it."""

    def __repr__(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._shown)})"

    def __eq__(self: Any, other: Any) -> bool:
        return _compared(self) == _compared(other) if type(self) is type(other) else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(_compared(self))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def __getstate__(self: Any) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self._names])

    def __setstate__(self: Any, state: tuple[Any, ...]) -> None:
        for name, value in zip(self._names, state, strict=True):
            _set(self, name, value)


_SHARED = {name: method for name, method in vars(_Value).items() if callable(method)}


def _compared(value: Any) -> tuple[Any, ...]:
    return tuple([getattr(value, name) for name in value._compared])
