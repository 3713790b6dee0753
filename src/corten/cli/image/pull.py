"""`pull`: an image from a registry."""

import io
from typing import TextIO

from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.output.progress import show_progress
from corten.cli.references import named
from corten.cli.session import Action, Session
from corten.client.credentials import registry_header


def pull(session: Session, values: Values, arguments: list[str]) -> int:
    repository, tag, _ = named(arguments[0])
    every = values.on("all-tags")
    if tag and every:
        raise Failure("tag can't be used with --all-tags/-a")
    if not tag and not every and not values.on("quiet"):
        session.say_now("Using default tag: latest")
    platform = values.text("platform")
    pull_image(session, arguments[0], platform=platform, quiet=values.on("quiet"), out=session.out, every=every)
    suffix = "" if every else ("@" if tag.startswith("sha256:") else ":") + (tag or "latest")
    session.say(repository + suffix)
    return 0


def pull_image(session: Session, name: str, *, platform: str, quiet: bool, out: TextIO, every: bool = False) -> None:
    """Pulls `name` (its `latest` when it has neither tag nor digest) and shows the progress on `out`."""
    repository, tag, _ = named(name)
    query = {"fromImage": repository}
    if not every:
        query["tag"] = tag or "latest"
    if platform:
        query["platform"] = platform
    headers = {"X-Registry-Auth": registry_header(session.config, repository.partition("/")[0])}
    answer = session.api.call("POST", "/images/create", query, headers=headers)
    show_progress(answer.json_lines(), io.StringIO() if quiet else out)


PULL = Action(
    pull,
    (
        Flag("all-tags", BOOL, "All tags of the repository", short="a"),
        Flag("platform", STRING, "Platform of the image (os[/arch[/variant]])"),
        Flag("quiet", BOOL, "Do not show progress", short="q"),
        Flag("disable-content-trust", BOOL, "Accepted for Docker's sake", default=True).hide(),
    ),
)
