"""Words, right and wrong: what admission must say to each, by CEL and by webhook."""

from __future__ import annotations

import random
from typing import Final

from cleanhours.domain.times import DURATION_WORDS
from tests.integration.kubernetes.admission_objects import (
    HELD,
    LATER,
    LOCATIONS,
    PAUSABLE,
    UNTOUCHED,
    Case,
    job,
)


def says(word: str, *texts: str, denied: bool, found: str | None = None) -> list[Case]:
    """The same word with many values, each in a case of its own, on a Job that opts in."""
    cases = []
    for text in texts:
        words = {word: text} if word in ("deadline", "max-delay") else {**LATER, word: text}
        shown = found or (text if len(text) <= 60 else text[:60] + "…")
        faults = (f"{word}: found {shown!r}",) if denied else ()
        after = UNTOUCHED if denied else PAUSABLE if (word, text) == ("interruptible", "true") else HELD
        title = text if len(text) < 40 else f"{text[:20]}… ({len(text)})"
        cases.append(
            Case(f"{word} {title!r} is {'refused' if denied else 'right'}", job(words), after, faults)
        )
    return cases


WORDS: Final = [
    *says("deadline", "+12h", "+90m", "+2d", "+1h30m", "+0s", "+PT6H", "+P1DT12H", "+1.5h", "+366d", denied=False),
    *says("deadline", "2026-03-01T18:00:00Z", "2026-03-01T18:00Z", "2026-03-01t18:00:00.123456789z", "2026-03-01 18:00:00+01:00",
          "2999-12-31T23:59:59-11:30", "2024-02-29T00:00:00Z", "2000-02-29T00:00Z", "1999-01-01T00:00:00Z",
          "9999-12-31T23:59:59Z", "0001-01-01T01:00+01:00", "2026-03-01T00:00+05:75", denied=False),
    *says("deadline", "", "soon", "12h", "+", "+12", "+ 12h", "+12h ", " +12h", "++12h", "+-12h", "-12h", "+12H", "+1h1d", "+1h1h", "+366d1s",
          "+366d0.000001s", "+P", "+PT", "+P1DT", "+P1M", "+1e3s", "+１２h", "+99999999999999999999d", denied=True),
    *says("deadline", "2026-03-01T18:00:00", "2026-03-01", "2026-02-29T00:00:00Z", "1900-02-29T00:00Z", "2026-04-31T00:00Z",
          "2026-13-01T00:00Z", "2026-00-10T00:00Z", "2026-01-00T00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T18:60Z",
          "2026-03-01T18:00:60Z", "2026-03-01T18:00:00.Z", "2026-03-01T18:00:00,5Z", "2026-03-01T18:00:00+24:00", "2026-03-01T18:00:00+2359",
          "2026-03-01T18:00:00+23:99", "0000-01-01T00:00Z", "0001-01-01T00:00+01:00", "9999-12-31T23:59-00:01",
          "2026-03-01T18:00:00Z\n", "２０26-03-01T18:00Z", "1772388000", denied=True),
    *says("max-delay", "6h", "0s", "0m", "1d12h30m15s", "P2W", "PT0.5S", "366d", "365d24h", "8784h", "31622400s", "0000000000000006h",
          denied=False),
    *says("max-delay", "", "6", "h", "6 h", "-6h", "6h-", "1.h", ".5h", "1..5h", "6hours", "6m6h", "PT6h", "P1Y", "366.00000001d", "31622401s",
          "1w", "P53W", "6h;rm", "6һ", denied=True),
    *says("max-delay", "1" * 101, denied=True, found="1" * 60 + "…"),
    *says("duration", "1s", "0.1s", "6h", "PT6H", denied=False),
    *says("duration", "0s", "0h0m", "PT0S", "0.0d", "forever", "", denied=True),
    *says("interruptible", "true", "false", denied=False),
    *says("interruptible", "True", "yes", "1", "", " true", "TRUE", denied=True),
    *says("checkpoint", "5m", "0s", denied=False),
    *says("checkpoint", "five", "-1m", denied=True),
    *says("locations", "germany", "germany,poland", "germany , poland", "local:gpu/a.b_c-1", "germany,germany", "\u2003germany", denied=False),
    *says("locations", "", ",", "germany,", "ger many", "-germany", "germany-", "größe", "g" * 129, "a,,b", denied=True),
    *says("power", "2400W", "2.4kW", "0.5MW", "1000MW", "1000000000W", "0.000001W", "007W", denied=False),
    *says("power", "0W", "0.0kW", "1001MW", "1000000000.1W", "2400", "W", "2400w", "2,4kW", "-5W", "2400 W", "+5W", "1e3W", "5GW", "", "٣W",
          denied=True),
    *says("data", "200GB", "1.5TiB", "0B", "1kB", "1KB", "1KiB", "9PB", "9" * 90 + "B", denied=False),
    *says("data", "200", "200gb", "200 GB", "-1GB", "GB", "1EB", "1kiB", "1BiB", "", denied=True),
    *says("policy", "run-now", "lowest-window", "lowest-slots", "carbon-time", "deadline-only", "elastic", denied=False),
    *says("policy", "", "Elastic", "lowest", "shadow", denied=True),
    *says("power-curve", "resnet50", "a", "llama-3.1_8B", "a" * 63, denied=False),
    *says("power-curve", "", "-a", "a-", "two words", "größe", "a/b", "a" * 64, denied=True),
    *says("earliest", "+1h", "2026-03-01T18:00:00Z", denied=False),
    *says("earliest", "tomorrow", "+1x", "", denied=True),
    *says("enabled", "true", denied=False),
    *says("enabled", "no", "", "shadow", denied=True),
]  # fmt: skip

FAULTS: Final = [
    Case(
        "every fault is in one message",
        job(
            {
                "deadline": "soon", "duration": "0s", "interruptible": "maybe", "power": "lots", "data": "some", "polic": "elastic",
                "policy": "best", "locations": "a,,b", "checkpoint": "5 m", "max-delay": "-1h", "earliest": "never",
            }
        ),
        denied=(
            "deadline: found 'soon', accepted: RFC 3339 with a zone, such as 2026-03-01T18:00:00Z, or +12h from submission",
            "duration: found '0s', accepted: 1s to 366d",
            "interruptible: found 'maybe', accepted: true or false",
            "power: found 'lots', accepted: watts such as 2400W or 2.4kW",
            "data: found 'some', accepted: bytes such as 200GB or 1.5TiB",
            "polic: found 'elastic'",
            "policy: found 'best', accepted: one of run-now, lowest-window, lowest-slots, carbon-time, deadline-only, elastic",
            "locations: found 'a,,b', accepted: a comma list of location names",
            f"checkpoint: found '5 m', accepted: {DURATION_WORDS}",
            "max-delay: found '-1h'",
            "earliest: found 'never'",
        ),
    ),
    Case("a word that nobody knows", job({**LATER, "dedline": "+1h"}), denied=("dedline: found '+1h'",)),
    Case("a misspelt word alone, which would opt in", job({"dead-line": "+1h"}), denied=("dead-line: found '+1h'",)),
    Case("a word with an empty name cannot be", job({**LATER, "Deadline": "+1h"}), denied=("Deadline: found '+1h'",)),
    Case("unicode is shown as it is", job({**LATER, "power": "viel ⚡ größer"}), denied=("power: found 'viel ⚡ größer'",)),
    Case("locations that are not configured, each of them", job({**LATER, "locations": "mars, germany,venus,mars"}),
         denied=("locations: found 'mars', accepted: one of germany, local:gpu/a.b_c-1, poland", "locations: found 'venus'")),
    Case("a name of 129 characters is none", job({**LATER, "locations": "g" * 129}),
         denied=("locations: found '" + "g" * 60 + "…', accepted: a comma list of location names",)),
    Case("a name of 128 characters is one, if not ours", job({**LATER, "locations": "g" * 128}),
         denied=("locations: found '" + "g" * 60 + "…', accepted: one of germany",)),
    Case("a huge value is cut in the message", job({**LATER, "power": "9" * 100_000}),
         denied=("power: found '" + "9" * 60 + "…', accepted: at most 100 characters",)),
    Case("a huge list is refused", job({**LATER, "locations": "germany," * 2_000 + "germany"}),
         denied=("locations: found 'germany,germany,germany,germany,germany,germany,germany,germ…', accepted: at most 10000 characters",)),
    Case("a long list is right", job({**LATER, "locations": "germany," * 1_000 + "poland"}), HELD),
    Case("hundreds of faults are still one message", job({**LATER, **{f"word-{n:03}": "x" * 200 for n in range(400)}}),
         denied=("word-000: found '" + "x" * 60 + "…'", "word-001: found")),
]  # fmt: skip


def random_words(dice: random.Random) -> dict[str, str]:
    """Words that are almost right, or just so."""

    def number() -> str:
        whole = dice.choice(
            ["0", "1", "7", "24", "59", "365", "366", "8784", "31622400", str(dice.randrange(10**9))]
        )
        return whole + dice.choice(["", "", "", ".0", ".5", ".25", ".999999999", "."])

    def length() -> str:
        parts = [number() + unit for unit in "dhms" if dice.random() < 0.4]
        if dice.random() < 0.2:
            dice.shuffle(parts)
        if dice.random() < 0.3:
            date = "".join(number() + unit for unit in "WD" if dice.random() < 0.4)
            clock = "".join(number() + unit for unit in "HMS" if dice.random() < 0.4)
            return "P" + date + ("T" + clock if clock or dice.random() < 0.2 else "")
        return "".join(parts) + dice.choice(["", "", "", "", " ", "m", "x"])

    def instant() -> str:
        year = dice.choice([0, 1, 1900, 2000, 2024, 2026, 9999])
        day = f"{year:04}-{dice.randrange(14):02}-{dice.choice([0, 1, 28, 29, 30, 31, 32]):02}"
        clock = f"{dice.choice([0, 5, 23, 24]):02}:{dice.choice([0, 59, 60]):02}"
        seconds = dice.choice(["", ":00", ":59", ":60", ":00.5", ":00.", ":0"])
        zone = dice.choice(
            ["Z", "z", "", "+00:00", "-00:01", "+14:00", "-23:59", "+24:00", "+05:60", "+0530", " Z"]
        )
        return day + dice.choice(["T", "t", " ", "_"]) + clock + seconds + zone

    def name() -> str:
        return "".join(dice.choice("aZ09._/:- ") for _ in range(dice.randrange(5)))

    words = {
        "deadline": instant() if dice.random() < 0.5 else "+" + length(),
        "earliest": instant() if dice.random() < 0.5 else "+" + length(),
        "max-delay": length(),
        "duration": length(),
        "checkpoint": length(),
        "power": number() + dice.choice(["W", "kW", "MW", "w", "mW", "GW", ""]),
        "data": number() + dice.choice(["B", "kB", "KB", "GB", "GiB", "gb", "EB", "PiB", "b", ""]),
        "locations": ",".join(
            [*dice.sample(LOCATIONS, dice.randrange(4)), *(name() for _ in range(dice.randrange(2)))]
        ),
        "power-curve": name(),
        "policy": dice.choice(["elastic", "run-now", "Elastic", "run_now", ""]),
        "interruptible": dice.choice(["true", "false", "True", "no", ""]),
    }
    return {word: text for word, text in words.items() if dice.random() < 0.7}
