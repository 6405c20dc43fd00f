"""URIs of stores: what they mean, and that no error shows a password."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3book.history.uri import PASSWORD_VARIABLE, check_store_uri, store_of

SECRET = "s3cr3t-h0rse"  # noqa: S105
FOLDER = Path("/nowhere")


def made(uri: str, **environ: str) -> dict[str, object]:
    """The store's fields, whatever they are called in it."""
    return vars(store_of(uri, FOLDER, environ))


def test_clickhouse() -> None:
    target = made(
        "clickhouse://reco%40rder@db.example:9000/my%20book?cluster=two&secure=1", **{PASSWORD_VARIABLE: SECRET}
    )["_target"]
    assert (target.host, target.port, target.user, target.password) == ("db.example", 9000, "reco@rder", SECRET)
    assert (target.database, target.cluster, target.secure, target.path) == ("my book", "two", True, "")
    plain = made("clickhouse://localhost")["_target"]
    assert (plain.port, plain.user, plain.password, plain.database, plain.cluster) == (None, "", "", "l3book", None)


def test_chdb() -> None:
    target = made("chdb:///var/lib/a%20b?database=other")["_target"]
    assert (target.path, target.database) == ("/var/lib/a b", "other")
    assert made("chdb:///x")["_target"].database == "l3book"


def test_postgres() -> None:
    store = made("postgresql://recorder@db.example:5433/books?sslmode=verify-full", **{PASSWORD_VARIABLE: SECRET})
    assert store["_options"] == {
        "user": "recorder",
        "host": "db.example",
        "port": "5433",
        "dbname": "books",
        "sslmode": "verify-full",
        "password": SECRET,
    }
    assert store["_place"] == "postgresql://db.example:5433/books"
    assert "password" not in made("postgres://db.example/books")["_options"]


def test_a_password_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET + "\n")
    given = {PASSWORD_VARIABLE + "_FILE": str(file)}
    assert made("clickhouse://u@h/d", **given)["_target"].password == SECRET
    assert made("postgresql://u@h/d", **given)["_options"]["password"] == SECRET


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mysql://h/d", "expected sqlite:, clickhouse://"),
        ("", "expected sqlite:, clickhouse://"),
        ("sqlite:elsewhere.db", "expected sqlite: alone"),
        ("clickhouse:///d", "expected clickhouse://USER@HOST"),
        ("clickhouse://h:70000/d", "no host and port that can be read"),
        ("clickhouse://h/d?clutser=x", "unknown key 'clutser': expected cluster or secure"),
        ("clickhouse://h/d?secure=yes", "secure=1"),
        ("chdb://relative", "expected chdb:///PATH"),
        ("chdb:///", "expected chdb:///PATH"),
        ("postgresql://h/d?no_such_option=1", "no_such_option"),
        ("postgresql://[::1/d", "no host and port that can be read"),
    ],
)
def test_a_wrong_uri_is_refused_in_a_line(uri: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"^history store") as refused:
        store_of(uri, FOLDER, {})
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@given(
    st.sampled_from(["clickhouse", "postgresql", "chdb", "sqlite", "mysql"]),
    st.sampled_from(
        [
            "u:{}@h/d",
            "u:{}@/d",
            ":{}@h:1/d?x=y",
            "h/d?password={}",
            "h/d?sslpassword={}&cluster=x",
            "u:{}@h:99999",
            "u:{}/x@h",
            "u:{}#x@h/d",
            "u:{}?x@h",
        ]
    ),
)
def test_a_password_in_a_uri_is_refused_and_not_shown(scheme: str, rest: str) -> None:
    with pytest.raises(ValueError, match=r"^history store") as refused:
        check_store_uri(f"{scheme}://{rest.format(SECRET)}")
    assert SECRET not in str(refused.value)


def test_what_errors_call_a_store_shows_no_password() -> None:
    for uri in ("clickhouse://u@h/d", "postgresql://u@h/d"):
        store = made(uri, **{PASSWORD_VARIABLE: SECRET})
        assert SECRET not in str(store.get("_target") or store["_place"])
        assert SECRET not in repr(store.get("_target"))
