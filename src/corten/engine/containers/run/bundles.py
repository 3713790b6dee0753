"""The bundle of one start: the OCI spec as config.json, the files bound over those in /etc, and what the runtime mounts as root."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace

from corten.engine.containers.link_environment import link_environment
from corten.engine.containers.protocols import NetworkAttachment
from corten.engine.containers.root_files import RootFiles
from corten.engine.devices.injection import inject
from corten.engine.devices.loader import library_folders
from corten.engine.devices.requests import Devices
from corten.engine.paths import Paths
from corten.engine.records.containers import ContainerCatalog
from corten.engine.records.state import has_process
from corten.engine.spec.build import ExecRequest, build_exec, build_spec
from corten.engine.spec.namespaces import is_container_mode, joined_container
from corten.engine.spec.placement import Machine, Placement
from corten.engine.values.container import BUILT_IN_RUNTIMES, Container
from corten.engine.values.exec import ExecConfig
from corten.errors import Conflict, EngineError, NotFound, Unavailable
from corten.kernel.mount import MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, umount2
from corten.monitor.values import JsonObject, StartSpec
from corten.store.snapshots import Snapshots

_MNT_DETACH = 2


class Bundles:
    def __init__(
        self,
        catalog: ContainerCatalog,
        *,
        machine: Machine,
        paths: Paths,
        snapshots: Snapshots,
        root_files: RootFiles,
        runtimes: Mapping[str, str],
        devices: Devices,
    ) -> None:
        self._catalog = catalog
        self._machine = machine
        self._paths = paths
        self._snapshots = snapshots
        self._root_files = root_files
        self._runtimes = runtimes
        self._devices = devices

    def write(self, container: Container, attachment: NetworkAttachment, sources: Mapping[str, str] | None = None) -> StartSpec:
        """Everything the monitor needs to start `container`; `sources`: what was staged for its mount points.

        Raises what the spec builder raises, Unavailable when the disk is full, EngineError for a device that cannot be had.
        """
        edits = self._devices.edits(container.host.resources.device_requests)
        paths, snapshots = self._paths, self._snapshots
        bundle = paths.bundle(container.id)
        try:
            os.makedirs(os.path.join(bundle, "rootfs"), mode=0o711, exist_ok=True)
            placement = replace(self._placement(container, attachment), sources=sources or {})
            spec = build_spec(container, placement)
            if edits is not None:
                inject(spec, edits, lambda: library_folders(placement.read_file, placement.machine.arch))
            text = json.dumps(spec, separators=(",", ":"), ensure_ascii=True)
            _write(os.path.join(bundle, "config.json"), text, mode=0o600)  # it holds the environment
        except OSError as error:
            raise Unavailable(f"preparing the start of {container.name}: {error}", reason="bundle") from error
        start: StartSpec = {
            "bundle": bundle,
            "state_root": paths.state_root,
            "root_mounts": [{**m} for m in snapshots.mounts(container.id)],
            "console_size": list(container.host.console_size),
            "private_pids": container.host.pid_mode == "",
        }
        if container.host.runtime not in BUILT_IN_RUNTIMES:
            start["runtime"] = self._runtimes[container.host.runtime]
        return start

    def exec_process(self, container: Container, config: ExecConfig) -> JsonObject:
        """The OCI `process` of an exec in a running container."""
        request = ExecRequest(
            args=config.cmd,
            env=config.env,
            user=config.user,
            cwd=config.working_dir,
            tty=config.tty,
            privileged=config.privileged,
            console_size=config.console_size,
        )
        reader = self._root_files.reader_of_process(container.state.pid)
        placement = Placement(machine=self._machine, read_file=reader, link_env=self._link_env(container))
        return build_exec(container, request, placement)

    def remove_shm(self, container_id: str) -> None:
        """Unmount the shared /dev/shm of a run, if it had one."""
        path = self._shm_path(container_id)
        if os.path.ismount(path):
            umount2(path, _MNT_DETACH)

    def _placement(self, container: Container, attachment: NetworkAttachment) -> Placement:
        owner = container
        mode = container.host.network_mode
        if is_container_mode(mode):
            owner = self._network_owner(mode)
        else:
            self._write_etc(container, attachment)
        folder = self._paths.container(owner.id)
        joined = self._joined_namespaces(container)
        if attachment.netns is not None:
            joined["network"] = attachment.netns
        return Placement(
            machine=self._machine,
            root="rootfs",
            joined=joined,
            shm=self._shm(container),
            hostname_file=os.path.join(folder, "hostname"),
            hosts_file=os.path.join(folder, "hosts"),
            resolv_conf_file=os.path.join(folder, "resolv.conf"),
            read_file=self._root_files.reader(container),
            link_env=self._link_env(container),
        )

    def _link_env(self, container: Container) -> list[str]:
        def find(container_id: str) -> Container | None:
            entry = self._catalog.find(container_id)
            return entry.value if entry else None

        return link_environment(container, find)

    def _write_etc(self, container: Container, attachment: NetworkAttachment) -> None:
        folder = self._paths.container(container.id)
        _write(os.path.join(folder, "hostname"), container.config.hostname + "\n")
        _write(os.path.join(folder, "hosts"), attachment.hosts)
        _write(os.path.join(folder, "resolv.conf"), attachment.resolv_conf)

    def _joined_namespaces(self, container: Container) -> dict[str, str]:
        modes = {"pid": container.host.pid_mode, "ipc": container.host.ipc_mode}
        return {kind: f"/proc/{self.joined(mode, kind).state.pid}/ns/{kind}" for kind, mode in modes.items() if is_container_mode(mode)}

    def _network_owner(self, mode: str) -> Container:
        """The container whose network and files in /etc are those of one in `mode`; what it names may have joined another itself."""
        owner = self.joined(mode, "network")
        while is_container_mode(owner.host.network_mode):
            owner = self.joined(owner.host.network_mode, "network")
        return owner

    def joined(self, mode: str, kind: str) -> Container:
        """The running container that `mode` (`container:ID`) names."""
        try:
            owner = self._catalog.get(joined_container(mode)).value
        except NotFound as error:
            raise EngineError(f"joining {kind} namespace of container: {error.message}", reason="joined-container-missing") from error
        if not has_process(owner.state):
            text = f"cannot join {kind} namespace of a non running container: container {owner.name} is {owner.state.status}"
            raise Conflict(f"joining {kind} namespace of container: {text}", reason="joined-container-not-running")
        return owner

    def _shm(self, container: Container) -> str:
        """The host directory that is /dev/shm, where it is shared."""
        mode = container.host.ipc_mode
        if mode == "host":
            return "/dev/shm"
        if is_container_mode(mode):
            owner = self.joined(mode, "ipc")
            if owner.host.ipc_mode != "shareable":
                text = (
                    f'cannot join IPC of a container {owner.name}: non-shareable IPC (hint: use "--ipc shareable" for the donor container)'
                )
                raise Conflict(text, reason="ipc-not-shareable")
            return self._shm_path(owner.id)
        if mode != "shareable":
            return ""
        path = self._shm_path(container.id)
        os.makedirs(path, exist_ok=True)
        if not os.path.ismount(path):
            mount("shm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"mode=1777,size={container.host.shm_size}")
        return path

    def _shm_path(self, container_id: str) -> str:
        return os.path.join(self._paths.bundle(container_id), "shm")


def _write(path: str, text: str, *, mode: int = 0o644) -> None:
    """Replaced at every start, so written in place: a crash in between is mended by the next one."""
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
