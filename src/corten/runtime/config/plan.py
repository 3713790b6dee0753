"""A config.json turned into the values that setting up a container needs. No privileges, no side effects but reading the bundle's path."""

import os
from typing import Any, NamedTuple

from corten.errors import Invalid, Unsupported
from corten.kernel.namespaces import NAMESPACES
from corten.runtime.config.mount_options import IdMapping, MountPlan, parse_mount, propagation_flag
from corten.runtime.config.sysctl import check_sysctls
from corten.runtime.rootfs.devices import Device, planned_devices, with_default_rules
from corten.runtime.values import CreateOptions, SeccompFilter, Spec


class NamespacePlan(NamedTuple):
    """`new` are CLONE_NEW* flags; `joined` are (kind, path), the user namespace first."""

    new: int
    joined: tuple[tuple[str, str], ...]
    kinds: frozenset[str]  # of both
    created: frozenset[str]

    def path(self, kind: str) -> str | None:
        return dict(self.joined).get(kind)


class InitPlan(NamedTuple):
    """All that the child needs. `spec` is still there for the small things that are read once."""

    spec: Spec
    bundle: str
    rootfs: str
    namespaces: NamespacePlan
    uid_mappings: tuple[IdMapping, ...]
    gid_mappings: tuple[IdMapping, ...]
    mounts: tuple[MountPlan, ...]
    devices: tuple[Device, ...]
    resources: dict[str, Any]
    rootfs_propagation: int | None
    seccomp: SeccompFilter | None
    options: CreateOptions


def make_plan(spec: Spec, bundle: str, seccomp: SeccompFilter | None, options: CreateOptions) -> InitPlan:
    """Invalid or Unsupported, with the path of the field, when the config cannot be carried out."""
    linux: dict[str, Any] = spec.get("linux") or {}
    namespaces = plan_namespaces(linux.get("namespaces") or [])
    _check_namespaces(spec, linux, namespaces)
    check_sysctls(linux.get("sysctl") or {}, namespaces.kinds)
    propagation = linux.get("rootfsPropagation")
    rootfs = os.path.join(bundle, spec["root"]["path"])
    return InitPlan(
        spec=spec,
        bundle=bundle,
        rootfs=os.path.realpath(rootfs),
        namespaces=namespaces,
        uid_mappings=_mappings(linux.get("uidMappings")),
        gid_mappings=_mappings(linux.get("gidMappings")),
        mounts=tuple(_mount(entry, bundle) for entry in spec.get("mounts") or ()),
        devices=_devices(linux, spec.get("mounts") or []),
        resources=with_default_rules(linux.get("resources") or {}),
        rootfs_propagation=_propagation(propagation) if propagation else None,
        seccomp=seccomp,
        options=options,
    )


def _check_namespaces(spec: Spec, linux: dict[str, Any], namespaces: NamespacePlan) -> None:
    """What is asked for must not change the host, and must be possible."""
    if "mount" not in namespaces.created:
        raise Unsupported(
            "linux.namespaces: a container without a mount namespace of its own", reason="no-mount-namespace", hint="add {type: mount}"
        )
    for field in ("hostname", "domainname"):
        if spec.get(field) and "uts" not in namespaces.kinds:
            raise Invalid(f"{field}: unable to set it without a private UTS namespace", reason="bad-namespace")
    has_maps = bool(linux.get("uidMappings") and linux.get("gidMappings"))
    if "user" in namespaces.created and not has_maps:
        raise Invalid("linux.uidMappings and linux.gidMappings: a new user namespace needs both", reason="bad-namespace")
    if (linux.get("uidMappings") or linux.get("gidMappings")) and "user" not in namespaces.kinds:
        raise Invalid("linux.uidMappings: id mappings without a user namespace", reason="bad-namespace")
    if linux.get("timeOffsets") and "time" not in namespaces.created:
        raise Invalid("linux.timeOffsets: they need a new time namespace", reason="bad-namespace")
    if linux.get("intelRdt"):
        raise Unsupported("linux.intelRdt is not built", reason="not-built", hint="take it away, or use runc")


def plan_namespaces(entries: list[dict[str, str]]) -> NamespacePlan:
    new, joined, kinds = 0, [], [entry["type"] for entry in entries]
    for entry in entries:
        if entry["type"] not in NAMESPACES:
            raise Invalid(f"linux.namespaces: unknown type {entry['type']!r}", reason="bad-namespace")
        if kinds.count(entry["type"]) > 1:
            raise Invalid(f"linux.namespaces: {entry['type']} is there twice", reason="bad-namespace")
        if entry.get("path"):
            joined.append((entry["type"], entry["path"]))
        else:
            new |= NAMESPACES[entry["type"]][0]
    joined.sort(key=lambda pair: pair[0] != "user")
    return NamespacePlan(new, tuple(joined), frozenset(kinds), frozenset(kinds) - {kind for kind, _ in joined})


def _propagation(word: str) -> int:
    flag = propagation_flag(word)
    if flag is None:
        raise Invalid(f"linux.rootfsPropagation: unknown value {word!r}", reason="bad-propagation")
    return flag


def _mappings(entries: list[dict[str, int]] | None) -> tuple[IdMapping, ...]:
    return tuple(IdMapping(e["containerID"], e["hostID"], e["size"]) for e in entries or ())


def _mount(entry: dict[str, Any], bundle: str) -> MountPlan:
    plan = parse_mount(entry)
    return plan._replace(source=os.path.join(bundle, plan.source)) if plan.bind else plan


def _devices(linux: dict[str, Any], mounts: list[dict[str, Any]]) -> tuple[Device, ...]:
    """None when the host's /dev is bind-mounted: those are not ours to change."""
    for mount in mounts:
        if os.path.normpath(mount["destination"]) == "/dev" and not {"bind", "rbind"}.isdisjoint(mount.get("options") or ()):
            return ()
    return planned_devices(linux.get("devices") or [])
