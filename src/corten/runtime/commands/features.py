"""What this runtime can do, in the form of the spec's features document."""

import os
from typing import Any

from corten import __version__
from corten.kernel.caps import CAPS, last_cap
from corten.kernel.libc import IS_ARM64
from corten.kernel.namespaces import NAMESPACES
from corten.runtime.config.mount_options import OPTIONS
from corten.runtime.state import OCI_VERSION


def features_document() -> dict[str, Any]:
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": OCI_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": sorted(OPTIONS),
        "linux": {
            "namespaces": sorted(NAMESPACES),
            "capabilities": list(CAPS)[: last_cap() + 1],
            "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": False, "rdma": True},
            "seccomp": _seccomp(),
            "apparmor": {"enabled": os.path.exists("/sys/module/apparmor")},
            "selinux": {"enabled": os.path.exists("/sys/fs/selinux/enforce")},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
        "annotations": {"dev.corten.version": __version__},
        "potentiallyUnsafeConfigAnnotations": [],
    }


def _seccomp() -> dict[str, Any]:
    actions = ("ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "NOTIFY", "TRACE", "TRAP")
    operators = ("EQ", "GE", "GT", "LE", "LT", "MASKED_EQ", "NE")
    archs = ("AARCH64", "ARM") if IS_ARM64 else ("X86", "X86_64")
    flags = [f"SECCOMP_FILTER_FLAG_{name}" for name in ("TSYNC", "SPEC_ALLOW", "LOG", "WAIT_KILLABLE_RECV")]
    return {
        "enabled": True,
        "actions": [f"SCMP_ACT_{name}" for name in actions],
        "operators": [f"SCMP_CMP_{name}" for name in operators],
        "archs": [f"SCMP_ARCH_{name}" for name in archs],
        "knownFlags": flags,
        "supportedFlags": flags,
    }
