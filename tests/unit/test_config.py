import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3book.config import ENVIRONMENTS, SETTING_NAMES, ConfigError, Settings, environment_file, load
from l3book.config.loading import PACKAGED_FOLDER

REPOSITORY = Path(__file__).parents[2]
LAYERS = ("environment's file", "--config", "variables", "flags")


def file_with(folder: Path, content: str) -> Path:
    file = folder / "a.toml"
    file.write_text(content, encoding="utf-8")
    return file


def refusal(**layers: object) -> str:
    """The one line that says what is wrong."""
    with pytest.raises(ConfigError) as refused:
        load(**layers)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
    return str(refused.value)


@given(layers=st.lists(st.none() | st.integers(0, 65_535), min_size=4, max_size=4))
def test_the_strongest_layer_that_names_a_setting_wins(
    tmp_path_factory: pytest.TempPathFactory, layers: list[int | None]
) -> None:
    """Any of the four layers, in all combinations, and the listing says which it was."""
    folder = tmp_path_factory.mktemp("layers")
    (folder / "config").mkdir()
    (folder / "config/dev.toml").write_text("" if layers[0] is None else f"port = {layers[0]}")
    file = file_with(folder, "" if layers[1] is None else f"port = {layers[1]}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        loaded = load(
            env="dev",
            file=file,
            environ={} if layers[2] is None else {"L3BOOK_PORT": str(layers[2])},
            flags={"port": None if layers[3] is None else str(layers[3])},
        )
    given_values = [
        (value, origin)
        for value, origin in zip(layers, ("config/dev.toml", str(file), "L3BOOK_PORT", "--port"), strict=True)
        if value is not None
    ]
    assert (loaded.settings.port, loaded.origins["port"]) == (given_values or [(Settings().port, "default")])[-1]
    assert loaded.files == (Path("config/dev.toml"), file)


def test_without_layers_the_defaults_hold() -> None:
    loaded = load()
    assert loaded.settings == Settings()
    assert set(loaded.origins) == set(SETTING_NAMES)
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.environment is None


def test_settings_made_in_code_read_no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L3BOOK_PORT", "9")
    monkeypatch.setenv("PORT", "9")
    assert Settings().port == 8000
    assert Settings(port=3).port == 3


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("place", ["repository", "elsewhere"])
def test_every_environment_loads_wherever_the_command_runs(
    name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY if place == "repository" else tmp_path)
    loaded = load(env=name)
    folder = Path("config") if place == "repository" else PACKAGED_FOLDER
    assert loaded.files == (folder / f"{name}.toml",)
    assert loaded.settings.allow_unauthenticated is False
    assert loaded.environment == name


def test_an_environments_file_that_is_nowhere_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("l3book.config.loading.PACKAGED_FOLDER", tmp_path / "package")
    text = refusal(env="prod")
    assert f"looked for {tmp_path}/config/prod.toml and {tmp_path}/package/prod.toml" in text


def test_files_can_be_named_by_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    file = file_with(tmp_path, "port = 9")
    loaded = load(environ={"L3BOOK_ENV": "staging", "L3BOOK_CONFIG": str(file)})
    assert loaded.files == (Path("config/staging.toml"), file)
    assert loaded.settings.port == 9
    assert load(env="dev", environ={"L3BOOK_ENV": "staging"}).environment == "dev"
    assert load(environ={"L3BOOK_ENV": "", "L3BOOK_CONFIG": ""}).files == ()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("prot = 1", "unknown setting 'prot': did you mean port?"),
        ("Depth-Max = 1", "unknown setting 'Depth-Max': did you mean depth_max?"),
        ("xyzzy = 1", "unknown setting 'xyzzy': expected one of source, host, port"),
        ('gateway_keys = "a"', "expected it as L3BOOK_GATEWAY_KEYS or L3BOOK_GATEWAY_KEYS_FILE, in the environment"),
        ("port = 65536", "port is 65536: expected a whole number from 0 to 65535"),
        ('port = "x"', "port is 'x': expected a whole number"),
        ('port = "1_0"', "port is '1_0': expected a whole number"),
        ("port = true", "port is True: expected a whole number"),
        ("port = 1.0", "port is 1.0: expected a whole number"),
        ("port = [1]", "port is [1]: expected a whole number"),
        ('log_level = "loud"', "log_level is 'loud': expected one of debug, info, warning, error"),
        ("log_level = 1", "log_level is 1: expected one of debug"),
        ('allow_unauthenticated = "perhaps"', "expected true or false"),
        ("debug = 1", "debug is 1: expected true or false"),
        ('source = ""', "source is '': expected text"),
        ('origins = ["https://a.example/"]', "expected origins like https://desk.example, or *"),
        ('origins = ["a.example"]', "expected origins like"),
        ("cors_origins = [1]", "cors_origins is [1]: expected origins like"),
        ('allowed_hosts = ["a:80"]', "expected host names without a port, or *"),
        ("tls_cert = 1", "tls_cert is 1: expected a path"),
        ('tls_cert = "a"', "tls_cert is 'a': expected tls_key with it"),
        ('tls_key = "a"', "tls_key is 'a': expected tls_cert with it"),
        ("depth_default = 20\ndepth_max = 10", "depth_default is 20: expected at most depth_max (10)"),
        ("depth_max = 9", "depth_default is 10 by default: expected at most depth_max (9)"),
        ("ticket_s = 0", "ticket_s is 0: expected a whole number from 1 to 3600"),
        ("port = " + "9" * 5000, "not TOML: "),
        ("port = 0x" + "f" * 5000, "port is a number of thousands of digits: expected a whole number"),
        ("port = " + "[" * 5000, "not TOML: "),
        ("port = ", "not TOML"),
        ("port = 1\nport = 2", "not TOML"),
        ("[server]\nport = 1", "unknown setting 'server', a table: expected settings without tables"),
        ("#" * 1_048_577, "more than 1048576 bytes"),
    ],
)
def test_wrong_file_says_where_and_what_was_expected(tmp_path: Path, content: str, expected: str) -> None:
    file = file_with(tmp_path, content)
    text = refusal(file=file)
    assert expected in text
    assert text.startswith(f"{file}: ") or "by default" in text
    assert "pydantic" not in text
    assert "Input should" not in text


@pytest.mark.parametrize("name", SETTING_NAMES)
def test_no_setting_takes_a_table(tmp_path: Path, name: str) -> None:
    """Whatever its type, it says its own name and what it expects."""
    assert f": {name} is {{'a': 1}}: expected " in refusal(file=file_with(tmp_path, f"{name} = {{a = 1}}"))


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xff\xfe")
    assert "not TOML" in refusal(file=file)


@given(name=st.sampled_from(SETTING_NAMES), at=st.integers(0, 40), data=st.data())
def test_a_name_with_one_letter_missing_is_refused_with_what_was_perhaps_meant(
    name: str, at: int, data: st.DataObject
) -> None:
    at %= len(name)
    mistyped = (name[:at] + name[at + 1 :]).upper()
    if mistyped.lower() in SETTING_NAMES or len(name) < 4:
        return
    text = refusal(environ={f"L3BOOK_{mistyped}": "1"})
    assert text.startswith(f"unknown environment variable L3BOOK_{mistyped}: did you mean L3BOOK_")
    meant = text.rpartition("L3BOOK_")[2].removesuffix("?").lower()
    assert difflib.SequenceMatcher(None, mistyped.lower(), meant).ratio() > 0.6


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("L3BOOK_PROT", "did you mean L3BOOK_PORT?"),
        ("L3BOOK_port", "did you mean L3BOOK_PORT?"),
        ("L3BOOK_XYZZY", "expected one of L3BOOK_SOURCE"),
        ("L3BOOK_GATEWAY_KEY", "expected it as L3BOOK_GATEWAY_KEYS or L3BOOK_GATEWAY_KEYS_FILE"),
        ("L3BOOK_ENVIRON", "did you mean L3BOOK_ENV?"),
    ],
)
def test_mistyped_variable_is_refused_and_not_ignored(variable: str, expected: str) -> None:
    text = refusal(environ={variable: "a-secret-perhaps"})
    assert text.startswith(f"unknown environment variable {variable}: {expected}")
    assert "a-secret-perhaps" not in text


def test_wrong_variable_is_named() -> None:
    text = refusal(environ={"L3BOOK_PORT": "tcp://10.0.0.1:80"})
    assert text.startswith("L3BOOK_PORT is 'tcp://10.0.0.1:80': expected a whole number")


def test_a_number_longer_than_int_reads_is_refused_like_any_other() -> None:
    text = refusal(environ={"L3BOOK_PORT": "9" * 5000})
    assert text.endswith("9': expected a whole number from 0 to 65535")


def test_a_contradiction_names_the_layer_that_said_it() -> None:
    assert refusal(flags={"tls_cert": "a"}) == "--tls-cert is 'a': expected tls_key with it"


def test_lists_are_separated_by_commas_in_variables() -> None:
    environ = {"L3BOOK_ORIGINS": "https://a.example, HTTP://B.example:81", "L3BOOK_ALLOWED_HOSTS": ""}
    settings = load(environ=environ).settings
    assert settings.origins == ("https://a.example", "http://b.example:81")
    assert settings.allowed_hosts == ()


def test_variables_that_are_no_settings_are_left_alone() -> None:
    environ = {
        "L3BOOK_TEST_DATA": "/x",
        "L3BOOK_BENCH_ROUNDS": "3",
        "L3BOOK_GATEWAY_KEYS": "db-a,db-b",
        "L3BOOK_GATEWAY_KEYS_FILE": "/x",
        "HOME": "/nowhere",
    }
    assert load(environ=environ).settings == Settings()


def test_unknown_environment_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of dev, staging, prod"):
        environment_file("../../etc/passwd")


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://desk:s3cret@db.example/l3",
        "clickhouse://desk:s3cret/x@db.example:8123/l3",
        "postgresql://desk@db.example/l3?password=s3cret",
        "postgresql://desk:s3#cret@db.example/l3",
    ],
)
def test_a_password_in_a_stores_uri_is_refused_and_not_shown(uri: str) -> None:
    text = refusal(environ={"L3BOOK_HISTORY_STORE": uri})
    assert text.startswith("L3BOOK_HISTORY_STORE is '")
    assert text.endswith("expected the URI of a store, without a password")
    assert "cret" not in text


def test_a_store_that_cannot_be_is_refused() -> None:
    assert "expected the URI of a store" in refusal(environ={"L3BOOK_HISTORY_STORE": "mysql://a/b"})
    assert load(environ={"L3BOOK_HISTORY_STORE": "postgresql://desk@db.example/l3"}).settings.history_store
