"""`image bootstrap`: a base image made from Debian's packages, where no registry can be reached."""

import os
import re
import tarfile
import tempfile

from corten.cli.bootstrap.archive import About, image_archive
from corten.cli.bootstrap.rootfs import Wanted, make_root, newest_package, write_layer
from corten.cli.bootstrap.sources import ask, find_sources
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING, STRINGS
from corten.cli.output.progress import show_progress
from corten.cli.session import Action, Session

NAME = re.compile(r"debian:(?P<suite>[a-z][a-z0-9.]*)(?P<slim>-slim)?")
TAR_TYPE = {"Content-Type": "application/x-tar"}


def bootstrap(session: Session, values: Values, arguments: list[str]) -> int:
    found = NAME.fullmatch(arguments[0])
    if found is None:
        raise Failure(
            f'"{arguments[0]}" cannot be made from packages\nhint: name debian:SUITE or debian:SUITE-slim, e.g. debian:bookworm-slim'
        )
    suite = "stable" if found["suite"] == "latest" else found["suite"]
    packages = tuple(dict.fromkeys(name for name in values.texts("include") if name))
    wanted = Wanted(suite, found["slim"] is not None, packages, find_sources(suite, values.text("mirror")))
    with tempfile.TemporaryDirectory(prefix="corten-bootstrap-") as folder:
        root = os.path.join(folder, "root.tar")
        make_root(wanted, root, quiet=values.on("quiet"))
        with tarfile.open(root) as tar:
            epoch = newest_package(tar)
        with open(os.path.join(folder, "layer.tar"), "w+b") as layer:
            with tarfile.open(root) as tar:
                write_layer(tar, layer, epoch)
            os.unlink(root)
            size = layer.tell()
            with_packages = f" --include {','.join(packages)}" if packages else ""
            made_by = f"corten image bootstrap{with_packages} {arguments[0]}"
            about = About(values.text("tag") or arguments[0], ask(["dpkg", "--print-architecture"]).strip(), epoch, made_by)
            answer = session.api.call("POST", "/images/load", {"quiet": "1"}, stream=image_archive(layer, size, about), headers=TAR_TYPE)
            show_progress(answer.json_lines(), session.out)
    return 0


BOOTSTRAP = Action(
    bootstrap,
    (
        Flag("include", STRINGS, "Packages beside the essential ones"),
        Flag("mirror", STRING, "Archive to use instead of those that apt is configured with"),
        Flag("quiet", BOOL, "Do not show what mmdebstrap does", short="q"),
        Flag("tag", STRING, "Name of the image, if it is not to be that of the argument", short="t"),
    ),
)
