"""`/corten/trash`: what was removed and can be had back."""

from corten.api.request import Request
from corten.api.types.cleanup.answers import EmptyTrash, TrashEmptied, TrashItem, TrashRestored
from corten.api.wire import json_response
from corten.engine.cleanup.trash import TrashEntry
from corten.engine.timestamps import format_moment
from corten.http.response import Reply
from corten.oci.reference import parse_reference


async def trash_list(request: Request) -> Reply:
    return json_response([_item(trashed) for trashed in await request.app.cleanup.trash.list()])


async def trash_restore(request: Request) -> Reply:
    """`name`: what it is to be called from now on."""
    restored = await request.app.cleanup.trash.restore(request.params["id"], request.text("name"))
    return json_response(TrashRestored(kind=restored.kind, names=list(restored.names)))


async def trash_empty(request: Request) -> Reply:
    body = await request.json(EmptyTrash, default=EmptyTrash())
    emptied = await request.app.cleanup.trash.empty(body.ids)
    return json_response(TrashEmptied(deleted=list(emptied.ids), space_reclaimed=emptied.reclaimed))


def _item(trashed: TrashEntry) -> TrashItem:
    entry = trashed.entry
    records = entry.body.get("images", ())
    names = {parse_reference(name).familiar for record in records for name in (*record["names"], *record.get("lost", ()))}
    return TrashItem(
        id=entry.id,
        kind=entry.kind,
        name=entry.name,
        names=sorted(names),
        size=max(entry.size, 0),
        removed=format_moment(entry.removed),
        expires=format_moment(trashed.expires),
    )
