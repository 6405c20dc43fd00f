"""Keys of the gateway: the challenge as Databento's documents and client have it."""

import pytest
from databento.common.cram import get_challenge_response
from hypothesis import given
from hypothesis import strategies as st

from l3book.gateway.keys import KEY_LENGTH, KeyFormatError, KeyRing, answer, check_key, make_challenge, make_key

KEY = "db-unittestapikey1234567890FFFFF"
OTHER = "db-anotherkeywiththesamebucFFFFF"


def test_the_documented_example() -> None:
    expected = "be87ce3d564b64481d4ad1902e2b41b26e3eef62b9de37d87eb4a1d4a5199b6f-FFFFF"
    assert answer("abcd1234", KEY) == expected
    assert KeyRing([KEY]).find("abcd1234", expected) == KEY


@given(st.text(st.characters(codec="ascii", exclude_characters="|\n"), max_size=40))
def test_answers_are_the_official_clients(challenge: str) -> None:
    key = make_key()
    assert answer(challenge, key) == get_challenge_response(challenge, key)
    assert KeyRing([OTHER, key, KEY]).find(challenge, answer(challenge, key)) == key


def test_keys_that_share_a_bucket_are_both_tried() -> None:
    ring = KeyRing([KEY, OTHER])
    assert [ring.find("c", answer("c", key)) for key in (KEY, OTHER)] == [KEY, OTHER]


@pytest.mark.parametrize(
    "auth",
    [
        *("", "-", "FFFFF", "-FFFFF", "0" * 64 + "-FFFFF", answer("d", KEY)),
        # By name: two processes that collect the same tests made two keys.
        pytest.param(answer("c", make_key()), id="of another key"),
    ],
)
def test_wrong_answers_find_no_key(auth: str) -> None:
    assert KeyRing([KEY]).find("c", auth) is None
    assert KeyRing([]).find("c", auth) is None


def test_an_answer_that_is_no_text_finds_no_key() -> None:
    assert KeyRing([KEY]).find("c", "\udcff-FFFFF") is None


def test_made_keys_are_keys_and_differ() -> None:
    keys = {make_key() for _ in range(100)}
    assert len(keys) == 100
    assert {check_key(key, "x") for key in keys} == keys
    assert {len(key) for key in keys} == {KEY_LENGTH}
    assert len({make_challenge() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "key", ["", "db-", KEY[:-1], KEY + "x", "xx" + KEY[2:], KEY[:-1] + "|", KEY[:-1] + "\n", KEY[:-1] + "é"]
)
def test_what_is_no_key_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(KeyFormatError) as refused:
        check_key(key, "--key")
    text = str(refused.value)
    assert text.startswith("--key: a key ")
    assert "expected 32 letters and digits that begin with 'db-'" in text
    assert len(key) < 5 or key not in text


def test_a_ring_shows_only_the_ends_of_its_keys() -> None:
    ring = KeyRing([KEY], [OTHER])
    assert KEY not in repr(ring)
    assert OTHER not in repr(ring)
    assert len(ring) == 2
    assert [ring.is_spared(key) for key in (KEY, OTHER)] == [False, True]
