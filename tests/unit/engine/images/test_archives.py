import asyncio
import functools
import http.server
import io
import json
import tarfile
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from corten.engine.images.archives import ImportOptions
from corten.engine.images.removal import RemoveOptions
from corten.engine.progress import Message, Note, Progress, Status
from corten.errors import Invalid, NotFound, Unavailable
from corten.oci.platform import parse_platform
from corten.oci.reference import parse_reference
from tests.unit.engine.images.ground import Ground
from tests.unit.store.tarballs import Member, tarball


async def body(data: bytes, size: int = 5000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def saved(ground: Ground, *names: str) -> bytes:
    return b"".join([chunk async for chunk in await ground.images.archives.save(names)])


async def loaded(ground: Ground, data: bytes, *, quiet: bool = False) -> list[Message]:
    return [m async for m in ground.images.archives.load(body(data), quiet=quiet, platform=None)]


ROOT = tarball([Member("etc/", "dir"), Member("etc/motd", data=b"hello" * 1000)])


async def test_an_import_is_an_image_of_one_layer(ground: Ground) -> None:
    wanted = ImportOptions(reference=parse_reference("mine:v1"), message="why", changes=["CMD sh"], platform=parse_platform("linux/arm64"))
    image_id = await ground.images.archives.import_(body(ROOT), wanted)
    image = ground.store.images.get("mine:v1")
    assert image.id == image_id
    assert image.config.run.cmd == ["/bin/sh", "-c", "sh"]
    assert (image.config.architecture, image.config.comment, image.size) == ("arm64", "why", 5000)
    assert [h.comment for h in image.config.history or ()] == ["why"]
    assert ground.happened() == [("tag", "mine:v1"), ("import", image_id)]
    again = await ground.images.archives.import_(body(ROOT), replace(wanted, reference=None))
    assert ground.store.images.get(again).layers == image.layers


async def test_a_bad_import_leaves_nothing(ground: Ground) -> None:
    for data, changes in ((b"hello", ()), (ROOT[:3000], ()), (ROOT, ("RUN x",))):
        with pytest.raises(Invalid):
            await ground.images.archives.import_(body(data), ImportOptions(reference=None, changes=changes))
    with pytest.raises(Invalid, match="operating system is not supported"):
        await ground.images.archives.import_(body(ROOT), ImportOptions(reference=None, platform=parse_platform("windows/amd64")))
    ground.store.layers.collect()
    assert ground.store.images.all() == []
    assert ground.store.layers.all() == []


async def test_saved_images_load_again(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> None:
    layers = (ground.layer("a", 3000), ground.layer("b", 10))
    one = ground.image("one:v1", "one:v2", "other", layers=layers)
    two = ground.image(layers=layers[:1])
    data = await saved(ground, "one", two)
    assert data == await saved(ground, "one", two)
    assert ("save", one) in ground.happened()
    second = Ground.open(tmp_path_factory.mktemp("second"))
    try:
        messages = await loaded(second, data)
        notes = [m.text for m in messages if isinstance(m, Note)]
        assert notes == ["Loaded image: one:v1\n", "Loaded image: one:v2\n", f"Loaded image ID: {two}\n"]
        last = {m.id: (m.status, m.current, m.total) for m in messages if isinstance(m, Progress)}
        assert len(last) == 2
        assert all(status == "Loading layer" and current == total for status, current, total in last.values())
        assert second.store.images.get("one:v2").raw == ground.store.images.get(one).raw
        assert second.store.images.get(one).layers == layers
        assert second.happened() == [("load", one), ("load", two)]
        assert [m for m in await loaded(second, data) if isinstance(m, Progress)] == []
        assert len(await loaded(second, data, quiet=True)) == 3
        assert await saved(second, "one", two) == data
    finally:
        second.store.close()


async def test_a_loaded_tag_moves(ground: Ground) -> None:
    ground.image("app", created=1)
    data = await saved(ground, "app")
    await ground.images.removal.remove("app")
    before = ground.image("app", created=2)
    notes = [m.text for m in await loaded(ground, data) if isinstance(m, Note)]
    assert notes == [
        f"The image app:latest already exists, renaming the old one with ID {before} to empty string\n",
        "Loaded image: app:latest\n",
    ]


@pytest.mark.parametrize(
    ("names", "tags"),
    [(["app:v1"], [["app:v1"]]), (["app"], [["app:v1", "app:v2"]]), (["app:v1", "app:v2"], [["app:v1", "app:v2"]]), (["ID"], [None])],
)
async def test_what_a_name_offers(ground: Ground, names: list[str], tags: list[list[str] | None]) -> None:
    image_id = ground.image("app:v1", "app:v2", "else")
    data = await saved(ground, *[image_id if name == "ID" else name for name in names])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        assert [entry["RepoTags"] for entry in json.load(member)] == tags


async def test_missing_images_cannot_be_saved(ground: Ground) -> None:
    for name in ("nope", "nope:v1", "sha256:" + "e" * 64):
        with pytest.raises(NotFound, match=f"No such image: {name}"):
            await saved(ground, name)


async def test_what_is_no_archive_is_refused(ground: Ground) -> None:
    for data in (b"", b"hello", ROOT, ROOT[:2000]):
        with pytest.raises(Invalid):
            await loaded(ground, data)
    assert ground.store.layers.all() == []


async def test_a_client_that_leaves_a_load_or_a_save_leaves_nothing_behind(ground: Ground) -> None:
    image = ground.image("app", layers=(ground.layer("a", 500_000),))
    data = await saved(ground, "app")
    await ground.images.removal.remove(image, RemoveOptions(force=True))
    ground.release_layers()
    ground.store.layers.collect()

    async def stalled() -> AsyncIterator[bytes]:
        yield data[: len(data) // 2]
        await asyncio.sleep(60)

    messages = ground.images.archives.load(stalled(), quiet=False, platform=None)
    first = asyncio.ensure_future(anext(messages))
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.wait([first])
    await messages.aclose()
    ground.store.background.wait()
    assert ground.store.layers.all() == []
    await loaded(ground, data)
    stream = await ground.images.archives.save(["app"])
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert ground.store.layers.leases.held() == set()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """A web server for one file, `root.tar`; its address."""
    (tmp_path / "root.tar").write_bytes(ROOT)
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests have no use for it."""


async def test_an_import_from_a_web_server(ground: Ground, served: str) -> None:
    url = f"http://{served}/root.tar"
    wanted = ImportOptions(reference=parse_reference("web"), message=f"Imported from {url}")
    messages = [m async for m in ground.images.archives.import_url(f"{served}/root.tar", wanted)]
    assert messages[0] == Status(f"Downloading from {url}")
    assert Progress("", "Importing", len(ROOT), 0) in messages
    assert messages[-1] == Status(ground.store.images.get("web").id)
    with pytest.raises(Unavailable, match='nope": 404'):
        [m async for m in ground.images.archives.import_url(f"{served}/nope", wanted)]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "http://", "http:///x"])
async def test_only_the_web_is_imported_from(ground: Ground, url: str) -> None:
    with pytest.raises(Invalid, match="not an http or https URL"):
        ground.images.archives.import_url(url, ImportOptions(reference=None))


async def test_a_server_that_is_not_there_is_told(ground: Ground) -> None:
    with pytest.raises(Unavailable, match="refused"):
        [m async for m in ground.images.archives.import_url("http://127.0.0.1:1/x", ImportOptions(reference=None))]
