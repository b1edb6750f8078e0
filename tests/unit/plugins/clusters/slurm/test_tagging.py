"""What Slurm keeps for us in a comment comes back as it was, and so does its owner's own text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from cleanhours.domain.caps import CapPoint, PowerCurve
from cleanhours.domain.jobs import RunSegment
from cleanhours.domain.plans import Plan, Reason, Segment
from cleanhours.domain.times import instant_of
from cleanhours.domain.words import WORDS
from cleanhours_plugins.clusters.slurm.tagging import MOST_BYTES, PREFIX, Tag, read, split_comment, written
from tests.unit.plugins.clusters.slurm.made import NOW, ZONES, a_plan, tag

# what an operating system passes on in an argument: no zero bytes; bytes that are no text are surrogates
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)
SECONDS = st.integers(0, 2**32 - 1)
NAMES = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=20)
GRAMS = st.none() | st.integers(0, 999_999).map(lambda number: number / 8).map(
    lambda grams: float(f"{grams:.6g}")
)


@st.composite
def segments(draw: st.DrawFn) -> tuple[Segment, ...]:
    borders = sorted(draw(st.lists(SECONDS, max_size=8, unique=True)))
    places = draw(st.lists(NAMES, min_size=len(borders), max_size=len(borders)))
    pairs = zip(borders[::2], borders[1::2], places, strict=False)
    return tuple(
        Segment(instant_of(start), instant_of(end), at, ZONES.get(at, at)) for start, end, at in pairs
    )


CURVES = PowerCurve.of(
    [CapPoint(300, 3, 3_000), CapPoint(250.5, 3.1, 2_900 / 7), CapPoint(200, 3.2, 1_000 / 3)]
).caps()


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    parts = draw(segments())
    at = parts[0].location if parts else draw(NAMES)
    return Plan(
        location=at,
        zone=ZONES.get(at, at),
        start=parts[0].start if parts else instant_of(draw(SECONDS)),
        end=parts[-1].end if parts else None,
        segments=parts,
        latest_start=instant_of(draw(SECONDS)),
        reason=draw(st.sampled_from(Reason)),
        expected_g=draw(GRAMS),
        baseline_g=draw(GRAMS),
        cap=draw(st.none() | st.builds(CURVES.__getitem__, st.integers(0, 1))),
    )


@st.composite
def tags(draw: st.DrawFn) -> Tag:
    parts = draw(segments())
    return Tag(
        submitted=draw(SECONDS),
        home=draw(NAMES),
        words=draw(st.dictionaries(st.sampled_from(WORDS), TEXTS.filter(bool), max_size=4)),
        begin=draw(st.none() | SECONDS),
        killed_at=draw(st.none() | SECONDS),
        partition=draw(st.just("") | NAMES),
        features=draw(st.sampled_from(["", "gpu&de", "[de|fr]", "gpu*2"])),
        requeues=draw(st.booleans()),
        plan=draw(st.none() | plans()),
        runs=tuple(RunSegment(part.start, part.end, part.location) for part in parts),
        paused=draw(st.booleans()),
        warned_at=draw(st.none() | SECONDS),
    )


@given(tags(), TEXTS)
def test_a_tag_and_its_owner_s_text_come_back_or_are_refused_as_too_long(tag: Tag, own: str) -> None:
    try:
        comment = written(tag, own)
    except ValueError:
        event("too long")
        return

    text, fields = split_comment(comment)
    assert own == text
    assert len(comment.encode()) <= MOST_BYTES
    assert fields is not None
    found = read(fields, ZONES)
    kept = len(found.plan.segments) if found.plan is not None else 0
    assert _cut(tag, kept) == found


def _cut(tag: Tag, segments: int) -> Tag:
    """A long plan may lose its later runs."""
    if tag.plan is None or not tag.plan.segments:
        return tag
    parts = tag.plan.segments[:segments]
    return replace(tag, plan=replace(tag.plan, segments=parts, end=parts[-1].end))


@pytest.mark.parametrize(
    "own",
    [
        "",
        " ",
        "  two blanks before and after  ",
        'for the paper | draft "2"\nsecond line, it\'s mine;\x1f=',
        "draft\n",
        "cleanhours is nice",
        "cleanhours:v1;submitted=1;max-delay=1h was my tag yesterday",
        "bytes that are no text: \udcff\udc80",
        "日本語 ∞",
    ],
)
def test_whatever_its_owner_wrote_stays_as_it_is(own: str) -> None:
    once = written(tag(), own)
    text, fields = split_comment(once)

    assert own == text
    assert tag() == read(fields or "", ZONES)
    assert once == written(tag(), text)


def test_text_behind_the_tag_is_its_owner_s_too() -> None:
    text, fields = split_comment(f"before {PREFIX}submitted=7;home=de and after")

    assert "before and after" == text
    assert "submitted=7;home=de" == fields


def test_a_comment_without_a_tag_is_its_owner_s_alone() -> None:
    assert ("cleanhours is nice", None) == split_comment("cleanhours is nice")


def test_a_tag_is_read_as_it_is_documented() -> None:
    found = read("submitted=1795255840;home=de;max-delay=6h;locations=de,fr;interruptible=true", ZONES)

    assert {"max-delay": "6h", "locations": "de,fr", "interruptible": "true"} == found.words
    assert (1795255840, "de", None, True, False) == (
        found.submitted,
        found.home,
        found.plan,
        found.requeues,
        found.paused,
    )


def test_a_plan_stands_in_words_that_a_person_can_read() -> None:
    plan = "plan=lowest-window,1795332400,120.5,300,1795300000-1795301800@de"

    assert plan in written(tag(plan=a_plan(NOW)))


def test_a_plan_of_a_job_whose_duration_nobody_knows_has_no_runs() -> None:
    plan = replace(a_plan(NOW, "fr"), end=None, segments=(), reason=Reason.NO_DURATION)
    _, fields = split_comment(written(tag(plan=plan)))

    assert plan == read(fields or "", ZONES).plan


def test_the_next_runs_of_a_long_plan_stay_the_later_are_planned_again() -> None:
    parts = [
        Segment(instant_of(NOW + n * 7200), instant_of(NOW + n * 7200 + 3600), "germany-west-central-1", "DE")
        for n in range(40)
    ]
    plan = replace(a_plan(NOW), segments=tuple(parts), location=parts[0].location)
    _, fields = split_comment(written(tag(plan=plan), "x" * 500))
    found = read(fields or "", {"germany-west-central-1": "DE"}).plan

    assert found is not None
    assert tuple(parts[:4]) == found.segments


def test_the_very_next_run_stays_in_what_little_room_a_long_text_leaves() -> None:
    plan = replace(a_plan(NOW), segments=a_plan(NOW).segments * 4)
    _, fields = split_comment(written(tag(plan=plan), "x" * 830))
    found = read(fields or "", ZONES).plan

    assert found is not None
    assert 1 == len(found.segments)


def test_the_last_byte_that_slurm_takes_may_be_used() -> None:
    room = MOST_BYTES - len(written(tag(), "x")) + 1

    assert MOST_BYTES == len(written(tag(), "x" * room))
    with pytest.raises(ValueError, match="1025 bytes"):
        written(tag(), "x" * (room + 1))


@pytest.mark.parametrize(("own", "letters"), [("x" * 1000, 1000), ("€" * 330, 330)])
def test_what_slurm_would_not_take_is_refused_with_the_bytes_that_it_has(own: str, letters: int) -> None:
    assert letters == len(own)
    with pytest.raises(ValueError, match=r"the comment would have 10\d\d bytes, Slurm takes 1024"):
        written(tag(), own)


@pytest.mark.parametrize(
    "fields",
    [
        "",
        "home=de;max-delay=12h",
        "submitted=yesterday",
        "submitted=",
        "submitted=-1",
        "submitted=99999999999999",
        "submitted=" + "9" * 5000,
        "submitted=7;begin=soon",
        "submitted=7;killed=4294967296",
        "submitted=7;warned=1.5",
        "submitted=7;plan=lowest-window",
        "submitted=7;plan=best,7,,,7-8@de",
        "submitted=7;plan=lowest-window,7,,,7-8@de;cap=250",
        "submitted=7;plan=lowest-window,7,,,7-8@de;cap=250,0.9,800,1000",
        "submitted=7;plan=lowest-window,7,,,7-8@de;cap=250,nan,800,1000",
        "submitted=7;plan=lowest-window,7,,,7-8@de;cap=250,1,0,1000",
        "submitted=7;plan=lowest-window,7,nan,1,7-8@de",
        "submitted=7;plan=lowest-window,7,1,inf,7-8@de",
        "submitted=7;plan=lowest-window,7,,,7-99999999999999999999@de",
        "submitted=7;runs=7-@de",
        "submitted=7;runs=de",
    ],
)
def test_a_broken_tag_says_what_would_be_right(fields: str) -> None:
    with pytest.raises(
        ValueError, match=r"a tag such as cleanhours:v1;submitted=1795255840;max-delay=6h \(.+\)"
    ):
        read(fields, ZONES)


def test_a_tag_without_its_submission_says_so() -> None:
    with pytest.raises(ValueError, match=r"\(submitted is missing\)"):
        read("max-delay=6h", ZONES)


def test_fields_of_a_later_release_are_passed_over() -> None:
    assert tag() == read(f"submitted={NOW - 3600};colour=green;home=de;max-delay=12h;partition=de;;x", ZONES)


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_whatever_stands_there_is_read_or_refused(fields: str) -> None:
    try:
        found = read(f"submitted=7;{fields}", ZONES)
    except ValueError:
        event("refused")
        return

    assert 0 <= found.submitted < 2**32
