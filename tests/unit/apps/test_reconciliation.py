"""A provider's export beside our own sums: units, accountings apart, every fault named, unknown never zero."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours.apps.reconciliation import Comparison, Export, Provider, compare, parse_places, read_export
from cleanhours.apps.reconciliation.comparing import months_of
from cleanhours.apps.reconciliation.figures import Amounts
from cleanhours.domain.accounts import Entry, Settled
from cleanhours.domain.errors import InvalidRequest
from cleanhours.domain.intensity import Measure, Signal
from cleanhours.domain.locations import Location
from tests.unit.apps.rows_of_a_ledger import a_run, unmeasured

AWS_HEADER = (
    "usage_period_start,usage_period_end,usage_account_id,payer_account_id,product_code,region_code,location,"
    "model_version,total_mbm_emissions_value,total_mbm_emissions_unit,total_lbm_emissions_value,"
    "total_lbm_emissions_unit,last_refresh_timestamp"
)
MARCH = datetime(2026, 3, 10, tzinfo=UTC)
TONNE, KILO = 10**12, 10**9


def aws_row(lbm: str = "0.034", mbm: str = "0.012", **changed: str) -> str:
    cells = dict(zip(AWS_HEADER.split(","), [""] * 13, strict=True)) | {
        "usage_period_start": "2026-03-01 00:00:00",
        "usage_period_end": "2026-04-01 00:00:00",
        "usage_account_id": "1",
        "product_code": "AmazonEC2",
        "region_code": "eu-west-1",
        "model_version": "v3.0.0",
        "total_mbm_emissions_value": mbm,
        "total_mbm_emissions_unit": "MTCO2e",
        "total_lbm_emissions_value": lbm,
        "total_lbm_emissions_unit": "MTCO2e",
        **changed,
    }
    return ",".join(cells.values())


def aws(*rows: str, header: str = AWS_HEADER) -> bytes:
    return "\n".join([header, *(rows or (aws_row(),)), ""]).encode()


def google_row(**changed: Any) -> dict[str, Any]:
    return {
        "usage_month": "2026-03-01",
        "project": {"id": "p"},
        "service": {"id": "s"},
        "location": {"location": "europe-west1", "region": "europe-west1"},
        "carbon_model_version": "13",
        "carbon_footprint_kgCO2e": {"scope1": 0.01, "scope3": 0.4},
        "carbon_footprint_total_kgCO2e": {"location_based": 1.61, "market_based": 0.41},
        **changed,
    }


def google(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def azure(*items: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"value": list(items), **more}).encode()


def ended(month: int = 3, **changed: Any) -> Entry:
    start = MARCH.replace(month=month)
    return a_run(submitted=start, started=start, location="eu-west-1", **changed)


def compared(data: bytes, *entries: Entry, **locations: Location) -> Comparison:
    return compare(read_export(data), entries, locations, {})


def faults(data: bytes, *given: Any) -> list[str]:
    with pytest.raises(InvalidRequest) as refused:
        read_export(data, *given)
    return [str(one) for one in refused.value.complaints]


# -- reading ------------------------------------------------------------------------------------------------------


def test_aws_is_metric_tonnes_with_both_accountings_apart() -> None:
    export = read_export(aws())
    (figure,) = export.figures

    assert (Provider.AWS, "2026-03", "eu-west-1") == (export.provider, figure.month, figure.region)
    assert Amounts(location_ug=34 * TONNE // 1000, market_ug=12 * TONNE // 1000) == figure.amounts


def test_aws_scope_three_is_read_where_the_export_has_it() -> None:
    header = f"{AWS_HEADER},total_scope_3_lbm_emissions_value,total_scope_3_lbm_emissions_unit"
    (figure,) = read_export(aws(aws_row() + ",0.004,MTCO2e", header=header)).figures

    assert 4 * KILO == figure.amounts.scope3_ug


def test_google_is_kilograms_as_json_lines_as_a_list_and_as_flat_csv() -> None:
    names = "usage_month,location_region,carbon_footprint_total_kgCO2e_location_based,carbon_footprint_total_kgCO2e_market_based"
    flat = f"{names}\n2026-03-01,europe-west1,1.61,0.41\n".encode()
    dotted = (
        flat.replace(b"_region", b".region")
        .replace(b"e_location_b", b"e.location_b")
        .replace(b"2e_m", b"2e.m")
    )
    listed = json.dumps([google_row()]).encode()

    for data in (
        google(google_row()),
        google(google_row(), google_row(project={"id": "q"})),
        listed,
        flat,
        dotted,
    ):
        export = read_export(data)
        figure = export.figures[0]
        assert (Provider.GOOGLE, "2026-03", "europe-west1") == (export.provider, figure.month, figure.region)
        assert (161 * KILO // 100, 41 * KILO // 100) == (figure.amounts.location_ug, figure.amounts.market_ug)
    assert 4 * KILO // 10 == read_export(google(google_row())).figures[0].amounts.scope3_ug


def test_a_null_is_unknown_and_said_and_never_zero() -> None:
    nothing = {"location_based": None, "market_based": 0.5}
    export = read_export(
        google(google_row(), google_row(carbon_footprint_total_kgCO2e=nothing, location=None))
    )

    assert [161 * KILO // 100, None] == [figure.amounts.location_ug for figure in export.figures]
    assert "" == export.figures[1].region
    assert ("1 of 2 rows have no location-based value",) == export.incomplete
    assert ("no row has a value",) == read_export(aws(aws_row("", ""))).incomplete


def test_azure_is_kilograms_of_unsaid_accounting() -> None:
    monthly = {"dataType": "MonthlySummaryData", "date": "2026-03-01", "latestMonthEmissions": 12.5}
    detail = {
        "dataType": "ItemDetailsData", "categoryType": "Location", "itemName": "westeurope", "latestMonthEmissions": 3,
    }  # fmt: skip
    (one,) = read_export(azure(monthly)).figures
    (two,) = read_export(azure(detail), None, "2026-02").figures

    assert ("2026-03", "", Amounts(unstated_ug=125 * KILO // 10)) == (one.month, one.region, one.amounts)
    assert ("2026-02", "westeurope", Amounts(unstated_ug=3 * KILO)) == (two.month, two.region, two.amounts)


def test_azure_says_what_was_not_read() -> None:
    item = {"dataType": "OverallSummaryData", "latestMonthEmissions": 0.1}
    denied = [{"subscriptionId": "s", "decision": "Denied"}, {"subscriptionId": "t", "decision": "Allowed"}]
    export = read_export(azure(item, skipToken="x", subscriptionAccessDecisionList=denied), None, "2026-01")

    assert ("more pages" in export.incomplete[0], "subscription s was not read: Denied") == (
        True, export.incomplete[1],
    )  # fmt: skip


@given(st.integers(0, 10**15))
def test_grams_survive_to_the_microgram(micrograms: int) -> None:
    text = f"{micrograms // TONNE}.{micrograms % TONNE:012d}"
    (figure,) = read_export(aws(aws_row(text))).figures

    assert micrograms == figure.amounts.location_ug


# -- faults -------------------------------------------------------------------------------------------------------


def test_every_fault_is_named_with_line_column_value_and_what_would_be_right() -> None:
    data = aws(
        aws_row("1,5".replace(",", ";")),
        aws_row("-1", total_mbm_emissions_unit="kgCO2e"),
        aws_row(usage_period_start="2026-03-05 00:00:00"),
        aws_row(usage_period_end="2026-06-01 00:00:00"),
        aws_row("nan"),
        aws_row("1e999999999"),
    )
    found = faults(data)

    assert 7 == len(found)
    assert "line 2, total_lbm_emissions_value: found '1;5', accepted: a number, 0 or more" in found[0]
    assert any("line 3, total_lbm_emissions_value: found '-1'" in one for one in found)
    assert any("line 3, total_mbm_emissions_unit: found 'kgCO2e', accepted: MTCO2e" in one for one in found)
    assert any("line 4, usage_period_start: found '2026-03-05" in one for one in found)
    assert any("line 5, usage_period_end: found '2026-06-01" in one for one in found)


@pytest.mark.parametrize("cut", [1, 5, 30, 75, 120, 140])
def test_a_file_that_was_not_written_to_its_end_is_refused(cut: int) -> None:
    for data in (aws(aws_row(), aws_row("0.035")), google(google_row(), google_row(project={"id": "q"}))):
        if data.startswith(b"{") and cut == 1:
            continue  # a JSON line without its line end is whole
        assert faults(data[:-cut])


def test_a_row_that_is_too_short_is_told_with_its_line() -> None:
    (found,) = faults(aws(aws_row(), "2026-03-01 00:00:00,2026-04-01"))

    assert "line 3: found '2 columns', accepted: 13, as in the header: is the file whole?" == found


def test_two_models_of_one_month_would_count_it_twice() -> None:
    (found,) = faults(aws(aws_row(), aws_row(model_version="v2.0.0"), aws_row(product_code="AmazonS3")))

    assert (
        "line 3, model version: found 'v2.0.0', accepted: v3.0.0, as for the same month and scope in line 2"
        in found
    )


def of_a_region(**changed: Any) -> dict[str, Any]:
    return {
        "dataType": "ItemDetailsData", "categoryType": "Location", "itemName": "westeurope", "latestMonthEmissions": 3,
        "date": "2026-03-01", **changed,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (aws(aws_row(), aws_row()), "line 3: found 'the same row as line 2', accepted: each row once"),
        (
            aws(aws_row(last_refresh_timestamp="2026-04-20"), aws_row(last_refresh_timestamp="2026-05-20")),
            "line 3: found 'the same row as line 2'",
        ),
        (google(google_row(), google_row()), "line 2: found 'the same row as line 1'"),
        (azure(of_a_region(), of_a_region()), "value[1]: found 'the same row as value[0]'"),
        (
            azure(*({"dataType": "MonthlySummaryData", "date": "2026-03-01", "latestMonthEmissions": n} for n in (1, 2))),
            "value[1], dataType: found 'MonthlySummaryData of 2026-03, as value[0] is', accepted: one summary a month",
        ),
    ],
)  # fmt: skip
def test_a_row_that_stands_there_twice_would_be_counted_twice(data: bytes, told: str) -> None:
    (found,) = faults(data)

    assert told in found


def test_two_overall_summaries_are_of_one_month_whichever_it_is() -> None:
    overall = {"dataType": "OverallSummaryData", "latestMonthEmissions": 1}
    (found,) = faults(azure(overall, overall), None, "2026-03")

    assert "OverallSummaryData of 2026-03, as value[0] is" in found


def test_rows_that_differ_in_anything_are_two_and_are_added() -> None:
    for data in (
        aws(aws_row(), aws_row(payer_account_id="2"), aws_row("0.035")),
        google(google_row(), google_row(project={"id": "q"}), google_row(service={"id": "t"})),
        azure(of_a_region(), of_a_region(latestMonthEmissions=4), of_a_region(itemName="northeurope")),
        azure(*(of_a_region(dataType="MonthlySummaryData", date=f"2026-0{n}-01") for n in (1, 2, 3))),
    ):
        assert 3 == len(read_export(data).figures)


def test_a_wrong_unit_is_told_together_with_a_wrong_value_and_never_of_an_empty_one() -> None:
    value, unit = faults(aws(aws_row("-1", total_lbm_emissions_unit="kg")))

    assert "total_lbm_emissions_value: found '-1'" in value
    assert "total_lbm_emissions_unit: found 'kg', accepted: MTCO2e" in unit
    assert read_export(aws(aws_row("", total_lbm_emissions_unit=""))).figures


@pytest.mark.parametrize(
    "text", ["1_0", "\u0663", "\uff11", "0x10", "infinity", "1e", ".", "1 0", "--1", "1e30", "1e13"]
)
def test_only_plain_numbers_within_bounds_count_and_the_bound_is_named(text: str) -> None:
    (tonnes,) = faults(aws(aws_row(text)))
    (kilos,) = faults(azure(of_a_region(latestMonthEmissions=1e16)))

    assert f"found {text!r}, accepted: a number, 0 or more and at most 1e+12, or empty" in tonnes
    assert "at most 1e+15" in kilos


@pytest.mark.parametrize(
    ("text", "micrograms"), [("1e-6", 10**6), (".5", 5 * 10**11), ("+2.", 2 * 10**12), ("1e12", 10**24)]
)
def test_numbers_are_read_as_programs_write_them(text: str, micrograms: int) -> None:
    assert micrograms == read_export(aws(aws_row(text))).figures[0].amounts.location_ug


def test_columns_that_lack_are_told_once_and_not_for_each_row() -> None:
    header = AWS_HEADER.replace("region_code", "region").replace("model_version", "model")
    assert ["the header, region_code", "the header, model_version"] == [
        one.split(":")[0] for one in faults(aws(aws_row(), aws_row("0.035"), header=header))
    ]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "nothing"),
        (b"  \n", "nothing"),
        (b"a,b\n1,2\n", "AWS Data Exports"),
        (b"\x1f\x8b\x08", "gunzip"),
        (b"PAR1\x15", "as CSV"),
        (b"\xff\xfe", "UTF-8"),
        (b"{", "written to its end"),
        (b"[1]\n", "AWS Data Exports"),
        (b'{"value": 3}', "the list of items"),
        (b'{"value": [3]}', "an item with dataType"),
        (b'{"value": []}', "at least one row"),
        (aws().split(b"\n", 1)[0] + b"\n", "at least one row"),
        (google(google_row(usage_month="March")), "the first day of a month"),
        (google(google_row(carbon_footprint_total_kgCO2e={"location_based": 1})), "with this field"),
        (google(google_row(carbon_footprint_total_kgCO2e={"location_based": [], "market_based": True})), "a number"),
        (b"[" * 100_000, "written to its end"),
        (azure({"dataType": "OverallSummaryData", "latestMonthEmissions": 1}), "--month YYYY-MM"),
        (azure({"dataType": "TopItemsSummaryData", "latestMonthEmissions": 1, "date": "2026-01-01"}), "top items"),
        (azure({"dataType": "MonthlySummaryData", "date": "2026-01-01"}), "a number of kgCO2e"),
        (azure({"dataType": "MonthlySummaryData", "date": "0000-01-01", "latestMonthEmissions": 1}), "first day of a month"),
        (google(google_row(usage_month="9999-12-01")), "the first day of a month"),
    ],
)  # fmt: skip
def test_what_is_no_export_is_refused_with_what_would_be_one(data: bytes, word: str) -> None:
    assert any(word in one for one in faults(data))


def test_another_provider_than_the_one_named_is_refused() -> None:
    assert ["provider: found 'google', accepted: aws: that is whose columns the file has"] == faults(
        aws(), Provider.GOOGLE
    )
    for month in ("March", "2026-13", "0000-01", "9999-12"):
        assert [f"month: found {month!r}, accepted: a month such as 2026-01"] == faults(aws(), None, month)


def test_an_aws_export_is_a_csv_whatever_it_is_called() -> None:
    (found,) = faults(b'[{"region_code": 1}]', Provider.AWS)

    assert "AWS Data Exports carbon CSV" in found


def test_a_thousand_faults_are_counted_and_not_all_printed() -> None:
    found = faults(aws(*(aws_row(f"x{n}") for n in range(1000))))

    assert 21 == len(found)
    assert "980 more faults" in found[-1]


@given(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: f"{AWS_HEADER}\n{text}\n".encode("utf-8", "replace"))
)
def test_whatever_the_file_holds_it_is_read_or_refused(data: bytes) -> None:
    found: list[object] = []
    try:
        found += read_export(data).figures
    except InvalidRequest as refused:
        found += refused.complaints
    assert found


# -- comparing ----------------------------------------------------------------------------------------------------


def test_ours_stands_beside_theirs_of_the_same_month_and_region() -> None:
    found = compared(
        aws(
            aws_row("0.000001"),
            aws_row("0.000002", product_code="AmazonS3"),
            aws_row(region_code="us-east-1"),
        ),
        ended(emissions_ug=2 * TONNE // 10**6),
        ended(uid="2", emissions_ug=500_000),
        ended(2, uid="3", emissions_ug=10**9),
    )
    line, other = found.lines

    assert ("2026-03", "eu-west-1", ("eu-west-1",)) == (line.month, line.region, line.locations)
    assert (3_000_000, 2_500_000, 2) == (
        line.theirs.location_ug,
        line.ours and line.ours.total_ug,
        line.ours and line.ours.runs,
    )
    assert 500_000 == line.difference_ug
    assert (None, None) == (other.ours, other.difference_ug)
    assert ("us-east-1",) == found.unmapped_regions


def test_settlements_stay_apart_and_typical_ones_are_in_no_total() -> None:
    settled = {
        "final_ug": Settled.FINAL,
        "provisional_ug": Settled.PROVISIONAL,
        "typical_ug": Settled.TYPICAL,
    }
    entries = [
        ended(uid=str(index), settled=one, emissions_ug=10**index)
        for index, one in enumerate(settled.values())
    ]
    ghost = replace(unmeasured(uid="9"), run=ended(uid="9").run, location="eu-west-1")
    (line,) = compared(aws(), *entries, ghost).lines

    assert line.ours is not None
    assert (1, 10, 100) == (line.ours.final_ug, line.ours.provisional_ug, line.ours.typical_ug)
    assert (11, 4, 1) == (line.ours.total_ug, line.ours.runs, line.ours.unmeasured)


def test_a_place_without_runs_has_no_sum_rather_than_a_zero() -> None:
    export = read_export(aws())
    (line,) = compare(export, [], {"eu-west-1": Location("eu-west-1", "IE")}, {}).lines

    assert line.ours is not None
    assert (0, None, None) == (line.ours.runs, line.ours.total_ug, line.difference_ug)


def test_a_location_lies_where_it_is_said_where_its_match_is_or_where_its_name_is() -> None:
    data = aws(aws_row(), aws_row(region_code="eu-west-2"), aws_row(region_code="eu-north-1"))
    export = read_export(data)
    named = [
        Location("cellar", "SE"),
        Location("ireland", "IE", match={"label": "EU-WEST-1"}),
        Location("eu-west-2", "GB"),
        Location("mars", "GB"),
    ]
    places = parse_places(["cellar=eu-north-1"], export, {one.name for one in named})
    found = compare(export, [], {one.name: one for one in named}, places)

    assert {"eu-north-1": ("cellar",), "eu-west-1": ("ireland",), "eu-west-2": ("eu-west-2",)} == {
        line.region: line.locations for line in found.lines
    }
    assert ("mars",) == found.unmapped_locations


def test_an_export_without_regions_is_about_every_location() -> None:
    data = azure({"dataType": "MonthlySummaryData", "date": "2026-03-01", "latestMonthEmissions": 1})
    (line,) = compared(data, ended(), here=Location("here", "NL")).lines

    assert ("eu-west-1", "here") == line.locations
    assert KILO - 100_000_000 == line.difference_ug


def test_places_that_are_none_are_all_named() -> None:
    export = read_export(aws())
    with pytest.raises(InvalidRequest) as refused:
        parse_places(
            ["here", "=eu-west-1", "here=eu-west-9", "hree=eu-west-1", "here=EU-WEST-1"], export, {"here"}
        )

    assert ["here", "=eu-west-1", "here=eu-west-9", "hree=eu-west-1"] == [
        one.found for one in refused.value.complaints
    ]
    assert {"here": "eu-west-1"} == parse_places(["here=EU-WEST-1"], export, {"here"})


def test_the_months_asked_for_are_those_of_the_export() -> None:
    december = aws(aws_row(usage_period_start="2025-12-01", usage_period_end="2026-01-01"), aws_row())

    assert (datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)) == months_of(
        read_export(december)
    )


@pytest.mark.parametrize(
    ("data", "entry", "sentence"),
    [
        (aws(), ended(), "market-based figures count the electricity that the provider bought"),
        (aws(), ended(), "PUE: ours is that of the settings (eu-west-1 1.3)"),
        (aws(), ended(), "100.0 % of our energy is modelled or declared"),
        (aws(), ended(settled=Settled.PROVISIONAL), "1 of our 1 run may still change"),
        (aws(), ended(settled=Settled.TYPICAL), "1 run had no actual intensity, and are in no sum of ours"),
        (aws(), ended(measure=Measure(Signal.MARGINAL)), "1 run settled on a marginal signal cannot be compared"),
        (aws(aws_row(), aws_row("")), ended(), "the export is not complete: 1 of 2 rows have no location-based value"),
        (google(google_row(location={"region": "eu-west-1"})), ended(), "400 g of it is scope 3"),
        (
            aws(),
            a_run(started=datetime(2026, 2, 28, 23, 30, tzinfo=UTC), location="eu-west-1"),
            "1 run (100 g) began in an earlier month (UTC)",
        ),
    ],
)  # fmt: skip
def test_the_difference_is_explained_by_what_the_rows_tell(data: bytes, entry: Entry, sentence: str) -> None:
    found = compare(read_export(data), [entry], {"eu-west-1": Location("eu-west-1", "IE", 1.3)}, {})

    assert any(sentence in reason for reason in found.reasons), found.reasons
    assert any(reason.startswith("not our jobs:") for reason in found.reasons)


def test_what_is_printed_as_json_is_plain_and_keeps_the_unknown() -> None:
    document = json.loads(json.dumps(compared(aws(aws_row("")), ended()).to_json()))
    (line,) = document["lines"]

    assert (None, None) == (line["location_based_ug"], line["difference_ug"])
    assert 100_000_000 == line["ours_final_ug"]


# -- the providers' own samples -----------------------------------------------------------------------------------


def sample(folder: Path, name: str) -> bytes:
    return (folder / "provider-samples" / "energy" / name).read_bytes()


@pytest.mark.parametrize(
    ("read", "provider", "location_ug", "market_ug"),
    [
        (
            lambda f: read_export(sample(f, "aws_data_exports_carbon_columns.csv")),
            "aws",
            34 * KILO,
            12 * KILO,
        ),
        (
            lambda f: read_export(sample(f, "gcp_carbon_footprint_export_row_shape.json")),
            "google",
            161 * KILO // 100,
            41 * KILO // 100,
        ),
        (
            lambda f: read_export(
                json.dumps(
                    json.loads(sample(f, "azure_carbon_report_request_shape.json"))["response_shape"]
                ).encode(),
                None,
                "2026-01",
            ),
            "azure",
            None,
            None,
        ),
    ],
)
def test_the_samples_are_read(
    test_data: Path,
    read: Callable[[Path], Export],
    provider: str,
    location_ug: int | None,
    market_ug: int | None,
) -> None:
    export = read(test_data)
    (figure,) = export.figures

    assert (provider, "2026-01") == (export.provider.value, figure.month)
    assert (location_ug, market_ug) == (figure.amounts.location_ug, figure.amounts.market_ug)


def test_a_month_is_cut_in_utc_wherever_the_run_says_it_was() -> None:
    tokyo = datetime(2026, 3, 1, 1, tzinfo=UTC).astimezone(UTC) - timedelta(hours=2)
    early = a_run(started=tokyo, hours=(1,), location="eu-west-1")

    (line,) = compared(aws(), early).lines
    assert line.ours is not None
    assert 1 == line.ours.runs  # it ended at 00:00 UTC on the first of March
