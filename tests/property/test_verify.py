"""`verify` finds no difference in hostile streams: it holds two books that share no code against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

import l3book
from dbn_bytes import metadata, stream
from oracle import OracleMarket
from state_bytes import state_hash
from streams import records

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from dbn_bytes import Mbo

NS_PER_S = 1_000_000_000


@given(
    told=records(max_size=80), every=st.sampled_from([1, 3, 50_000]), rule=st.sampled_from(["keeps_place", "to_back"])
)
@settings(max_examples=150)
def test_hostile_streams(tmp_path_factory: pytest.TempPathFactory, told: list[Mbo], every: int, rule: str) -> None:
    path = file_of(tmp_path_factory, told)
    found = l3book.verify(path, check_every=every, same_size_modify=rule)  # type: ignore[arg-type]
    report = found.to_dict()
    oracle = OracleMarket(rule == "to_back").feed(told)
    assert report["difference"] is None
    assert report["oracle"]["events"] == report["counters"]["events"] == oracle.stats()["events"]
    assert {name: report["counters"][name] for name in oracle.stats()} == oracle.stats()
    assert found.state_hash == state_hash(oracle)
    rejected = sum(count for name, count in oracle.stats().items() if name.startswith("rejected_"))
    assert report["verdict"] == ("rejected" if rejected else "good")


@given(told=records(min_size=5), jumps=st.lists(st.integers(0, 59), max_size=6))
@settings(max_examples=80)
def test_forced_events(tmp_path_factory: pytest.TempPathFactory, told: list[Mbo], jumps: list[int]) -> None:
    late, shifted = 0, []
    for n, record in enumerate(told):
        late += (n in jumps) * (NS_PER_S + 1)
        shifted.append(record._replace(ts_event=record.ts_event + late, ts_recv=record.ts_recv + late))
    report = l3book.verify(file_of(tmp_path_factory, shifted), check_every=1).to_dict()
    assert report["difference"] is None


def file_of(tmp_path_factory: pytest.TempPathFactory, told: list[Mbo]) -> Path:
    path = tmp_path_factory.getbasetemp() / "hostile.dbn"
    path.write_bytes(metadata() + stream(told))
    return path
