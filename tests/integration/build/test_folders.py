"""Contexts that are read where they lie: by whom, what changes meanwhile, and what a client may say of them."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Called, Daemon

pytestmark = pytest.mark.privileged
PROGRAM = str(Path(sys.executable).parent / "corten")
BIG = 3_000_000
RELAY = """
import asyncio, sys
async def pump(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
async def serve(reader, writer):
    there = await asyncio.open_unix_connection(sys.argv[2])
    await asyncio.gather(pump(reader, there[1]), pump(there[0], writer), return_exceptions=True)
async def main():
    server = await asyncio.start_unix_server(serve, sys.argv[1])
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
COPY_ALL = "FROM scratch\nCOPY . /\n"


@pytest.fixture(scope="module", autouse=True)
def base(engine: Daemon) -> None:
    import_base(engine)


class Built:
    """A build by a program of its own, as users have it, and the files of the image."""

    def __init__(self, engine: Daemon, words: Sequence[str], said: Said) -> None:
        self.engine, self.words, self.said = engine, words, said

    @property
    def moved(self) -> int:
        """Bytes that went to the engine."""
        found = re.search(r"transferring context: ([0-9.]+)(k|M)?B", self.said.err)
        assert found, self.said.err
        return int(float(found[1]) * {None: 1, "k": 1000, "M": 1_000_000}[found[2]])

    @property
    def image(self) -> str:
        found = re.search(r"writing image (sha256:[0-9a-f]{64})", self.said.err)
        assert found, self.said.err
        return found[1]

    @property
    def steps(self) -> int:
        """How many were not cached."""
        done = re.findall(r"(?m)^#(\d+) \[(?:\w+ )?\d+/\d+\] (?!FROM)", self.said.err)
        return len(set(done)) - len([number for number in set(done) if f"#{number} CACHED" in self.said.err])

    def files(self) -> dict[str, bytes]:
        """Contents by path, of the layers one over the other; "/" at the end of folders."""
        found: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(self.engine.call("GET", f"/images/{self.image}/get").body)) as archive:
            manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
            for name in manifest[0]["Layers"]:
                with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                    for info in layer:
                        file = layer.extractfile(info) if info.isreg() else None
                        found[info.name + "/" * info.isdir()] = file.read() if file else b""
        return found


Build = Callable[..., Built]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(COPY_ALL)
    (folder / "big").write_bytes(os.urandom(BIG))
    return folder


@pytest.fixture
def build(engine: Daemon, context: Path) -> Build:
    def run(*flags: str, where: str = "", prefix: Sequence[str] = (), host: str = "", fails: bool = False, stdin: str = "") -> Built:
        words = [*prefix, PROGRAM, "-H", host or engine.host, "build", "--progress", "plain", *flags, where or str(context)]
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == fails, done.stderr
        return Built(engine, words, Said(done.returncode, done.stdout, done.stderr))

    return run


@pytest.fixture
def relay(engine: Daemon, tmp_path: Path) -> Iterator[str]:
    """A way to the engine through another process: what the client has open, that one has not."""
    path = tmp_path / "relay.sock"
    command = [sys.executable, "-c", RELAY, str(path), str(engine.socket)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield f"unix://{path}"
        process.kill()


def test_no_file_is_sent(build: Build, context: Path) -> None:
    first = build()
    assert first.moved < 10_000
    assert first.files()["big"] == (context / "big").read_bytes()
    again = build()
    assert (again.image, again.steps) == (first.image, 0)


def test_what_changed_is_seen(build: Build, context: Path) -> None:
    build()
    found = (context / "big").stat()
    with (context / "big").open("r+b") as file:
        file.write(b"other")
    os.utime(context / "big", ns=(found.st_atime_ns, found.st_mtime_ns))
    changed = build()
    assert changed.steps == 1
    assert changed.files()["big"].startswith(b"other")


def test_a_relay_gets_the_files(build: Build, relay: str) -> None:
    """It makes the same image: the engine sees that the descriptor is another process's, and asks for the files."""
    here, sent = build(), build(host=relay)
    assert sent.moved > BIG
    assert (sent.image, sent.steps) == (here.image, 0)


def test_the_users_files_stay_as_they_are(build: Build, context: Path) -> None:
    """A layer is a copy, not a link; a mount that a step writes to is one, too."""
    dockerfile = (
        "FROM corpus/base\nCOPY big /big\nRUN --mount=type=bind,target=/c,rw echo x > /c/new && echo y > /c/big && rm /c/Dockerfile\n"
    )
    (context / "Dockerfile").write_text(dockerfile)
    before = {p.name: (p.stat(), p.read_bytes()) for p in context.iterdir()}
    folder = context.stat()
    build("--no-cache")
    assert {p.name: (p.stat(), p.read_bytes()) for p in context.iterdir()} == before
    assert context.stat().st_mtime_ns == folder.st_mtime_ns


def test_a_mount_shows_what_is_not_left_out(build: Build, context: Path) -> None:
    (context / ".dockerignore").write_text("secret\nd/*\n!d/kept\n")
    (context / "secret").write_text("secret")
    (context / "d").mkdir()
    (context / "d" / "kept").touch()
    (context / "d" / "gone").touch()
    dockerfile = "FROM corpus/base\nRUN --mount=type=bind,target=/c cd /c && find . | sort > /seen\n"
    (context / "Dockerfile").write_text(dockerfile)
    assert build().files()["seen"].split() == [b".", b"./.dockerignore", b"./Dockerfile", b"./big", b"./d", b"./d/kept"]
    assert build().steps == 0


def test_named_folders_are_read_where_they_lie(build: Build, context: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "data").write_bytes(os.urandom(BIG))
    (tmp_path / "other" / "left-out").touch()
    (tmp_path / "other" / ".dockerignore").write_text("left-out\n")
    (context / "Dockerfile").write_text(
        "FROM corpus/base\nCOPY --from=other . /o/\nRUN --mount=type=bind,from=other,target=/m ls /m > /seen\n"
    )
    built = build("--build-context", f"other={tmp_path}/other")
    assert built.moved < 10_000
    assert "o/left-out" not in built.files()
    assert built.files()["o/data"] == (tmp_path / "other" / "data").read_bytes()
    assert built.files()["seen"] == b"data\n"


@pytest.mark.parametrize("through", ["here", "relay"])
def test_a_dockerfile_elsewhere(build: Build, context: Path, tmp_path: Path, relay: str, through: str) -> None:
    """Its own ignore file lies beside it, as BuildKit has it, and neither is one of the context's files."""
    host = relay if through == "relay" else ""
    (context / "Dockerfile").unlink()
    (context / "other").touch()
    (context / ".dockerignore").write_text("other\n")
    (tmp_path / "Elsewhere").write_text(COPY_ALL)
    assert set(build("-f", str(tmp_path / "Elsewhere"), host=host).files()) == {".dockerignore", "big"}
    (tmp_path / "Elsewhere.dockerignore").write_text("big\n")
    assert set(build("-f", str(tmp_path / "Elsewhere"), host=host).files()) == {".dockerignore", "other"}
    assert set(build("-f", "-", stdin=COPY_ALL, host=host).files()) == {".dockerignore", "big"}
    failed = build("-f", "-", stdin="FROM scratch\nCOPY nope /\n", fails=True, host=host)
    assert "Dockerfile:2" in failed.said.err


def test_a_link_to_the_context(build: Build, context: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("context")
    assert build(where=str(tmp_path / "link")).image == build().image


@pytest.mark.parametrize("flags", [["--mount"], ["--mount", "--pid", "--fork", "--mount-proc"]])
def test_a_client_in_namespaces_of_its_own(build: Build, tmp_path: Path, flags: list[str]) -> None:
    """The folder is on a file system that the engine does not see."""
    (tmp_path / "mnt").mkdir()
    script = f"mount -t tmpfs t {tmp_path}/mnt && cp -r {tmp_path}/context {tmp_path}/mnt/c && ln -s big {tmp_path}/mnt/c/link"
    script += f' && mkdir {tmp_path}/mnt/c/d && mount -t tmpfs t {tmp_path}/mnt/c/d && echo x > {tmp_path}/mnt/c/d/x && exec "$@"'
    built = build(where=f"{tmp_path}/mnt/c", prefix=["unshare", *flags, "sh", "-c", script, "sh"])
    assert built.moved < 10_000
    assert built.files()["d/x"] == b"x\n"
    assert not list((tmp_path / "mnt").iterdir())


def test_special_files(build: Build, context: Path) -> None:
    """Devices and pipes become the image's, as with BuildKit; sockets are left out."""
    os.mkfifo(context / "pipe")
    os.mknod(context / "null", 0o20666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(context / "sock"))
    assert set(build().files()) == {"Dockerfile", "big", "null", "pipe"}


@pytest.fixture
def user(engine: Daemon, tmp_path: Path) -> list[str]:
    """Who may use the engine and is not root."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o5 != 0o5:
            folder.chmod(folder.stat().st_mode | 0o5)
    engine.root.chmod(0o755)
    engine.socket.chmod(0o666)
    return ["setpriv", "--reuid", "1234", "--regid", "1234", "--groups", "4321"]


def test_what_is_closed_to_the_user_is_not_taken_in(build: Build, context: Path, user: list[str]) -> None:
    (context / "closed").mkdir(mode=0o700)
    (context / "closed" / "x").touch()
    assert "error from sender: open closed: permission denied" in build(prefix=user, fails=True).said.err
    (context / ".dockerignore").write_text("closed\n")
    build(prefix=user)
    (context / "big").chmod(0o600)
    assert "error from sender: open big: permission denied" in build(prefix=user, fails=True).said.err
    os.chown(context / "big", 0, 4321)
    (context / "big").chmod(0o640)
    assert build(prefix=user).moved < 10_000
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    (context / "big").chmod(0o600)
    build(prefix=user)


def _multipart() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("options.json")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"{}"))
    return out.getvalue()


def _asked(engine: Daemon, said: object) -> Called:
    text = said if isinstance(said, str) else json.dumps(said)
    headers = [("Content-Type", "application/x-corten-build"), ("X-Corten-Folders", text)]
    with engine.client() as client:
        return Called(client.request("POST", "/build", headers=headers, body=_multipart()))


@contextmanager
def _claimed(path: str, **changes: Any) -> Iterator[dict[str, Any]]:
    """What a client says of a folder, and what of it is a lie."""
    fd = os.open(path, os.O_RDONLY)
    found = os.fstat(fd)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    claim = {"fd": fd, "device": found.st_dev, "inode": found.st_ino} | {k: v for k, v in changes.items() if k != "boot"}
    yield {"boot": changes.get("boot", boot), "context": claim}
    os.close(fd)


@pytest.mark.parametrize(
    "lie", [{"fd": 9999}, {"fd": -1}, {"fd": 0}, {"fd": 1 << 40}, {"inode": 1}, {"device": 1}, {"boot": "another machine"}], ids=str
)
def test_lies_about_a_folder(engine: Daemon, context: Path, lie: dict[str, Any]) -> None:
    with _claimed(str(context), **lie) as said:
        answer = _asked(engine, said)
    assert (answer.status, answer.json()["reason"]) == (503, "context-elsewhere")


def test_a_descriptor_that_is_no_folder(engine: Daemon, context: Path) -> None:
    os.mkfifo(context / "pipe")
    for path in (context / "big", Path("/dev/zero"), Path("/proc/self/ns/mnt")):
        with _claimed(str(path)) as said:
            answer = _asked(engine, said)
        assert (answer.status, answer.json()["reason"]) == (503, "context-elsewhere"), path


@pytest.mark.parametrize("said", ["{", "[]", '{"boot": 1}', '{"boot": "", "context": {"fd": "x"}}', '{"boot": "", "named": {"a": 1}}'])
def test_nonsense_about_folders(engine: Daemon, said: str) -> None:
    assert _asked(engine, said).status == 400


def test_a_truth_about_a_folder(engine: Daemon, context: Path) -> None:
    with _claimed(str(context)) as said:
        answer = _asked(engine, said)
    assert answer.status == 200
    assert b"errorDetail" not in answer.body


@contextmanager
def _going_on(work: Callable[[], None]) -> Iterator[None]:
    """`work` again and again in a thread."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("pause", [0, 0.02])
def test_what_changes_all_the_time(build: Build, context: Path, tmp_path: Path, pause: float) -> None:
    """Whatever was taken in, the layer is what it is called: the same files at rest give the same image from the cache.

    Without a pause files change while they are read, with one between that and the copy.
    """
    (context / "d").mkdir()
    for number in range(2000):
        (context / "d" / f"f{number}").write_text("x" * 1000)
    rounds = [0]

    def work() -> None:
        rounds[0] += 1
        for name in ("a", "b", "f7"):
            with (context / "d" / name).open("w") as file:
                file.write(f"{rounds[0]}" * (rounds[0] % 5000))
        if not pause:
            (context / "d" / f"new{rounds[0] % 7}").touch()
            (context / "d" / f"new{(rounds[0] + 3) % 7}").unlink(missing_ok=True)
        time.sleep(pause)

    with _going_on(work):
        built = [build("--no-cache") for _ in range(3)]
    for number, one in enumerate(built):
        still = tmp_path / f"still{number}"
        for name, content in one.files().items():
            path = still / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(exist_ok=True) if name.endswith("/") else path.write_bytes(content)
            if not name.endswith("/"):
                path.chmod(0o644)
        shutil.copymode(context, still)
        again = build(where=str(still))
        assert (again.image, again.steps) == (one.image, 0), number


def test_links_put_in_the_place_of_folders_lead_nowhere(build: Build, context: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("the host's")
    (context / "d").mkdir()
    (context / "d" / "f").write_text("the user's")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY d /d\nCOPY d/f /f\nCOPY . /all\n")

    def work() -> None:
        (context / "d").rename(context / "real")
        (context / "d").symlink_to(outside)
        (context / "d").unlink()
        (context / "real").rename(context / "d")

    with _going_on(work):
        for _ in range(8):
            try:
                found = build("--no-cache").files()
            except AssertionError as error:  # gone just when it was wanted
                assert "not found" in str(error) or "changed while it was read" in str(error)
                continue
            assert all(b"the host's" not in content for content in found.values())


def test_a_pipe_in_the_place_of_a_file_keeps_nobody(build: Build, context: Path) -> None:
    (context / "f").touch()

    def work() -> None:
        os.mkfifo(context / "p")
        (context / "p").replace(context / "f")
        (context / "q").touch()
        (context / "q").replace(context / "f")

    with _going_on(work):
        for _ in range(5):
            assert build("--no-cache").said.status == 0


def test_cancelling(engine: Daemon, context: Path) -> None:
    """A client that goes away while its files are read ends the build, and what it read is remembered."""
    (context / "sparse").touch()
    os.truncate(context / "sparse", 20 << 30)
    with subprocess.Popen([PROGRAM, "-H", engine.host, "build", "-q", str(context)], stderr=subprocess.DEVNULL) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.kill()
    assert corten(engine.host, "version").status == 0
