"""A value behaves as a frozen dataclass of the standard library does, whose methods it shares instead of compiling."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Ours:
    """A value."""

    name: str
    size: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Theirs(Ours):
    """A value with more."""

    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A value whose fields are named."""

    size: int
    name: str = ""


@pytest.mark.parametrize("made", (Ours("a", 1, []), Ours("a"), Ours(name="a", tags=[]), Ours("a", size=1)))
def test_a_value_is_made_as_a_call_says_it_with_its_defaults(made):
    assert (made.name, made.size, made.tags) == ("a", 1, [])
    assert made == Ours("a")
    assert repr(made) == "Ours(name='a', size=1, tags=[])"


@pytest.mark.parametrize(
    "given, named",
    [((), {}), (("a", 1, [], 2), {}), (("a",), {"name": "b"}), (("a",), {"colour": 1}), ((), {"size": 2})],
    ids=("none", "too many", "twice", "unknown", "not all"),
)
def test_a_call_that_says_too_little_or_too_much_is_a_mistake(given, named):
    with pytest.raises(TypeError, match="Ours takes name, size, tags"):
        Ours(*given, **named)


def test_a_value_may_refuse_what_it_is_made_of():
    @dataclass(frozen=True, slots=True)
    class Positive:
        number: int

        def __post_init__(self) -> None:
            if self.number < 1:
                raise ValueError

    assert Positive(1).number == 1
    with pytest.raises(ValueError):
        Positive(0)


def test_what_is_left_out_of_comparing_and_showing_is():
    @dataclass(frozen=True)
    class Document:
        name: str
        root: object = dataclasses.field(repr=False, compare=False)

    assert Document("a", 1) == Document("a", 2)
    assert repr(Document("a", 1)).endswith("Document(name='a')")


def test_what_is_to_be_named_cannot_be_given_by_its_place():
    assert Named(size=2) == Named(name="", size=2)
    with pytest.raises(TypeError):
        Named(2)


def test_each_value_has_a_default_of_its_own():
    Ours("a").tags.append("x")
    assert Ours("a").tags == []


def test_a_value_does_not_change_and_takes_no_more():
    for name in ("name", "colour"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(Ours("a"), name, "b")
    with pytest.raises(dataclasses.FrozenInstanceError):
        del Ours("a").name
    assert not hasattr(Ours("a"), "__dict__")


def test_values_are_equal_by_class_and_fields():
    assert Ours("a") != Ours("b")
    assert Ours("a") != Theirs("a")
    assert hash(Named(size=1)) == hash(Named(size=1))
    assert Theirs("a", 1, [], "b").more == "b"


def test_the_standard_library_takes_it_for_one_of_its_own():
    value = Ours("a", tags=["x"])
    assert dataclasses.asdict(value) == {"name": "a", "size": 1, "tags": ["x"]}
    assert dataclasses.replace(value, name="b") == Ours("b", 1, ["x"])
    assert [copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))] == [value] * 3
    match value:
        case Ours(name, size):
            assert (name, size) == ("a", 1)
        case other:
            unknown: Any = other
            pytest.fail(unknown)
