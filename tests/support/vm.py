"""Boots a stock Debian kernel in qemu with this machine's files, to test on another kernel and with cgroup v2: `run_in_vm("command")`.

The host's root is shared read-only by 9p; an overlay on a tmpfs makes it writable in the guest, so a command finds the checkout
and the virtual environment at their own paths and can break nothing. Some 9 s of boot and shut-down without hardware support.

Needs root's apt (the kernel is downloaded once into ~/.cache/corten/vm), busybox-static or busybox, and qemu-system-x86.
"""

import lzma
import os
import shlex
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "corten" / "vm"
PACKAGE = "linux-image-amd64"
_MODULE_NAMES = """
virtio_pci 9pnet_virtio 9p overlay veth bridge macvlan ipvlan dummy loop crc32c_generic
nf_tables nft_chain_nat nft_masq nft_nat nft_fib_inet nft_ct nft_redir nf_conntrack_netlink
"""
MODULES = tuple(_MODULE_NAMES.split())
NFS = ("nfs", "nfsv4", "nfsd")
"""Further ones, loaded where `run_in_vm` is asked for them."""
_MARK = "@@status "

_INIT = """\
#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /host /rw /root
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
for m in {modules}; do $b insmod /m/$m.ko; done >/dev/console 2>&1
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 host /host
$b mount -t tmpfs rw /rw
$b mkdir /rw/u /rw/w
$b mount -t overlay -o lowerdir=/host,upperdir=/rw/u,workdir=/rw/w,xino=off root /root
$b mount --move /dev /root/dev
$b umount /proc
for d in tmp run; do $b mount -t tmpfs $d /root/$d; done
$b cp $b /root/run/busybox
$b cp /guest.sh /root/run/guest.sh
{start}
"""
_PLAIN_START = """\
$b mount -t proc proc /root/proc
$b mount -t sysfs sys /root/sys
$b mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
$b mkdir -p /root/dev/pts /root/dev/shm /root/dev/mqueue
$b mount -t devpts -o newinstance,ptmxmode=666 devpts /root/dev/pts
$b mount -t tmpfs shm /root/dev/shm
exec $b switch_root /root /run/busybox sh /run/guest.sh
"""
_SYSTEMD_START = """\
$b mkdir -p /root/run/systemd/system
printf '%s\\n' '[Unit]' 'DefaultDependencies=no' '[Service]' 'Type=oneshot' 'ExecStart=/run/busybox sh /run/guest.sh' \
    > /root/run/systemd/system/guest.service
exec $b switch_root /root /lib/systemd/systemd --unit=guest.service
"""
_GUEST = """\
b=/run/busybox
$b stty -F /dev/ttyS1 raw -echo
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
$b ip link set lo up
cd {directory}
( {command} ) </dev/null >/dev/ttyS1 2>&1
echo "{mark}$?" >/dev/ttyS1
$b poweroff -f
"""


class VmResult(NamedTuple):
    """`status` is the command's (-1: the machine ended, or was ended, before it); `output` its two streams together."""

    status: int
    output: str
    console: str


def run_in_vm(
    command: str, *, timeout: float = 120, systemd: bool = False, memory_mb: int = 1024, more_modules: Sequence[str] = ()
) -> VmResult:
    """Runs a shell command as root in the checkout's folder of a machine of its own: Debian's kernel, cgroup v2, no network.

    With `systemd` that is process 1 (on its private socket, no bus). The machine is gone when this returns.
    """
    kernel = fetch_kernel()
    modules = tuple(path.stem for path in module_order(kernel.parent, (*MODULES, *more_modules)))
    with tempfile.TemporaryDirectory(prefix="corten-vm-") as folder:
        console, output, initrd = (Path(folder, name) for name in ("console", "output", "initrd"))
        start = _SYSTEMD_START if systemd else _PLAIN_START
        init = _INIT.format(modules=" ".join(modules), start=start)
        guest = _GUEST.format(directory=shlex.quote(str(REPOSITORY)), command=command, mark=_MARK)
        initrd.write_bytes(make_initrd(init, guest, kernel.parent, modules))
        machine = subprocess.Popen(_qemu(kernel, initrd, console, output, memory_mb), stdin=subprocess.DEVNULL)
        try:
            machine.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        finally:
            machine.kill()
            machine.wait()
        return _result(*(path.read_text(errors="replace") if path.exists() else "" for path in (console, output)))


def pytest_command(*paths: str) -> str:
    """Runs test files in the guest without the session's plug-ins and fixtures, whose imports alone take 10 s there.

    Nothing is deselected: privileged tests just run."""
    quiet = "-q -W error -W ignore::pytest.PytestUnknownMarkWarning -p no:cacheprovider --color=no"
    settings = "TEST_PATIENCE=10 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1"
    return f"{settings} .venv/bin/python -m pytest -c /dev/null --rootdir=. --noconftest {quiet} {' '.join(paths)}"


def _result(console: str, output: str) -> VmResult:
    text, mark, status = output.rpartition(_MARK)
    return VmResult(int(status), text, console) if mark else VmResult(-1, output, console)


def _qemu(kernel: Path, initrd: Path, console: Path, output: Path, memory_mb: int) -> list[str]:
    speed = "quiet mitigations=off nokaslr no_timer_check random.trust_cpu=on systemd.show_status=false"
    command_line = f"console=ttyS0 panic=-1 cgroup_no_v1=all {speed}"
    return [
        "qemu-system-x86_64",
        *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(memory_mb)),
        *("-nodefaults", "-display", "none", "-no-reboot"),
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", command_line),
        *("-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
        *("-serial", f"file:{console}", "-serial", f"file:{output}"),
    ]


def fetch_kernel() -> Path:
    """The kernel image; its modules lie beside it, those of MODULES and what they need. Downloaded once per package version."""
    name = _newest_package()
    folder = CACHE / f"{name}-{zlib.crc32(repr((MODULES, NFS)).encode()):08x}"
    kernel = folder / "vmlinuz"
    if kernel.exists():
        return kernel
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        subprocess.run(["apt-get", "download", "-q", name], cwd=work, check=True, capture_output=True)
        package = next(Path(work).glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(package), f"{work}/files"], check=True)
        everything = {path.name.partition(".")[0].replace("-", "_"): path for path in Path(work, "files").rglob("*.ko*")}
        for module, data in _with_needs(everything, (*MODULES, *NFS)):
            (folder / f"{module}.ko").write_bytes(data)
        shutil.copy(next(Path(work, "files/boot").glob("vmlinuz*")), kernel.with_suffix(".part"))
    kernel.with_suffix(".part").rename(kernel)
    return kernel


def _newest_package() -> str:
    """The versioned package behind PACKAGE, so that a new kernel is a new cache entry."""
    answer = subprocess.run(["apt-cache", "depends", PACKAGE], check=True, capture_output=True, text=True).stdout
    return next(line.split()[1] for line in answer.splitlines() if "Depends: linux-image-" in line)


def _with_needs(files: dict[str, Path], wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    todo, seen = list(wanted), set[str]()
    while todo:
        name = todo.pop()
        if name in seen or name not in files:
            continue
        seen.add(name)
        data = files[name].read_bytes()
        data = lzma.decompress(data) if files[name].suffix == ".xz" else data
        todo += needs_of(data)
        yield name, data


def needs_of(module: bytes) -> list[str]:
    """The modules that must be loaded before this one, from its .modinfo section."""
    _, found, rest = module.partition(b"\0depends=")
    names = rest[: rest.index(b"\0")].decode() if found else ""
    return [name.replace("-", "_") for name in names.split(",") if name]


def module_order(folder: Path, wanted: Sequence[str]) -> list[Path]:
    """The files of `wanted` and all they need, each after its needs."""
    order: dict[str, Path] = {}

    def add(name: str) -> None:
        path = folder / f"{name}.ko"
        if name in order or not path.exists():
            return  # built into this kernel
        for need in needs_of(path.read_bytes()):
            add(need)
        order[name] = path

    add("crc32c_generic")  # libcrc32c asks for it by algorithm, not as a dependency
    for name in wanted:
        add(name)
    return list(order.values())


def make_initrd(init: str, guest: str, modules_folder: Path, modules: Iterable[str]) -> bytes:
    """A newc cpio archive with busybox, the two scripts and the modules."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FileNotFoundError("busybox (a static one: Debian's busybox-static or busybox) is needed to boot the machine")
    folders = [(name, b"", 0o40755) for name in ("bin", "m", "dev")]
    files = [
        ("bin/busybox", Path(busybox).read_bytes(), 0o100755),
        ("init", init.encode(), 0o100755),
        ("guest.sh", guest.encode(), 0o100644),
    ]
    files += [(f"m/{name}.ko", (modules_folder / f"{name}.ko").read_bytes(), 0o100644) for name in modules]
    return b"".join(_cpio_entry(number, *entry) for number, entry in enumerate([*folders, *files, ("TRAILER!!!", b"", 0)], 1))


def _cpio_entry(number: int, name: str, data: bytes, mode: int) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
