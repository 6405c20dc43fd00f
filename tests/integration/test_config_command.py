"""`l3book config show`, and settings as `serve` meets them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from l3book.config import SETTING_NAMES
from l3book.config.loading import PACKAGED_FOLDER
from running import RunningServer, error_line, run

SECRET = "db-0123456789abcdef0123456789abc"  # noqa: S105
NATS_SECRETS = ["L3BOOK_NATS_USER", "L3BOOK_NATS_PASSWORD", "L3BOOK_NATS_TOKEN", "L3BOOK_NATS_CREDENTIALS"]


def shown(*arguments: object, cwd: Path, env: dict[str, str] | None = None) -> dict:
    done = run("config", "show", "--json", *arguments, cwd=cwd, env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    return json.loads(done.stdout)


def test_every_value_comes_with_its_origin(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    config.write_text('depth_max = 50\norigins = ["https://desk.example"]\n')
    variables = {"L3BOOK_TICKET_S": "7", "L3BOOK_ENV": "prod"}
    listed = shown("--config", config, "--port", "9", cwd=tmp_path, env=variables)
    settings = listed["settings"]
    assert tuple(settings) == SETTING_NAMES
    prod = str(PACKAGED_FOLDER / "prod.toml")
    assert (listed["environment"], listed["files"]) == ("prod", [prod, str(config)])
    assert settings["depth_max"] == {"value": 50, "origin": str(config)}
    assert settings["origins"] == {"value": ["https://desk.example"], "origin": str(config)}
    assert settings["depth_default"] == {"value": 10, "origin": prod}
    assert settings["ticket_s"] == {"value": 7, "origin": "L3BOOK_TICKET_S"}
    assert settings["port"] == {"value": 9, "origin": "--port"}
    assert settings["sockets_max"] == {"value": 5000, "origin": "default"}


def test_the_listing_for_people_says_the_same(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    config.write_text("depth_max = 50")
    done = run("config", "show", "--config", config, "--port", "9", cwd=tmp_path)
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert rows[0] == ["environment:", "none"]
    assert ["depth_max", "50", str(config)] in rows
    assert ["port", "9", "--port"] in rows
    assert ["tls_key", "none", "default"] in rows
    assert [row[0] for row in rows[1:]] == [
        *SETTING_NAMES,
        "DATABENTO_API_KEY",
        "L3BOOK_GATEWAY_KEYS",
        "L3BOOK_HISTORY_STORE_PASSWORD",
        *NATS_SECRETS,
    ]


def test_the_folder_that_is_recorded_in_is_shown_where_none_is_set(
    serve: Callable[..., RunningServer], tmp_path: Path
) -> None:
    variables = {"L3BOOK_STATE_DIR": str(tmp_path / "state"), "L3BOOK_NO_HISTORY": "0"}
    told = shown(cwd=tmp_path, env=variables)["settings"]["history"]
    assert told["origin"] == "default"
    serve(env=variables)
    assert [str(path) for path in (tmp_path / "state" / "history").iterdir()] == [told["value"]]
    done = run("config", "show", cwd=tmp_path, env=variables)
    assert ["history", told["value"], "default"] in [line.split() for line in done.stdout.decode().splitlines()]
    assert shown("--no-history", cwd=tmp_path, env=variables)["settings"]["history"]["value"] is None


def test_a_folder_that_is_set_is_shown_wherever_one_stands(tmp_path: Path) -> None:
    told = shown("--history", "recorded", cwd=tmp_path)["settings"]["history"]
    assert Path(told["value"]) == tmp_path / "recorded"


def test_of_secrets_only_their_being_set_is_told(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(SECRET)
    variables = {"DATABENTO_API_KEY": SECRET, "L3BOOK_GATEWAY_KEYS_FILE": str(file)}
    listed = shown(cwd=tmp_path, env=variables)
    assert listed["secrets"] == {
        "DATABENTO_API_KEY": {"set": True, "origin": "DATABENTO_API_KEY"},
        "L3BOOK_GATEWAY_KEYS": {"set": True, "origin": "L3BOOK_GATEWAY_KEYS_FILE"},
        **{key: {"set": False, "origin": None} for key in ["L3BOOK_HISTORY_STORE_PASSWORD", *NATS_SECRETS]},
    }
    for options in ([], ["--json"]):
        done = run("config", "show", *options, env=variables)
        assert SECRET not in done.stdout.decode() + done.stderr.decode()
    assert not any(entry["set"] for entry in shown(cwd=tmp_path, env={"DATABENTO_API_KEY": ""})["secrets"].values())


@pytest.mark.parametrize("verb", [["config", "show"], ["serve"]], ids=["show", "serve"])
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"L3BOOK_PROT": "1"}, "unknown environment variable L3BOOK_PROT: did you mean L3BOOK_PORT?"),
        ({"L3BOOK_CONFIG": "none.toml"}, "none.toml: No such file or directory"),
        ({"L3BOOK_ENV": "moon"}, "environment 'moon': expected one of dev, staging, prod"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, verb: list[str], variables: dict[str, str], expected: str) -> None:
    done = run(*verb, cwd=tmp_path, env=variables)
    assert expected in error_line(done)
    assert done.returncode == 2


def test_a_secret_whose_file_cannot_be_had_is_not_shown_as_set(tmp_path: Path) -> None:
    done = run("config", "show", env={"DATABENTO_API_KEY_FILE": str(tmp_path / "no")})
    assert f"DATABENTO_API_KEY_FILE: {tmp_path / 'no'}: No such file or directory" in error_line(done)
    assert (done.returncode, done.stdout) == (2, b"")
    listed = shown(cwd=tmp_path, env={"DATABENTO_API_KEY": " "})
    assert listed["secrets"]["DATABENTO_API_KEY"] == {"set": False, "origin": None}


def test_both_ways_to_give_a_secret_are_refused(tmp_path: Path) -> None:
    done = run("config", "show", env={"DATABENTO_API_KEY": SECRET, "DATABENTO_API_KEY_FILE": "/x"})
    assert "are both set" in error_line(done)
    assert SECRET not in done.stderr.decode()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"L3BOOK_DEBUG": "1"}, "prod refuses debug as it is (L3BOOK_DEBUG)"),
        ({"L3BOOK_HOST": "0.0.0.0"}, "not a loopback address, and there are no API keys: expected 127.0.0.1"),  # noqa: S104
        (
            {"L3BOOK_HOST": "0.0.0.0", "L3BOOK_ALLOW_UNAUTHENTICATED": "1"},  # noqa: S104
            "not a loopback address, and prod refuses allow_unauthenticated as it is (L3BOOK_ALLOW_UNAUTHENTICATED)",
        ),
        (
            {"L3BOOK_ALLOWED_HOSTS": "books.example"},
            "allowed_hosts (L3BOOK_ALLOWED_HOSTS) lets others come by a proxy, and there are no API keys",
        ),
    ],
    ids=["debug", "no keys", "unauthenticated", "behind a proxy"],
)
@pytest.mark.parametrize("verb", ["serve", "doctor"])
def test_prod_refuses_what_is_not_safe(tmp_path: Path, verb: str, variables: dict[str, str], expected: str) -> None:
    state = {"L3BOOK_STATE_DIR": str(tmp_path), "L3BOOK_PORT": "0", "L3BOOK_ENV": "prod"}
    done = run(verb, cwd=tmp_path, env={**state, **variables})
    if verb == "serve":
        assert expected in error_line(done)
        assert done.returncode == 2
    else:
        host = "127.0.0.1" if "proxy" in expected else "0.0.0.0"  # noqa: S104  # never served
        where = "settings" if "debug" in expected else f"{host}:0"
        assert f"fail  {where}: {expected}" in done.stdout.decode()
        assert done.returncode == 1


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_show_says_what_prod_refuses_after_the_table(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run("config", "show", "--env", "prod", *options, cwd=tmp_path, env={"L3BOOK_DEBUG": "true"})
    assert error_line(done).startswith("l3book: prod refuses debug as it is (L3BOOK_DEBUG)")
    assert done.returncode == 1
    assert b"L3BOOK_DEBUG" in done.stdout
    assert run("config", "show", "--env", "prod", *options, cwd=tmp_path).returncode == 0


def test_prod_as_it_comes_is_served(serve: Callable[..., RunningServer], tmp_path: Path) -> None:
    server = serve("--env", "prod", cwd=tmp_path)
    assert (
        server.get("/v1/books/SYN0?depth=1001").json()["detail"].endswith("a whole number from 1 to 1000 (depth_max)")
    )


def test_hosts_of_the_settings_are_answered_to(serve: Callable[..., RunningServer]) -> None:
    server = serve(env={"L3BOOK_ALLOWED_HOSTS": "books.example"})
    assert server.get("/livez", headers={"Host": "books.example:80"}).status_code == 200
    assert server.get("/livez", headers={"Host": "localhost"}).status_code == 200
    assert server.get("/livez", headers={"Host": "other.example"}).status_code == 421
    anybody = serve(env={"L3BOOK_ALLOWED_HOSTS": "*"})
    assert anybody.get("/livez", headers={"Host": "other.example"}).status_code == 200


def test_a_live_sources_key_comes_from_a_file(tmp_path: Path) -> None:
    pytest.importorskip("databento")
    done = run("serve", "--source", "live://GLBX.MDP3?snapshot=1", env={"DATABENTO_API_KEY_FILE": str(tmp_path / "no")})
    assert f"DATABENTO_API_KEY_FILE: {tmp_path / 'no'}: No such file or directory" in error_line(done)
    assert done.returncode == 2
