"""Root file systems made by somebody who wants out. Each trick is a known one."""

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.harness import IS_OURS, RUNTIME, Bundle

pytestmark = pytest.mark.privileged


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def replace_by_link(path: Path, target: str) -> None:
    path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
    path.symlink_to(target)


def test_a_mount_point_that_is_a_link_out(bundle: Bundle, outside: Path, tmp_path: Path) -> None:
    (bundle.rootfs / "escape").symlink_to("/../" * 20 + str(outside))
    data = tmp_path / "data"
    data.mkdir()
    bundle.mount("/escape/made", "bind", "bind", source=str(data))
    bundle.run()
    assert list(outside.iterdir()) == []


def test_dev_is_a_link_to_the_hosts(bundle: Bundle, outside: Path) -> None:
    replace_by_link(bundle.rootfs / "dev", str(outside))
    bundle.run()
    assert list(outside.iterdir()) == []


def test_proc_behind_a_link_is_refused(bundle: Bundle) -> None:
    """Elsewhere, its masked paths would not be masked (CVE-2019-19921)."""
    (bundle.rootfs / "elsewhere").mkdir()
    replace_by_link(bundle.rootfs / "proc", "elsewhere")
    bundle.shell("cat /elsewhere/kcore")
    assert bundle.run().code != 0


def test_nothing_but_what_is_harmless_is_mounted_into_proc(bundle: Bundle, outside: Path) -> None:
    (outside / "status").write_text("fake")
    bundle.mount("/proc/self/attr", "bind", "bind", source=str(outside))
    done = bundle.run()
    assert done.code != 0
    assert "inside /proc" in done.err or not IS_OURS
    bundle.config["mounts"].pop()
    bundle.mount("/proc/uptime", "bind", "bind", source=str(outside / "status"))
    bundle.shell("cat /proc/uptime")
    assert bundle.run().ok().out == "fake"


def test_the_masking_device_is_no_link(bundle: Bundle) -> None:
    """/dev/null of the image is a link to something readable (CVE-2025-31133)."""
    dev = bundle.rootfs / "dev"
    (dev / "null").symlink_to("/proc/kallsyms")
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/dev")]
    bundle.shell("cat /proc/keys | wc -c")
    done = bundle.run()
    assert done.code != 0 or done.lines == ["0"]


@pytest.mark.parametrize("mapped", [False, True], ids=["host's users", "user namespace"])
def test_the_hosts_null_device_stays_as_it_is(bundle: Bundle, tmp_path: Path, mapped: bool) -> None:
    """Neither a masked file nor stdin is the host's node, or it cannot be changed."""
    null = tmp_path / "null"
    os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    if mapped:
        bundle.map_users(100000)
    change = "for f in /proc/keys /proc/self/fd/0; do chmod 0640 $f; chown 7 $f; touch $f; done"
    bundle.shell(f"{change}; echo x > /proc/self/fd/0 && echo written")
    before = os.stat(null).st_ctime_ns
    bundle.save()
    words = [*shlex.split(RUNTIME), "--root", str(bundle.state_root), "run", "--bundle", str(bundle.directory), bundle.id]
    with null.open("r+b", buffering=0) as stdin:
        done = subprocess.run(words, stdin=stdin, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "written\n", done.stderr
    assert os.stat(null).st_ctime_ns == before


def test_a_folder_without_null_device_bound_over_dev(bundle: Bundle, tmp_path: Path) -> None:
    """Masked files are covered by a new node then."""
    folder = tmp_path / "dev"
    folder.mkdir()
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/dev")]
    bundle.mount("/dev", "bind", "rbind", source=str(folder))
    bundle.shell("wc -c < /proc/keys; test -c /proc/keys && echo device; ls /dev; ls -A / | grep null")
    done = bundle.run()
    assert done.lines == ["0", "device"], done.err


def test_a_console_that_is_a_link(bundle: Bundle, outside: Path) -> None:
    """CVE-2025-52565: the terminal must not be bound over a file of somebody's choice."""
    bundle.process["terminal"] = True
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] != "/dev"]
    (bundle.rootfs / "dev" / "console").symlink_to("/proc/sysrq-trigger")
    (bundle.rootfs / "dev" / "pts").mkdir()
    (bundle.rootfs / "dev" / "shm").mkdir()
    bundle.shell("stat -c %T /proc/sysrq-trigger; readlink /dev/console")
    done = bundle.run()
    if IS_OURS:
        assert "136" not in done.out


def test_an_interpreter_of_the_host_is_not_writable(bundle: Bundle) -> None:
    """A script run by /proc/self/exe gets the runtime's own executable (CVE-2019-5736): opened through a read-only mount."""
    if not IS_OURS:
        pytest.skip("how others do it is theirs")
    bundle.create()
    pid = bundle.wait_for("created")["pid"]
    exe = f"/proc/{pid}/exe"
    assert os.statvfs(exe).f_flag & os.ST_RDONLY
    with pytest.raises(OSError, match=r"Read-only|busy"):
        os.open(exe, os.O_WRONLY)
    with pytest.raises(OSError, match="Read-only"):
        os.chmod(exe, stat.S_IMODE(os.stat(exe).st_mode))


def test_a_waiting_process_hides_what_it_is(bundle: Bundle) -> None:
    """Not dumpable: its /proc entries are root's, and closed to a user with the same id."""
    if not IS_OURS:
        pytest.skip("how others do it is theirs")
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.create()
    pid = bundle.wait_for("created")["pid"]
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0
    held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert not any(place.startswith("/") and place not in ("/dev/null", str(bundle.out)) for place in held)


def poison(bundle: Bundle) -> None:
    """Where the interpreter would look for its own modules, the image has others."""
    text = "import os\nos.close(os.open('/imported', os.O_CREAT | os.O_WRONLY))\n"
    for folder in filter(os.path.isdir, sys.path):
        inside = bundle.rootfs / folder.lstrip("/")
        (inside / "encodings").mkdir(parents=True, exist_ok=True)
        for module in (*Path(folder).glob("*.py"), *Path(folder).glob("encodings/*.py")):
            (inside / module.relative_to(folder)).write_text(text)


def test_no_module_is_loaded_from_the_image(bundle: Bundle) -> None:
    if not IS_OURS:
        pytest.skip("not in Python")
    poison(bundle)
    bundle.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7]}
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH"}
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 2**40, "hard": 2**40}]
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW"}
    bundle.process["args"] = ["sleep", "1000"]
    bundle.start()
    bundle.call("exec", "--user", "2:3", bundle.id, "true").ok()
    assert bundle.call("exec", bundle.id, "nothing").code != 0
    assert bundle.call("exec", "--cwd", "/nowhere", bundle.id, "true").code != 0
    bundle.remove()
    for program in ("nothing", "/etc/passwd"):
        bundle.process["args"] = [program]
        assert bundle.run().code != 0
    assert not (bundle.rootfs / "imported").exists()


def test_passwd_is_a_pipe(bundle: Bundle) -> None:
    """Reading it must not wait for a writer."""
    (bundle.rootfs / "etc" / "passwd").unlink()
    os.mkfifo(bundle.rootfs / "etc" / "passwd")
    bundle.shell("echo $HOME")
    assert bundle.run().lines in (["/"], [])


def test_a_root_that_is_not_there(bundle: Bundle) -> None:
    bundle.config["root"]["path"] = "nowhere"
    done = bundle.run()
    assert done.code != 0
    assert "nowhere" in done.err
