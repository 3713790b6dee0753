"""`POST /corten/gc`: garbage collection now, or what it would take and why."""

from corten.api.request import Request
from corten.api.types.cleanup.answers import GcAnswer, GcMarksAnswer, GcRequest, GcVerdict
from corten.api.wire import json_response
from corten.engine.cleanup.gc.collection import GcOverrides, GcReport
from corten.engine.cleanup.gc.plan import Verdict
from corten.engine.timestamps import format_moment
from corten.errors import Invalid
from corten.gcpolicy import GcPolicy, format_age, parse_age, parse_disk_space
from corten.http.response import Reply


async def gc_run(request: Request) -> Reply:
    body = await request.json(GcRequest, default=GcRequest())
    gc = request.app.cleanup.gc
    asked = _asked(body)
    dry = bool(body.dry_run)
    look = await gc.plan(asked) if dry else await gc.run(asked, reason="asked for by the user")
    return json_response(_answer(look, dry=dry))


def _asked(body: GcRequest) -> GcOverrides:
    try:
        low = parse_disk_space(body.low) if body.low else None
        keep = parse_age(body.keep) if body.keep else None
    except ValueError as error:
        raise Invalid(str(error), reason="bad-mark") from None
    return GcOverrides(low=low, keep=keep)


def _answer(look: GcReport, *, dry: bool) -> GcAnswer:
    return GcAnswer(
        dry_run=dry,
        used=look.used,
        total=look.total,
        wanted=look.plan.wanted,
        marks=_marks(look.policy),
        going=[_verdict(verdict) for verdict in look.plan.going],
        staying=[_verdict(verdict) for verdict in look.plan.staying],
        reclaimed=look.plan.freed if dry else look.reclaimed,
    )


def _marks(policy: GcPolicy) -> GcMarksAnswer:
    keep = "" if policy.keep is None else format_age(policy.keep)
    return GcMarksAnswer(high=str(policy.high), low=str(policy.low), trash=format_age(policy.trash), keep=keep, pin=list(policy.pin))


def _verdict(verdict: Verdict) -> GcVerdict:
    candidate = verdict.candidate
    return GcVerdict(
        kind=candidate.kind.removeprefix("own-").replace("dangling", "image"),
        id=candidate.id.rpartition(":")[2],
        name=candidate.name,
        size=verdict.size,
        last_used=format_moment(candidate.used) if candidate.used else "",
        why=verdict.why,
    )
