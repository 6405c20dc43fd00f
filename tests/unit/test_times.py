import pytest

from l3book.times import parse_time_ns

NOON_NS = 1_758_715_200_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        # Beyond 2^53: a float on the way would round the last digits.
        ("1758751200123456789", 1_758_751_200_123_456_789),
        ("2025-09-24T22:00:00.123456789Z", 1_758_751_200_123_456_789),
        ("2025-09-24T22:00:00.000000001Z", 1_758_751_200_000_000_001),
        ("2025-09-24T22:00:00,5", 1_758_751_200_500_000_000),
        ("2025-09-24", 1_758_672_000_000_000_000),
        ("2025-09-24T12:00", NOON_NS),
        ("2025-09-24 12:00:00", NOON_NS),
        ("2025-09-24T14:00:00+02:00", NOON_NS),
        ("2025-09-24T07:00:00-0500", NOON_NS),
        ("2025-09-24T07:00:00-05", NOON_NS),
        ("2025-09-24t12:00:00z", NOON_NS),
        ("1970-01-01T00:00:00Z", 0),
        ("2024-02-29", 1_709_164_800_000_000_000),
        ("18446744073709551614", 2**64 - 2),
    ],
)
def test_time_is_exact_to_the_nanosecond(text: str, ns: int) -> None:
    assert parse_time_ns(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "-1",
        "1.5e18",
        "1_000",
        "²",
        "2025-02-29",
        "2025-13-01",
        "2025-9-24",
        "2025-09-24T24:00",
        "2025-09-24T12:60",
        "2025-09-24T23:59:60Z",
        "2025-09-24T12:00:00.1234567891Z",
        "2025-09-24T12:00:00+25:00",
        "2025-09-24T12:00:00 UTC",
        "1969-12-31T23:59:59Z",
        "2555-01-01",
        "18446744073709551615",
        "9" * 5000,
    ],
)
def test_what_is_no_time_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected nanoseconds since 1970 or ISO 8601"):
        parse_time_ns(text)
