"""`import l3book` stays cheap: it loads the core, and no package that is only needed later."""

import subprocess
import sys

HEAVY = (
    "numpy",
    "pandas",
    "pyarrow",
    "databento",
    "databento_dbn",
    "pydantic",
    "starlette",
    "uvicorn",
    "tqdm",
    "asyncio",
    "argparse",
)


def modules_after(statement: str) -> set[str]:
    """What a fresh interpreter, with warnings as errors, has imported after the statement."""
    code = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return set(done.stdout.split())


def test_importing_the_package_imports_the_core_and_little_else() -> None:
    modules = modules_after("import l3book")
    assert "l3book._core" in modules
    assert modules.isdisjoint(HEAVY)


def test_feeding_a_market_and_reading_json_needs_no_numpy() -> None:
    code = (
        "import l3book\n"
        "market = l3book.Market()\n"
        "from l3book._core import Simulator\n"
        "simulator = Simulator()\n"
        "market.feed(simulator.header() + simulator.read(100))\n"
        "market.book_json('SYN0')"
    )
    assert modules_after(code).isdisjoint(HEAVY)


def test_the_client_needs_websockets_and_msgspec_and_no_server() -> None:
    assert "websockets" not in modules_after("import l3book")
    modules = modules_after("import l3book.client")
    assert {"websockets", "msgspec"} <= modules
    assert modules.isdisjoint(
        {"numpy", "starlette", "uvicorn", "pydantic", "l3book.api", "l3book.hub", "l3book.engine"}
    )


def test_the_command_line_starts_without_the_server() -> None:
    modules = modules_after("import l3book.cli")
    assert modules.isdisjoint({*HEAVY, "importlib.metadata", "statistics"} - {"argparse"})


def test_a_server_without_a_history_starts_without_numpy() -> None:
    modules = modules_after("import l3book.api.app, l3book.api.server, l3book.engine, l3book.history.beginning")
    assert {"uvicorn", "l3book.hub", "l3book.history.recording"} <= modules
    assert modules.isdisjoint({"numpy", "pandas", "pyarrow", "l3book.history.sqlite"})


def test_everything_in_all_exists() -> None:
    import l3book

    for name in l3book.__all__:
        assert getattr(l3book, name) is not None
    assert issubclass(l3book.DecodeError, l3book.L3BookError)
    assert l3book.UNDEF_PRICE == 2**63 - 1
