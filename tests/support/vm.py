"""Boots a stock Debian kernel in qemu with this machine's files, to test on another kernel, with cgroup v2 or systemd:
`run_in_vm("command")`.

The host's root is shared read-only by 9p; an overlay on a tmpfs makes it writable in the guest, so a command finds the checkout
and the virtual environment at their own paths and can break nothing. Python, its packages and Corten lie over theirs once more, on a
disk: through 9p each file that is not there costs 4 ms. Some 9 s of boot and shut-down without hardware support.

Needs Debian's apt (a kernel is downloaded once into ~/.cache/corten/vm), busybox-static or busybox, and qemu-system-x86.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.vm_kernels import Kernel, fetch_kernel, make_initrd, module_order

REPOSITORY = Path(__file__).resolve().parents[2]
_BOOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_blk", "ext4", "crc32c_generic")
_MODULE_NAMES = """
veth bridge macvlan ipvlan dummy loop
nf_tables nft_chain_nat nft_masq nft_nat nft_fib_inet nft_ct nft_redir nf_conntrack_netlink
"""
NFS = ("nfs", "nfsv4", "nfsd")
"""Further ones, loaded where `run_in_vm` is asked for them."""
_MARK = "@@status "
_NOT_COPIED = (
    *("site-packages", "test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "config-*", "dist-packages"),
    *("mypy", "mypyc", "*mypyc*", "ruff*", "pip", "setuptools", "grimp", "*.a"),
)
"""Of Python's library and packages: what nothing in a machine imports."""

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
$b mkdir -p /root/lib/modules
$b ln -s {library} /root/lib/modules/
[ -x /root/sbin/modprobe ] || $b ln -s /run/busybox /root/sbin/modprobe
$b mkdir -p /root/run/python /root/run/disk
$b mount -t ext4 -o ro /root/dev/vda /root/run/python
{binds}
[ ! -b /root/dev/vdb ] || $b mount -t ext4 /root/dev/vdb /root/run/disk
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
$b stty -F {serial} raw -echo
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
$b ip link set lo up
cd {directory}
( {command} ) </dev/null >{serial} 2>&1
echo "{mark}$?" >{serial}
$b sync
$b poweroff -f
"""
_CGROUPS = {
    "v2": "cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1",
    "hybrid": "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
}


class Machine(NamedTuple):
    """A Debian release's kernel; `cgroup` is "v2" or, under systemd, "hybrid" (version 1's controllers). `disk` is a file with an ext4
    file system, mounted at /run/disk: what is written there is kept. With `all_modules` those that Corten needs are loaded at boot, else
    the kernel asks modprobe for them, as on a machine that runs Debian."""

    suite: str = "bookworm"
    systemd: bool = False
    cgroup: str = "v2"
    memory_mb: int = 1024
    disk: Path | None = None
    all_modules: bool = True


class VmResult(NamedTuple):
    """`status` is the command's (-1: the machine ended, or was ended, before it); `output` its two streams together."""

    status: int
    output: str
    console: str


PLAIN = Machine()


def run_in_vm(command: str, machine: Machine = PLAIN, *, timeout: float = 120, more_modules: Sequence[str] = ()) -> VmResult:
    """Runs a shell command as root in the checkout's folder of a machine of its own, which has no network.

    With `systemd` that is process 1 (on its private socket, no bus). The machine is gone when this returns.
    """
    kernel = fetch_kernel(machine.suite)
    names = (*_BOOT_MODULES, *(_MODULE_NAMES.split() if machine.all_modules else ()), *more_modules)
    modules = module_order(kernel, names)
    with tempfile.TemporaryDirectory(prefix="corten-vm-") as folder:
        console, output, initrd = (Path(folder, name) for name in ("console", "output", "initrd"))
        start = _SYSTEMD_START if machine.systemd else _PLAIN_START
        binds = "\n".join(f"$b mount -o bind /root/run/python/{name} /root{path}" for name, path in _python_folders().items())
        init = _INIT.format(modules=" ".join(path.stem for path in modules), library=kernel.modules, binds=binds, start=start)
        guest = _GUEST.format(directory=shlex.quote(str(REPOSITORY)), command=command, mark=_MARK, serial="/dev/ttyS1")
        initrd.write_bytes(make_initrd(init, guest, modules))
        disks = [make_python_disk(Path(folder)), *([machine.disk] if machine.disk else [])]
        process = subprocess.Popen(_qemu(machine, kernel, initrd, disks, (console, output)), stdin=subprocess.DEVNULL)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
            process.wait()
        return _result(*(path.read_text(errors="replace") if path.exists() else "" for path in (console, output)))


def make_disk(path: Path, size_mb: int) -> Path:
    """A sparse file with an empty ext4 file system."""
    with path.open("wb") as file:
        file.truncate(size_mb << 20)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=1", str(path)], check=True)
    return path


def make_python_disk(folder: Path) -> Path:
    """What a Python program reads, compiled, as it is now: later changes of the checkout do not reach the machine."""
    files, disk = folder / "python", folder / "python.img"
    for name, path in _python_folders().items():
        shutil.copytree(path, files / name, symlinks=True, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    compiled = ("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(files / "corten"), str(files / "tests"))
    subprocess.run([sys.executable, *compiled], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-d", str(files), str(disk), "512M"], check=True, capture_output=True)
    shutil.rmtree(files)
    return disk


def _python_folders() -> dict[str, str]:
    paths = sysconfig.get_paths()
    return {"library": paths["stdlib"], "packages": paths["purelib"], "corten": str(REPOSITORY / "src"), "tests": str(REPOSITORY / "tests")}


def pytest_command(*paths: str) -> str:
    """Runs test files in the guest without the session's plug-ins and fixtures, whose imports alone take 10 s there.

    Nothing is deselected: privileged tests just run."""
    quiet = "-q -W error -W ignore::pytest.PytestUnknownMarkWarning -p no:cacheprovider --color=no"
    settings = "TEST_PATIENCE=10 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1"
    return f"{settings} .venv/bin/python -m pytest -c /dev/null --rootdir=. --noconftest {quiet} {' '.join(paths)}"


def _result(console: str, output: str) -> VmResult:
    text, mark, status = output.rpartition(_MARK)
    return VmResult(int(status), text, console) if mark else VmResult(-1, output, console)


def _qemu(machine: Machine, kernel: Kernel, initrd: Path, disks: Sequence[Path], serials: tuple[Path, Path]) -> list[str]:
    speed = "quiet mitigations=off nokaslr no_timer_check random.trust_cpu=on systemd.show_status=false"
    command_line = f"console=ttyS0 panic=-1 {_CGROUPS[machine.cgroup]} {speed}"
    drives = [word for disk in disks for word in ("-drive", f"file={disk},if=virtio,format=raw,cache=unsafe")]
    return [
        "qemu-system-x86_64",
        *(*_acceleration(), "-smp", "2", "-m", str(machine.memory_mb)),
        *("-nodefaults", "-display", "none", "-no-reboot"),
        *("-kernel", str(kernel.image), "-initrd", str(initrd), "-append", command_line),
        *("-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
        *drives,
        *(argument for serial in serials for argument in ("-serial", f"file:{serial}")),
    ]


def _acceleration() -> tuple[str, ...]:
    """KVM where the processor shows that it can; some machines have /dev/kvm without, and qemu dies of it."""
    flags = Path("/proc/cpuinfo").read_text().split()
    if os.access("/dev/kvm", os.R_OK | os.W_OK) and ("vmx" in flags or "svm" in flags):
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", "tcg,thread=multi", "-cpu", "max")
