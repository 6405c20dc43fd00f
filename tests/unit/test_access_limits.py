"""Limits, tickets and origins, each against what it must never do."""

import re
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3book.access import tickets as tickets_module
from l3book.access.identity import Identity
from l3book.access.limits import Limits, Ops, SocketPlace
from l3book.access.origins import is_allowed
from l3book.access.rates import BoundedMemory, Quota
from l3book.access.tickets import Tickets
from l3book.api.problems import Problem
from l3book.config import Settings

WINDOW_S = 10
POLICY = re.compile(rb'"([a-z-]+)";q=([0-9]+);w=([0-9]+)')
RATE = re.compile(rb'"([a-z-]+)";r=([0-9]+);t=([0-9]+)')


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def identity(name: str = "a", *, is_current: bool = True) -> Identity:
    return Identity(name, name, frozenset({"read"}), "192.0.2.1", lambda _key_id: is_current)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 7))))
def test_counters_against_a_list_of_hits(hits: list[tuple[str, int]]) -> None:
    clock = Clock()
    memory = BoundedMemory(clock=clock)
    windows: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for user, pause_s in hits:
        clock.now_s += pause_s
        end_s, count = windows[user]
        windows[user] = (end_s, count + 1) if end_s > clock.now_s else (clock.now_s + WINDOW_S, 1)
        assert memory.incr(user, WINDOW_S) == windows[user][1]
        for other, (other_end_s, other_count) in windows.items():
            assert memory.get(other) == (other_count if other_end_s > clock.now_s else 0)
        assert memory.get_expiry(user) == windows[user][0]


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), max_size=200))
def test_counters_are_bounded_and_forget_the_oldest_first(bound: int, hits: list[tuple[int, int]]) -> None:
    clock = Clock()
    memory = BoundedMemory(bound, clock)
    for user, pause_s in hits:
        clock.now_s += pause_s
        assert memory.incr(str(user), WINDOW_S) >= 1
        assert len(memory) <= bound
        assert memory.get(str(user)) >= 1


def test_counters_whose_window_has_ended_are_not_kept() -> None:
    clock = Clock()
    memory = BoundedMemory(clock=clock)
    for user in range(1000):
        memory.incr(str(user), WINDOW_S)
    clock.now_s += WINDOW_S
    memory.incr("last", WINDOW_S)
    assert len(memory) == 1


def test_a_quota_allows_so_much_and_says_so() -> None:
    quota = Quota("requests", 3, 60)
    for remaining in (2, 1, 0):
        taken = quota.take("a")
        assert taken.is_allowed
        (_, policy), (_, rate) = taken.fields
        assert POLICY.fullmatch(policy).groups() == (b"requests", b"3", b"60")  # type: ignore[union-attr]
        name, left, until_s = RATE.fullmatch(rate).groups()  # type: ignore[union-attr]
        assert (name, int(left)) == (b"requests", remaining)
        assert 1 <= int(until_s) <= 60
    refused = quota.take("a")
    assert not refused.is_allowed
    assert 1 <= refused.retry_after_s <= 60
    assert quota.take("b").is_allowed


def test_limits_are_replaced_while_they_hold() -> None:
    limits = Limits(Settings(requests_per_s_max=0, sockets_per_key_max=1))
    assert limits.take_request("a") is None
    held = limits.sockets.acquire(identity())
    limits.reconfigure(Settings(requests_per_s_max=7, sockets_per_key_max=2))
    taken = limits.take_request("a")
    assert taken is not None
    assert taken.fields[0][1] == b'"requests";q=7;w=1'
    assert isinstance(held, SocketPlace)
    assert isinstance(limits.sockets.acquire(identity()), SocketPlace)
    assert isinstance(limits.sockets.acquire(identity()), Problem)


def test_reconfiguring_to_the_same_limit_forgives_nothing() -> None:
    limits = Limits(Settings(requests_per_s_max=10))
    limits.take_request("a")
    limits.reconfigure(Settings(requests_per_s_max=10))
    taken = limits.take_request("a")
    assert taken is not None
    assert taken.fields[1][1].startswith(b'"requests";r=8;')


def test_sockets_per_key_and_in_all() -> None:
    sockets = Limits(Settings(sockets_per_key_max=2, sockets_max=3)).sockets
    first = sockets.acquire(identity("a"))
    assert isinstance(first, SocketPlace)
    with first:
        assert isinstance(sockets.acquire(identity("a")), SocketPlace)
        refused = sockets.acquire(identity("a"))
        assert isinstance(refused, Problem)
        assert (refused.status, refused.code) == (429, "too_many_sockets")
        assert refused.headers
        assert refused.headers["Retry-After"]
        assert isinstance(sockets.acquire(identity("b")), SocketPlace)
        refused = sockets.acquire(identity("c"))
        assert isinstance(refused, Problem)
        assert (refused.status, refused.code) == (503, "too_many_sockets")
    with first:
        pass
    assert len(sockets) == 2, "left once"
    assert isinstance(sockets.acquire(identity("a")), SocketPlace)


def test_subscriptions_are_counted_over_all_sockets_of_a_key() -> None:
    sockets = Limits(Settings(subscriptions_per_key_max=5)).sockets
    one, other = sockets.subscriptions(identity("a")), sockets.subscriptions(identity("a"))
    assert one.add(3) is None
    refused = other.add(3)
    assert isinstance(refused, Problem)
    assert (refused.status, refused.code) == (429, "too_many_subscriptions")
    assert other.add(2) is None, "nothing was counted of what was refused"
    assert sockets.subscriptions(identity("b")).add(5) is None
    one.remove(3)
    assert other.add(3) is None


def test_subscriptions_of_whole_books_are_counted_beside_the_others() -> None:
    sockets = Limits(Settings(subscriptions_per_key_max=5, whole_books_per_key_max=2)).sockets
    mine = sockets.subscriptions(identity("a"))
    assert mine.add(2, whole_books=2) is None
    refused = mine.add(1, whole_books=1)
    assert isinstance(refused, Problem)
    assert "whole books" in refused.detail
    assert mine.add(3) is None, "others are not of whole books, and nothing was counted of what was refused"
    mine.remove(5, whole_books=2)
    assert not sockets._whole_books, "nobody is kept who has none"


def test_nobody_is_kept_who_has_nothing() -> None:
    sockets = Limits(Settings()).sockets
    for name in map(str, range(1000)):
        place = sockets.acquire(identity(name))
        assert isinstance(place, SocketPlace)
        with place:
            assert sockets.subscriptions(identity(name)).add(1) is None
            sockets.subscriptions(identity(name)).remove(1)
    assert not sockets._open
    assert not sockets._subscribed


def made(tickets: Tickets, holder: Identity) -> str:
    ticket = tickets.make(holder)
    assert isinstance(ticket, str)
    return ticket


def test_a_ticket_is_used_once() -> None:
    tickets, holder = Tickets(30), identity()
    ticket, other = made(tickets, holder), made(tickets, holder)
    assert ticket != other
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", ticket), "a subprotocol is a token"
    assert tickets.redeem(ticket) is holder
    assert tickets.redeem(ticket) is None
    assert tickets.redeem(other) is holder
    for wrong in ("", "x" * 43, ticket[:-1], "\udcff"):
        assert tickets.redeem(wrong) is None
    assert len(tickets) == 0


def test_a_ticket_ends_with_its_time_and_with_its_key() -> None:
    clock = Clock()
    tickets = Tickets(30, clock)
    late, gone = made(tickets, identity()), made(tickets, identity(is_current=False))
    assert tickets.redeem(gone) is None
    clock.now_s += 29.9
    in_time = made(tickets, identity())
    clock.now_s += 0.1
    assert tickets.redeem(late) is None
    assert tickets.redeem(in_time) is not None


def test_tickets_are_bounded_per_key_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets_module, "TICKETS_PER_IDENTITY_MAX", 2)
    monkeypatch.setattr(tickets_module, "TICKETS_MAX", 3)
    clock = Clock()
    tickets = Tickets(30, clock)
    first, _ = made(tickets, identity("a")), made(tickets, identity("a"))
    refused = tickets.make(identity("a"))
    assert isinstance(refused, Problem)
    assert (refused.status, refused.code) == (429, "too_many_tickets")
    made(tickets, identity("b"))
    assert isinstance(tickets.make(identity("b")), Problem)
    assert tickets.redeem(first) is not None
    made(tickets, identity("a"))
    clock.now_s += 30
    made(tickets, identity("a"))
    assert len(tickets) == 1
    assert dict(tickets._per_identity) == {"key:a": 1}


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "allowed"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "http", True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "ws", True),
        ("http://LOCALHOST:8000", "localhost:8000", "http", True),
        ("http://[::1]:8000", "[::1]:8000", "http", True),
        ("http://desk.example", "desk.example:80", "http", True),
        ("https://desk.example", "desk.example", "https", True),
        ("https://desk.example", "desk.example", "http", True),
        ("http://desk.example", "desk.example:443", "wss", False),
        ("http://desk.example", "desk.example", "https", False),
        ("http://127.0.0.1:8001", "127.0.0.1:8000", "http", False),
        ("http://localhost:8000", "127.0.0.1:8000", "http", False),
        ("https://desk.example.evil", "desk.example", "https", False),
        ("https://desk.example@evil.example", "desk.example", "https", False),
        ("null", "127.0.0.1:8000", "http", False),
        ("", "", "http", False),
        ("file://", "", "http", False),
        ("http://", "", "http", False),
        ("http://a:x", "a", "http", False),
        ("http://a:99999", "a", "http", False),
        ("http://[a", "a", "http", False),
        ("https://partner.example", "127.0.0.1:8000", "http", True),
        ("https://partner.example:444", "127.0.0.1:8000", "http", False),
    ],
)
def test_which_pages_may(origin: str, host: str, scheme: str, allowed: bool) -> None:
    assert is_allowed(origin, host, scheme, ["https://partner.example"]) == allowed


def test_every_page_may_where_that_was_said() -> None:
    assert is_allowed("https://evil.example", "127.0.0.1:8000", "http", ["*"])


@given(st.text(), st.text(), st.sampled_from(["http", "https", "ws", "wss"]))
def test_no_origin_and_no_host_is_an_error(origin: str, host: str, scheme: str) -> None:
    assert is_allowed(origin, host, scheme, []) in {True, False}


def test_operations_of_a_socket_against_a_list_of_times() -> None:
    clock = Clock()
    limits = Limits(Settings(socket_ops_per_s_max=2, requests_per_s_max=0))
    one, other = Ops(limits, identity(), clock), Ops(limits, identity(), clock)
    assert [one.take(), one.take(), other.take()] == [None, None, None]
    assert "at most 2 operations a second" in (one.take() or "")
    clock.now_s += 0.9
    assert one.take()
    clock.now_s += 0.2
    assert [one.take(), one.take(), bool(one.take())] == [None, None, True]
    limits.reconfigure(Settings(socket_ops_per_s_max=3, requests_per_s_max=0))
    assert one.take() is not None, "the fifth of this window"
    limits.reconfigure(Settings(socket_ops_per_s_max=0, requests_per_s_max=0))
    assert one.take() is None


def test_operations_of_all_sockets_of_a_key_are_its_requests() -> None:
    limits = Limits(Settings(requests_per_s_max=2))
    assert [limits.ops(identity()).take(), limits.ops(identity()).take()] == [None, None]
    assert "over all its sockets" in (limits.ops(identity()).take() or "")
    assert limits.ops(identity("b")).take() is None
