"""`l3book convert`, run as users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import databento
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from dbn_bytes import UNIT, metadata, other_record, record
from l3book import Deriver, mbp10, to_arrow
from l3book._core import Simulator
from l3book.formats import FORMATS
from running import COMMAND, environment, error_line, run

pytestmark = [
    pytest.mark.filterwarnings("ignore:The inplace keyword"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
EXIT_ANSWER_IS_NO = 1
EXIT_MISUSE = 2
WAIT_S = 90
POLL_S = 0.02
RECORDS = 20_000
HEAD = metadata(symbols={"AB": 7})
GOOD = [record("A", "B", (100 - i) * UNIT, size=i + 1, order_id=i, instrument_id=7) for i in range(3)]
WHOLE = HEAD + b"".join(GOOD)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("convert") / "made.dbn"
    simulator = Simulator(seed=11, instruments=2, resting_max=500)
    path.write_bytes(simulator.header() + simulator.read(RECORDS))
    return path


def converted(file: Path, output: Path, *arguments: object) -> Path:
    done = run("convert", file, "-o", output, *arguments)
    assert done.returncode == 0, done.stderr
    return output


@pytest.mark.parametrize("schema", ["mbo", "mbp-10", "bbo-1m", "ohlcv-1s"])
def test_all_formats_hold_the_same_rows(file: Path, tmp_path: Path, schema: str) -> None:
    paths = {kind: converted(file, tmp_path / f"rows.{kind}", "--schema", schema) for kind in FORMATS}
    store = databento.DBNStore.from_file(paths["dbn"])
    assert store.schema == schema
    store.to_csv(tmp_path / "official.csv")
    assert paths["csv"].read_bytes() == (tmp_path / "official.csv").read_bytes()
    table = to_arrow(file, schema)
    assert table.num_rows == len(store.to_ndarray()) > 0
    assert pq.read_table(paths["parquet"]).equals(table)
    with pa.OSFile(str(paths["arrow"])) as stream:
        assert pa.ipc.open_file(stream).read_all().equals(table)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".part")] == []


@pytest.mark.parametrize("kind", ["dbn", "csv"])
def test_a_name_in_zst_is_compressed(file: Path, tmp_path: Path, kind: str) -> None:
    plain = converted(file, tmp_path / f"rows.{kind}", "--schema", "mbp-1")
    packed = converted(file, tmp_path / f"rows.{kind}.zst", "--schema", "mbp-1")
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed.read_bytes()) == plain.read_bytes()


@pytest.mark.parametrize("kind", ["dbn", "csv"])
def test_standard_output_is_the_same_file(file: Path, tmp_path: Path, kind: str) -> None:
    expected = converted(file, tmp_path / f"rows.{kind}", "--schema", "tbbo").read_bytes()
    for where in ([], ["-o", "-"]):
        done = run("convert", file, "--schema", "tbbo", "--to", kind, *where)
        assert (done.returncode, done.stdout) == (0, expected)


def test_arrow_on_standard_output_is_a_stream(file: Path) -> None:
    done = run("convert", file, "--schema", "trades", "--to", "arrow")
    assert done.returncode == 0
    assert pa.ipc.open_stream(done.stdout).read_all().equals(to_arrow(file, "trades"))


def test_a_pipe_is_read_too(file: Path, tmp_path: Path) -> None:
    expected = run("convert", file, "--schema", "trades", "--to", "csv").stdout
    done = subprocess.run(
        [COMMAND, "convert", "/dev/stdin", "--schema", "trades", "--to", "csv"],
        input=file.read_bytes(),
        capture_output=True,
        check=True,
        timeout=60,
        env=environment(),
    )
    assert done.stdout == expected


@pytest.mark.parametrize("name", ["SYN1", None])
def test_one_instrument(file: Path, tmp_path: Path, name: str | None) -> None:
    every = mbp10(file)
    ids = np.unique(every["instrument_id"])
    wanted = name or f"1:{ids[1]}"
    path = converted(file, tmp_path / "one.dbn", "--schema", "mbp-10", "--instrument", wanted)
    one = databento.DBNStore.from_file(path).to_ndarray()
    assert len(set(one["instrument_id"])) == 1
    assert np.array_equal(one, every[every["instrument_id"] == one["instrument_id"][0]])


@pytest.mark.parametrize("kind", FORMATS)
def test_an_instrument_that_is_not_there_is_misuse_and_writes_nothing(file: Path, tmp_path: Path, kind: str) -> None:
    output = tmp_path / f"none.{kind}"
    done = run("convert", file, "--schema", "trades", "--instrument", "NONE", "-o", output)
    assert done.returncode == EXIT_MISUSE
    assert "no instrument goes by 'NONE'" in error_line(done)
    assert done.stderr.count(b"\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_options_of_the_values(file: Path, tmp_path: Path) -> None:
    raw = ["--no-pretty-px", "--no-pretty-ts", "--no-map-symbols"]
    path = converted(file, tmp_path / "raw.csv", "--schema", "trades", *raw)
    store = databento.DBNStore.from_file(converted(file, tmp_path / "rows.dbn", "--schema", "trades"))
    store.to_csv(tmp_path / "official.csv", pretty_px=False, pretty_ts=False, map_symbols=False)
    assert path.read_bytes() == (tmp_path / "official.csv").read_bytes()
    for price_type in ("fixed", "float", "decimal"):
        path = converted(file, tmp_path / "x.parquet", "--schema", "trades", "--price-type", price_type)
        assert pq.read_table(path).equals(to_arrow(file, "trades", price_type=price_type))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (WHOLE + GOOD[0][:30], "the stream ends inside record 3"),
        (WHOLE + bytes(56), "record 3: length 0 bytes"),
        (zstandard.ZstdCompressor().compress(WHOLE) + b"\x28\xb5\x2f\xfd" + b"\xff" * 40, "zstd"),
        (WHOLE + record("A", "N", UNIT, size=1, instrument_id=7), "1 records rejected, the first: record 3"),
    ],
)
@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_good_before_the_fault_is_written(tmp_path: Path, content: bytes, what: str, kind: str) -> None:
    path, output = tmp_path / "bad.dbn", tmp_path / f"rows.{kind}"
    path.write_bytes(content)
    done = run("convert", path, "--schema", "mbp-10", "-o", output)
    assert done.returncode == EXIT_ANSWER_IS_NO
    line = error_line(done)
    assert line.startswith(f"l3book: {path}: ")
    assert what in line
    rows = {
        "dbn": lambda: len(databento.DBNStore.from_file(output).to_ndarray()),
        "csv": lambda: output.read_text().count("\n") - 1,
        "parquet": lambda: pq.read_table(output).num_rows,
        "arrow": lambda: pa.ipc.open_file(output).read_all().num_rows,
    }
    assert rows[kind]() == len(GOOD)


@pytest.mark.parametrize("content", [b"", b"text, and no DBN", metadata(schema=2), HEAD[:50]])
def test_nothing_good_writes_nothing(tmp_path: Path, content: bytes) -> None:
    path, output = tmp_path / "bad.dbn", tmp_path / "rows.csv"
    path.write_bytes(content)
    done = run("convert", path, "--schema", "mbp-10", "-o", output)
    assert done.returncode == EXIT_ANSWER_IS_NO
    assert error_line(done).startswith(f"l3book: {path}: byte ")
    assert not output.exists()


def test_a_file_of_other_records_is_refused(tmp_path: Path) -> None:
    path, output = tmp_path / "trades.dbn", tmp_path / "rows.csv"
    path.write_bytes(metadata(schema=0xFFFF) + other_record())
    done = run("convert", path, "--schema", "trades", "-o", output)
    assert done.returncode == EXIT_ANSWER_IS_NO
    assert "1 records, none of them MBO: expected schema mbo" in error_line(done)
    assert not output.exists()


def test_metadata_without_records_is_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.dbn"
    path.write_bytes(HEAD)
    for kind in FORMATS:
        output = converted(path, tmp_path / f"rows.{kind}", "--schema", "mbp-10")
        assert output.stat().st_size > 0
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 0
    assert len(databento.DBNStore.from_file(tmp_path / "rows.dbn").to_ndarray()) == 0


def test_the_input_is_never_written_over(tmp_path: Path) -> None:
    path, link = tmp_path / "made.dbn", tmp_path / "link.dbn"
    path.write_bytes(WHOLE)
    link.symlink_to(path)
    for output in (path, link):
        done = run("convert", path, "--schema", "mbo", "-o", output)
        assert done.returncode == EXIT_MISUSE
        assert "the input is also the output" in error_line(done)
    assert path.read_bytes() == WHOLE


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--schema", "mbp-2", "--to", "csv"], "invalid choice"),
        (["--to", "csv"], "--schema"),
        (["--schema", "mbp-1"], "no format: expected --to"),
        (["--schema", "mbp-1", "-o", "rows.txt"], "no format: expected --to"),
        (["--schema", "mbp-1", "-o", "rows.parquet.zst"], "parquet compresses by itself"),
        (["--schema", "mbp-1", "--to", "xml"], "invalid choice"),
    ],
)
def test_misuse_is_one_line(file: Path, tmp_path: Path, arguments: list[str], what: str) -> None:
    done = run("convert", file, *arguments, cwd=tmp_path)
    assert done.returncode == EXIT_MISUSE
    assert what in error_line(done)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_misuse(tmp_path: Path) -> None:
    done = run("convert", tmp_path / "none.dbn", "--schema", "mbp-1", "--to", "csv")
    assert done.returncode == EXIT_MISUSE
    assert "no such file" in error_line(done)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_leaves_one_line(tmp_path: Path, kind: str) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("/dev/full is missing: it stands for a full disk")
    path = tmp_path / "made.dbn"
    path.write_bytes(WHOLE)
    done = run("convert", path, "--schema", "mbo", "--to", kind, "-o", full)
    assert done.returncode == EXIT_MISUSE
    assert "No space left" in error_line(done)
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("kind", ["dbn", "csv"])
def test_a_signal_leaves_nothing(tmp_path: Path, kind: str, number: signal.Signals) -> None:
    """The input is a pipe that never ends, so that the command is at work when it is ended."""
    pipe, folder = tmp_path / "pipe", tmp_path / "out"
    os.mkfifo(pipe)
    folder.mkdir()
    command = [str(COMMAND), "convert", str(pipe), "--schema", "mbo", "-o", str(folder / f"rows.{kind}")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment()) as process:
        try:
            with pipe.open("wb") as stream:
                stream.write(WHOLE)
                stream.flush()
                deadline_s = time.monotonic() + WAIT_S
                while not list(folder.glob(".*.part")) and time.monotonic() < deadline_s:
                    time.sleep(POLL_S)
                assert list(folder.glob(".*.part"))
                process.send_signal(number)
                _, text = process.communicate(timeout=WAIT_S)
        finally:
            process.kill()
    assert (process.returncode, text) == (128 + number, b"")
    assert list(folder.iterdir()) == []


def test_without_pyarrow_parquet_is_misuse(file: Path, tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ImportError('not here')\n")
    done = run("convert", file, "--schema", "trades", "-o", tmp_path / "x.parquet", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == EXIT_MISUSE
    assert "pyarrow is missing: expected `pip install l3book[arrow]`" in error_line(done)


# A process of its own in between: a peak is inherited by what is started, and that of the tests is high.
PEAK_OF = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


@pytest.mark.parametrize("kind", ["dbn", "parquet"])
def test_memory_is_bounded(tmp_path: Path, kind: str) -> None:
    """Four times the records, a hundred megabytes more of rows: much the same memory."""
    peaks_bytes, sizes_bytes = [], []
    for records in (200_000, 800_000):
        path, output = tmp_path / "long.dbn", tmp_path / f"rows.{kind}"
        simulator = Simulator(seed=2, instruments=1, resting_max=1_000)
        with path.open("wb") as stream:
            stream.write(simulator.header())
            while simulator.records < records:
                stream.write(simulator.read(50_000))
        command = [str(COMMAND), "convert", str(path), "--schema", "mbp-10", "-o", str(output)]
        done = subprocess.run(
            [sys.executable, "-c", PEAK_OF, *command],
            capture_output=True,
            check=True,
            timeout=100,
            env=environment(),
        )
        peaks_bytes.append(int(done.stdout))
        rows = int(done.stderr.decode().split(" mbp-10 rows")[0].rsplit(" ", 1)[1].replace(",", ""))
        sizes_bytes.append(rows * Deriver("mbp-10").row_bytes)
        path.unlink()
        output.unlink()
    assert sizes_bytes[1] - sizes_bytes[0] > 90_000_000
    assert peaks_bytes[1] - peaks_bytes[0] < 45_000_000, peaks_bytes
