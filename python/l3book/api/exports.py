"""The REST resources of exports."""

import logging
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from l3book.api.history_params import body_of
from l3book.api.history_schemas import Exported, MakeExport
from l3book.api.negotiation import MEDIA_TYPES
from l3book.api.params import check_known, parsed_time
from l3book.api.past import key_of
from l3book.api.past_problems import asked, known
from l3book.api.problems import Problem
from l3book.history.exports import ExportTooLargeError, media_type_of
from l3book.history.exports import Request as ExportRequest
from l3book.history.stretch import SeveralSessionsError
from l3book.hub import Hub

if TYPE_CHECKING:
    from l3book.history.exports import Export, Exports

log = logging.getLogger(__name__)

PATH = "/v1/exports"
RETRY_AFTER_S = 60
_NO_STORE = {"Cache-Control": "no-store"}

_encode = msgspec.json.Encoder().encode


class ExportResources:
    """Who has scope control makes them; who may read, and is told the id, may have the file."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def make_export(self, request: Request) -> Response:
        """Write a file."""
        check_known(request)
        exports = known(self._hub.history).exports
        body = await body_of(request, MakeExport)
        key = None if body.instrument is None else await key_of(self._hub, body.instrument)
        wanted = ExportRequest(
            None if key is None else f"{key[0]}:{key[1]}",
            parsed_time("start", body.start),
            parsed_time("end", body.end),
            body.schema,
            body.to,
            with_snapshot=body.snapshot,
        )
        export = await self._made(exports, wanted)
        url = f"{PATH}/{export.export_id}"
        answer = Exported(id=export.export_id, bytes=export.path.stat().st_size, rows=export.rows, url=url)
        return Response(_encode(answer), 201, {**_NO_STORE, "Location": url}, media_type=MEDIA_TYPES["json"])

    async def export(self, request: Request) -> Response:
        """Send a file."""
        check_known(request)
        export_id: str = request.path_params["export"]
        path = known(self._hub.history).exports.find(export_id)
        if path is None:
            raise Problem(404, "unknown_export", f"there is no export {export_id!r}, or no more: expected a new one")
        return FileResponse(path, headers=dict(_NO_STORE), media_type=media_type_of(path), filename=path.name)

    @staticmethod
    async def _made(exports: "Exports", wanted: ExportRequest) -> "Export":
        try:
            return await asked(exports.make(wanted), wanted.instrument)
        except ExportTooLargeError as error:
            raise Problem(422, "export_too_large", f"{error}: expected a shorter range") from None
        except SeveralSessionsError as error:
            raise Problem(422, "bad_parameter", str(error)) from None
        except OSError as error:
            log.warning("an export could not be written: %s", error)
            reason = error.strerror or str(error)
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem(503, "export_failed", f"the file could not be written: {reason}", headers=headers) from None
