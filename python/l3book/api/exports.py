"""The REST resources of exports."""

from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from l3book.access.middleware import owner_of
from l3book.api.departures import while_there
from l3book.api.history_params import body_of, check_order
from l3book.api.history_schemas import Exported, ExportedFiles, MakeExport
from l3book.api.negotiation import HAS_ARROW, MEDIA_TYPES
from l3book.api.params import check_known, parsed_time
from l3book.api.past import key_of, told_hole
from l3book.api.past_problems import asked, known
from l3book.api.problems import Problem
from l3book.history.exports import ExportTooLargeError, media_type_of
from l3book.history.exports import Request as ExportRequest
from l3book.history.stretch import SeveralSessionsError
from l3book.hub import Hub
from l3book.logs import Logger

if TYPE_CHECKING:
    from l3book.history.exports import Export, Exports

log = Logger(__name__)

PATH = "/v1/exports"
RETRY_AFTER_S = 60
_NO_STORE = {"Cache-Control": "no-store"}

_encode = msgspec.json.Encoder().encode


class ExportResources:
    """Who has scope control makes and removes his own; who may read, and is told the id, may have the file."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def make_export(self, request: Request) -> Response:
        """Write a file."""
        check_known(request)
        exports = known(self._hub).exports
        body = await body_of(request, MakeExport)
        start, end = parsed_time("start", body.start), parsed_time("end", body.end)
        check_order(start, end)
        if body.to == "parquet" and not HAS_ARROW:
            text = (
                "to is 'parquet', and this server has no pyarrow: expected dbn or csv, or l3book[arrow] installed there"
            )
            raise Problem(422, "bad_parameter", text)
        key = None if body.instrument is None else await key_of(self._hub, body.instrument)
        wanted = ExportRequest(
            None if key is None else f"{key[0]}:{key[1]}",
            start,
            end,
            body.schema,
            body.to,
            with_snapshot=body.snapshot,
        )
        making = self._made(exports, owner_of(request), wanted)
        # With an Idempotency-Key, whoever comes again is to find what the first request has led to.
        is_awaited = "idempotency-key" in request.headers
        answer = _told(await making if is_awaited else await while_there(request, making))
        headers = {**_NO_STORE, "Location": answer.url}
        return Response(_encode(answer), 201, headers, media_type=MEDIA_TYPES["json"])

    async def exports(self, request: Request) -> Response:
        """List them."""
        check_known(request)
        found = await known(self._hub).exports.of(owner_of(request))
        answer = ExportedFiles(exports=[_told(export) for export in found])
        return Response(_encode(answer), headers=_NO_STORE, media_type=MEDIA_TYPES["json"])

    async def remove_export(self, request: Request) -> Response:
        """Remove a file."""
        check_known(request)
        export_id: str = request.path_params["export"]
        if not await known(self._hub).exports.remove(owner_of(request), export_id):
            raise _unknown(export_id, "there is no export {!r} of yours: see GET /v1/exports")
        return Response(status_code=204, headers=_NO_STORE)

    async def export(self, request: Request) -> Response:
        """Send a file."""
        check_known(request)
        export_id: str = request.path_params["export"]
        path = known(self._hub).exports.find(export_id)
        if path is None:
            raise _unknown(export_id, "there is no export {!r}, or no more: expected a new one")
        return FileResponse(path, headers=dict(_NO_STORE), media_type=media_type_of(path), filename=path.name)

    @staticmethod
    async def _made(exports: "Exports", owner: str, wanted: ExportRequest) -> "Export":
        try:
            return await asked(exports.make(owner, wanted), wanted.instrument)
        except ExportTooLargeError as error:
            raise Problem(422, "export_too_large", f"{error}: expected a shorter range") from None
        except SeveralSessionsError as error:
            raise Problem(422, "bad_parameter", str(error)) from None
        except OSError as error:
            log.warning("an export could not be written: {error}", error=error, instrument=wanted.instrument)
            reason = error.strerror or str(error)
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem(503, "export_failed", f"the file could not be written: {reason}", headers=headers) from None


def _unknown(export_id: str, text: str) -> Problem:
    return Problem(404, "unknown_export", text.format(export_id))


def _told(export: "Export") -> Exported:
    request = export.about.request
    return Exported(
        id=export.export_id,
        bytes=export.bytes,
        rows=export.about.rows,
        url=f"{PATH}/{export.export_id}",
        start=str(request.start),
        end=str(request.end),
        schema=request.schema,
        to=request.to,
        instrument=request.instrument,
        snapshot=request.with_snapshot,
        holes=[told_hole(hole) for hole in export.about.holes],
    )
