"""linux.sysctl: only what a namespace of the container's own confines."""

from corten.errors import Invalid

_IPC = frozenset(
    f"kernel.{name}"
    for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced", "auto_msgmni", "msg_next_id")
) | {"kernel.sem_next_id", "kernel.shm_next_id"}
_UTS = frozenset(("kernel.domainname", "kernel.hostname"))


def check_sysctls(sysctls: dict[str, str], namespaces: frozenset[str]) -> None:
    """Invalid for a key that would change the host: runc's rules and words."""
    for key in sysctls:
        name = normalized(key)
        wanted = _namespace_of(name)
        if wanted is None or ".." in name:
            raise Invalid(f'sysctl "{key}" is not in a separate kernel namespace', reason="bad-sysctl")
        if wanted not in namespaces:
            raise Invalid(f'sysctl "{key}" is not allowed in the hosts {wanted} namespace', reason="bad-sysctl")
        if name == "kernel.hostname":
            raise Invalid(f'sysctl "{key}" is not allowed: it conflicts with the field hostname', reason="bad-sysctl")


def _namespace_of(name: str) -> str | None:
    if name in _IPC or name.startswith("fs.mqueue."):
        return "ipc"
    if name.startswith("net."):
        return "network"
    if name in _UTS:
        return "uts"
    return "user" if name.startswith("user.") else None


def normalized(key: str) -> str:
    """`net/ipv4/conf/eth0.1/forwarding` and `net.ipv4.ip_forward` are both in use: the first separator tells which (sysctl(8))."""
    dot, slash = key.find("."), key.find("/")
    if slash == -1 or (dot != -1 and dot < slash):
        return key
    return key.translate(str.maketrans("./", "/."))
