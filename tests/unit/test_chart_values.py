"""What the chart's README says of its values is what values.yaml says, and it says it of every one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tools.chart_values import CHART, described, leaves, main

VALUES = (CHART / "values.yaml").read_text("utf-8")


def test_the_table_of_the_readme_is_current() -> None:
    assert 0 == main(["--check"]), "python tools/chart_values.py"


def test_every_value_is_described() -> None:
    told = {name for name, _ in described(VALUES)}
    silent = [name for name in leaves(yaml.safe_load(VALUES)) if not _covered(name, told)]

    assert [] == silent


def _covered(name: str, told: set[str]) -> bool:
    """Itself, or the map that it is an example in."""
    parts = name.split(".")
    return any(".".join(parts[:n]) in told for n in range(2, len(parts) + 1)) or parts[0] in told


def test_a_comment_of_several_lines_is_one_text() -> None:
    text = "first:\n  # -- One\n  # two.\n  second: {}\n# not this\nother: 1\n"

    assert [("first.second", "One two.")] == list(described(text))


def test_the_schema_knows_every_value_and_every_default_fits_its_type() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))

    assert [] == list(_unknown(yaml.safe_load(VALUES), schema, schema["definitions"], ""))
    assert schema["properties"].keys() - {"global"} == yaml.safe_load(VALUES).keys()


def _unknown(values: Any, schema: dict[str, Any], definitions: dict[str, Any], path: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    if not isinstance(values, dict) or schema.get("additionalProperties") is not False:
        return
    for key, value in values.items():
        if key not in schema["properties"]:
            yield f"{path}.{key}"
        else:
            yield from _unknown(value, schema["properties"][key], definitions, f"{path}.{key}")
