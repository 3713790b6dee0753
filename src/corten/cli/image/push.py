"""`push`: an image to a registry."""

import io

from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.output.progress import show_progress
from corten.cli.references import named, platform_json
from corten.cli.session import Action, Session
from corten.client.credentials import registry_header
from corten.client.urls import quoted


def push(session: Session, values: Values, arguments: list[str]) -> int:
    repository, tag, _ = named(arguments[0])
    every, quiet = values.on("all-tags"), values.on("quiet")
    if "@" in arguments[0]:
        raise Failure("cannot push a digest reference")
    if every and tag:
        raise Failure("tag can't be used with --all-tags/-a")
    if not every and not tag:
        tag = "latest"
        if not quiet:
            session.say_now("Using default tag: latest")
    query = {} if every else {"tag": tag}
    if values.text("platform"):
        query["platform"] = platform_json(values.text("platform"))
    headers = {"X-Registry-Auth": registry_header(session.config, repository.partition("/")[0])}
    answer = session.api.call("POST", f"/images/{quoted(repository)}/push", query, headers=headers)
    show_progress(answer.json_lines(), io.StringIO() if quiet else session.out)
    if quiet:
        session.say(repository if every else f"{repository}:{tag}")
    return 0


PUSH = Action(
    push,
    (
        Flag("all-tags", BOOL, "All tags of the image", short="a"),
        Flag("platform", STRING, "Only this platform of the image (os[/arch[/variant]])"),
        Flag("quiet", BOOL, "Do not show progress", short="q"),
        Flag("disable-content-trust", BOOL, "Accepted for Docker's sake", default=True).hide(),
    ),
)
