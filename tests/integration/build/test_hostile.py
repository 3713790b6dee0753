"""Builds that mean harm: refused with a clear error or contained, in bounded memory, and the engine answers others meanwhile."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, import_busybox, run_name

pytestmark = pytest.mark.privileged
MEMORY = 200 << 20
B = "FROM busybox\n"
DOUBLING = "".join(f"@ A{n}={f'${{A{n - 1}}}' * 8}\n" for n in range(1, 12))


@pytest.fixture(scope="module")
def victim() -> Iterator[Daemon]:
    daemon = Daemon(run_name("hostile"))
    try:
        daemon.start()
        import_busybox(daemon)
        yield daemon
    finally:
        daemon.remove()


def archive(dockerfile: str | bytes, *members: tarfile.TarInfo, **files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        text = dockerfile.encode() if isinstance(dockerfile, str) else dockerfile
        for name, content in {"Dockerfile": text, **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for entry in members:
            tar.addfile(entry)
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry


def error_of(daemon: Daemon, body: bytes) -> str:
    """What a build says, "" when it succeeds. The daemon needed little memory for it."""
    Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")
    answer = daemon.call("POST", "/build?t=hostile", body)
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    assert next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")) < MEMORY
    assert daemon.call("GET", "/_ping").status == 200
    last = json.loads(answer.body.splitlines()[-1])
    assert answer.status < 500 or "error" in last or "message" in last
    return str(last.get("error", last.get("message", "")))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (archive("FROM scratch\n" * 10_001), "more than 10000 stages"),
        (archive("FROM scratch\n" + "# x\n" * 13_000_000), "larger than 2 MiB"),
        (archive(f"{B}CMD {'[' * 65_000}\n"), ""),
        (archive(f"{B}EXPOSE {'1-65535 ' * 8000}\n"), "more than 196605 ports"),
        (archive(f"{B}RUN {'<<A ' * 16_000}\n"), "unterminated heredoc"),
        (archive(f"{B}ENV A={'${A:-' * 6000}x{'}' * 6000}\n"), "nested more than 50 deep"),
        (archive(f"{B}ENV A0=aaaaaaaaaa\n{DOUBLING.replace('@', 'ENV')}"), "longer than 1 MiB"),
        (archive(f"{B}ARG A0=aaaaaaaaaa\n{DOUBLING.replace('@', 'ARG')}"), "longer than 1 MiB"),
        (archive(f"ARG A0=aaaaaaaaaa\n{DOUBLING.replace('@', 'ARG')}{B}"), "longer than 1 MiB"),
        (archive(f"{B}ENV A={'a' * 10_000}\nENV B=${{A//a/{'b' * 10_000}}}\n"), "longer than 1 MiB"),
        (archive(f"{B}ENV A={'a' * 9000}\nENV B=${{A##{'*a' * 200}b}} C=${{A//{'*a' * 30}b/x}}\n"), ""),
        (archive(B + "".join(f"ENV V{n}={n}\n" for n in range(3000))), ""),
        (archive(b"FROM busybox\nWORKDIR /a\0b\n"), "NUL byte"),
        (archive(b"FROM busybox\nENV A=\xff\n"), "not UTF-8"),
        (archive("FROM scratch\nCOPY . /\n", **{".dockerignore": b"*a" * 60 + b"b", "a" * 200: b""}), ""),
        (archive("FROM scratch\nCOPY . /\n", **{".dockerignore": b"**/" * 200 + b"b", "a/" * 120 + "c": b""}), ""),
        (archive("FROM scratch\nCOPY . /\n", **{".dockerignore": b"p\n" * 10_001}), "the limit is 10000"),
        (archive(f"FROM scratch\nCOPY {'*a' * 60}b /\n", **{"a" * 200: b""}), ""),
        (archive("FROM scratch\nCOPY . /\n", **{"d/" * 1500 + "f": b""}), "COPY"),
        (archive(B, member("../../escape")), "outside of the archive's root"),
        (archive(B, member("h", tarfile.LNKTYPE, "../../../etc/passwd")), "outside of the archive's root"),
        (archive(B, member("l", tarfile.SYMTYPE, "/tmp"), member("l/escape")), "not a directory"),
        (archive(B, member("n", tarfile.CHRTYPE)), "holds a device"),
        (gzip.compress(b"x" * 1000), "invalid tar header"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(len(value)),
)
def test_refused_or_contained(victim: Daemon, body: bytes, said: str) -> None:
    got = error_of(victim, body)
    assert said in got
    assert bool(said) == bool(got)


def test_a_sparse_file_larger_than_the_disk_is_refused(victim: Daemon) -> None:
    entry = member("sparse")
    entry.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "sparse", "GNU.sparse.map": "0,0"}
    entry.pax_headers |= {"GNU.sparse.size": str(1 << 45), "GNU.sparse.numblocks": "1"}
    assert "more than the disk has room for" in error_of(victim, archive(f"{B}COPY . /\n", entry))


def test_a_link_in_the_context_leads_to_nothing_outside(victim: Daemon) -> None:
    body = archive(f"{B}COPY . /c\nRUN readlink /c/l | grep -qx /etc/shadow\nCOPY l /d\n", member("l", tarfile.SYMTYPE, "/etc/shadow"))
    assert "file does not exist" in error_of(victim, body)


def test_copies_stay_in_the_image(victim: Daemon, tmp_path: Path) -> None:
    """Targets and sources that lead out by `..` and by links, of the image and of another stage."""
    steps = f"RUN ln -s / /out && ln -s ../../../../../..{tmp_path} /up && ln -s {tmp_path} /abs\n"
    copies = "COPY f /up/one\nCOPY f /abs/two\nCOPY f ../../../../three\nCOPY ../../f /out/four\nCOPY --from=0 /up/one /five\n"
    shown = "RUN ls /three /four /five\n"
    assert error_of(victim, archive(f"{B}{steps}{copies.partition('COPY --from')[0]}{B}{steps}{copies}{shown}", f=b"x")) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_run_does_not_leave(victim: Daemon, tmp_path: Path) -> None:
    """Each attempt has to fail within the step; the host and the engine are as before."""
    attempts = [
        "mount -t tmpfs none /mnt",
        "mount --bind / /mnt",
        "umount /proc",
        "echo 1 > /proc/sys/kernel/sysrq",
        "echo x > /sys/kernel/uevent_helper",
        "echo b > /proc/sysrq-trigger",
        "mknod /disk b 8 0 && head -c 1 /disk",
        "kill -9 $PPID && false",
        "chroot /proc/1/root ls /var/lib/corten-peers",
        "ls /proc/self/fd | grep -vx '[0-3]'",
        f"ls {tmp_path}",
        "nsenter -t 1 -m true && test -e /work",
        "hostname other",
    ]
    lines = "".join(f"RUN if {attempt}; then exit 9; fi\n" for attempt in attempts)
    assert error_of(victim, archive(f"{B}{lines}")) == ""
