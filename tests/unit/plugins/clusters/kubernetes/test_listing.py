"""A list is read object by object, whatever order and spacing its server writes; what is no list says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours_plugins.clusters.kubernetes.errors import Unreachable
from cleanhours_plugins.clusters.kubernetes.listing import Listing

META = {"resourceVersion": "7", "continue": "next"}


def listing(answer: Any) -> Listing:
    return Listing(answer if isinstance(answer, bytes) else json.dumps(answer).encode(), "GET /jobs")


def within(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return inner | st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)


VALUES = within(within(st.none() | st.booleans() | st.integers() | st.text()))
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)


@given(
    items=st.lists(OBJECTS, max_size=5),
    beside=st.dictionaries(st.text().filter(lambda name: name != "items"), VALUES, max_size=4),
    place=st.integers(0, 4),
    spacing=st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}]),
)
def test_it_says_what_a_reader_of_the_whole_says(
    items: list[Any], beside: dict[str, Any], place: int, spacing: dict[str, Any]
) -> None:
    members = [*beside.items()]
    members.insert(place, ("items", items))
    answer = (" " + json.dumps(dict(members), **spacing) + "\n").encode("utf-8", "surrogatepass")
    try:
        answer.decode()
    except UnicodeDecodeError:
        return
    found = Listing(answer, "GET /jobs")

    assert items == list(found)
    assert beside == found.beside


@pytest.mark.parametrize(
    "answer", [{"metadata": META, "items": [{}, {}]}, {"items": [{}, {}], "metadata": META}]
)
def test_metadata_is_known_before_and_after_the_items(answer: dict[str, Any]) -> None:
    found = listing(answer)

    assert META == found.metadata
    assert [] == list(found), "they were skipped"


@pytest.mark.parametrize("items", [[], None])
def test_an_empty_list_has_no_objects(items: Any) -> None:
    found = listing({"metadata": META, "items": items})

    assert ([], META) == (list(found), found.metadata)


def test_one_object_is_read_at_a_time() -> None:
    found = listing(b'{"items": [{"n": 1}, {"n": 2}, {"n": oops')
    objects = iter(found)

    assert [{"n": 1}, {"n": 2}] == [next(objects), next(objects)]
    with pytest.raises(Unreachable, match="GET /jobs: the answer is no JSON object, or a broken one"):
        next(objects)


WHOLE = json.dumps({"kind": "JobList", "metadata": META, "items": [{"a": [1]}, {"b": "c"}]}).encode()
NONSENSE = {
    "nothing": b"", "a page": b"<html>\x1b[31m", "a list": b"[]", "a number": b"7", "null": b"null", "no text": b"\xff\xfe",
    "no names": b'{"a"}', "no colon": b'{"items"[]}', "no comma": b'{"items": [{} {}]}', "more": WHOLE + b"{}",
    "a comma too many": b'{"items": [{},]}',
}  # fmt: skip


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_what_is_no_list_says_so(answer: bytes) -> None:
    with pytest.raises(Unreachable) as fault:
        list(listing(answer))

    assert str(fault.value).isprintable()


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_half_a_list_is_never_taken_for_a_whole_one(length: int) -> None:
    with pytest.raises(Unreachable):
        list(listing(WHOLE[:length]))
