from pathlib import Path

import pytest

from l3book.config import ENVIRONMENTS, ConfigError, Settings, environment_file, load

REPOSITORY = Path(__file__).parents[2]


def test_each_layer_hides_the_one_below(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('port = 1\nhost = "127.0.0.2"\nlog_level = "debug"\n')
    environ = {"L3BOOK_PORT": "2", "L3BOOK_HOST": "127.0.0.3", "HOME": "/nowhere"}
    settings = load(file=file, environ=environ, overrides={"port": "3", "host": None})
    assert settings == Settings(port=3, host="127.0.0.3", log_level="debug")


def test_without_layers_the_defaults_hold() -> None:
    assert load() == Settings()
    assert load().host == "127.0.0.1"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_environment_of_the_repository_loads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert load(file=environment_file(name)).allow_unauthenticated is False


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("prot = 1", "unknown setting 'prot': expected one of source, host, port"),
        ("port = 65536", "port is 65536: expected a whole number from 0 to 65535"),
        ('port = "x"', "port is 'x': expected a whole number"),
        ("port = true", "port is True: expected a whole number"),
        ("port = 1.0", "port is 1.0: expected a whole number"),
        ('log_level = "loud"', "log_level is 'loud': expected one of debug, info, warning, error"),
        ('allow_unauthenticated = "perhaps"', "expected true or false"),
        ('source = ""', "source is '': expected text"),
        ("depth_default = 20\ndepth_max = 10", "depth_default is 20: expected at most depth_max (10)"),
        ("port = " + "9" * 5000, "not TOML: "),
        ("port = 0x" + "f" * 5000, "port is a number of thousands of digits: expected a whole number"),
        ("port = " + "[" * 5000, "not TOML: "),
        ("port = ", "not TOML"),
        ("[server]\nport = 1", "unknown setting 'server'"),
    ],
)
def test_wrong_file_says_where_and_what_was_expected(tmp_path: Path, content: str, expected: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text(content)
    with pytest.raises(ConfigError) as refused:
        load(file=file)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not TOML"):
        load(file=file)


def test_mistyped_variable_is_refused_and_not_ignored() -> None:
    with pytest.raises(ConfigError, match="unknown environment variable L3BOOK_PROT: expected one of L3BOOK_SOURCE"):
        load(environ={"L3BOOK_PROT": "1"})


def test_wrong_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r"L3BOOK_PORT is .*: expected a whole number"):
        load(environ={"L3BOOK_PORT": "tcp://10.0.0.1:80"})


def test_a_number_longer_than_int_reads_is_refused_like_any_other() -> None:
    with pytest.raises(ConfigError, match=r"L3BOOK_PORT is '9+': expected a whole number from 0 to 65535"):
        load(environ={"L3BOOK_PORT": "9" * 5000})


def test_variables_that_are_no_settings_are_left_alone() -> None:
    environ = {
        "L3BOOK_TEST_DATA": "/x",
        "L3BOOK_BENCH_ROUNDS": "3",
        "L3BOOK_ENV": "dev",
        "L3BOOK_CONFIG": "a",
        "L3BOOK_GATEWAY_KEYS": "db-a,db-b",
    }
    assert load(environ=environ) == Settings()


def test_unknown_environment_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of dev, staging, prod"):
        environment_file("../../etc/passwd")
