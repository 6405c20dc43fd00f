"""The REST resources of replays."""

from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from l3book.access.middleware import owner_of
from l3book.api.departures import departure
from l3book.api.history_params import body_of
from l3book.api.history_schemas import ChangedReplay, ChangeReplay, MakeReplay, Replay, Replays, StepTaken
from l3book.api.negotiation import MEDIA_TYPES
from l3book.api.params import check_known, parsed_time
from l3book.api.past_problems import asked, known
from l3book.api.problems import Problem
from l3book.hub import Hub

if TYPE_CHECKING:
    from l3book.history.playback import Playback, Stepped

PATH = "/v1/replays"
_NO_STORE = {"Cache-Control": "no-store"}

_encode = msgspec.json.Encoder().encode


class ReplayResources:
    """Everybody sees and changes only those of the same key, or address without a key."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def make_replay(self, request: Request) -> Response:
        """Begin one."""
        check_known(request)
        history = known(self._hub)
        body = await body_of(request, MakeReplay)
        begun = history.replays.begin(
            owner_of(request),
            parsed_time("from", body.start),
            self._hub.streams.counters,
            speed=body.speed,
            is_paused=body.paused,
            is_private=False,
        )
        playback = await asked(begun)
        headers = {**_NO_STORE, "Location": f"{PATH}/{playback.playback_id}"}
        return Response(_encode(_told(playback)), 201, headers, media_type=MEDIA_TYPES["json"])

    async def replays(self, request: Request) -> Response:
        """List them."""
        check_known(request)
        playbacks = known(self._hub).replays.of(owner_of(request))
        return _answer(Replays(replays=[_told(playback) for playback in playbacks]))

    async def replay(self, request: Request) -> Response:
        """Tell where one is."""
        check_known(request)
        return _answer(_told(self._found(request)))

    async def change_replay(self, request: Request) -> Response:
        """Do what the body says."""
        check_known(request)
        playback = self._found(request)
        change = await body_of(request, ChangeReplay)
        at = None if change.at is None else parsed_time("at", change.at)
        if change.speed is not None:
            playback.set_speed(change.speed)
        if at is not None:
            await asked(playback.seek(at))
        stepped: StepTaken | None = None

        def step_taken(taken: "Stepped") -> None:
            nonlocal stepped
            stepped = StepTaken(events=taken.events, stopped_at=taken.stopped_at)

        if (step := change.step) is not None:
            async with departure(request) as gone:
                stepping = playback.step(step.instrument, step.events, step_taken, lambda: not gone.done())
                await asked(stepping, step.instrument)
        if change.paused:
            await playback.pause()
        elif change.paused is not None:
            playback.play()
        return _answer(ChangedReplay(**msgspec.structs.asdict(_told(playback)), stepped=stepped))

    async def end_replay(self, request: Request) -> Response:
        """End one."""
        check_known(request)
        playback = self._found(request)
        await known(self._hub).replays.end(playback)
        return Response(status_code=204, headers=_NO_STORE)

    def _found(self, request: Request) -> "Playback":
        playback_id: str = request.path_params["replay"]
        playback = known(self._hub).replays.find(owner_of(request), playback_id)
        if playback is None:
            raise Problem(404, "unknown_replay", f"no replay {playback_id!r} of yours runs: see {PATH}")
        return playback


def _answer(answer: msgspec.Struct) -> Response:
    return Response(_encode(answer), headers=_NO_STORE, media_type=MEDIA_TYPES["json"])


def _told(playback: "Playback") -> Replay:
    position = playback.position
    return Replay(
        id=playback.playback_id,
        state=playback.state,
        speed=playback.speed,
        ts=str(playback.ts),
        ts_event=str(position.ts_event),
        ordinal=position.ordinal,
        sockets=len(playback.followers),
        private=playback.is_private,
        error=playback.error,
    )
