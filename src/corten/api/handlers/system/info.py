"""`/info`: the engine and its host."""

import asyncio
from typing import Final

from msgspec import UNSET, UnsetType

from corten.api.request import Request
from corten.api.types.info import DeviceInfo, IndexInfo, InfoAnswer, PluginsInfo, RegistryInfo, RuntimeInfo
from corten.api.versions import DOCKER_COMPATIBLE, Version, has_discovered_devices
from corten.api.wire import json_response
from corten.engine.containers.log_config import LOG_OPTIONS
from corten.engine.devices.registry import CdiRegistry, RegistryScan
from corten.engine.system import NETWORK_DRIVERS, VOLUME_DRIVERS, SystemInfo
from corten.engine.timestamps import format_moment
from corten.http.response import Reply

_LOOPBACK: Final = ("::1/128", "127.0.0.0/8")


async def info(request: Request) -> Reply:
    return json_response(info_answer(request.app.system.info(), request.app.devices.registry, request.version))


def info_answer(found: SystemInfo, registry: CdiRegistry, version: Version) -> InfoAnswer:
    facts, features, config = found.facts, found.features, found.config
    limits = features.limits
    seen = registry.look()
    wrong = [f"CDI: Error associated with spec file {path}: {error}" for path, errors in seen.errors.items() for error in errors]
    return InfoAnswer(
        id=found.engine_id,
        containers=found.containers,
        containers_running=found.running,
        containers_paused=found.paused,
        containers_stopped=found.stopped,
        images=found.images,
        driver_status=[
            ("Backing Filesystem", found.backing_file_system),
            ("Supports d_type", "true"),
            ("Using metacopy", "false"),
            ("Native Overlay Diff", "true"),
            ("userxattr", "false"),
        ],
        plugins=PluginsInfo(volume=list(VOLUME_DRIVERS), network=list(NETWORK_DRIVERS), log=list(LOG_OPTIONS)),
        memory_limit="memory" in limits,
        swap_limit="swap" in limits,
        cpu_cfs_period="cpu-quota" in limits,
        cpu_cfs_quota="cpu-quota" in limits,
        cpu_shares="cpu-shares" in limits,
        cpu_set="cpuset" in limits,
        pids_limit="pids" in limits,
        ipv4_forwarding=found.ipv4_forwarding,
        debug=config.debug,
        n_fd=found.open_files,
        oom_kill_disable=facts.cgroup_version == 1,
        n_goroutines=len(asyncio.all_tasks()),
        system_time=format_moment(found.system_time),
        logging_driver=config.log_driver,
        cgroup_version=str(facts.cgroup_version),
        n_events_listener=found.listeners,
        kernel_version=facts.kernel,
        operating_system=facts.operating_system,
        os_version=facts.os_version,
        architecture=facts.architecture,
        registry_config=_registries(config.registry_mirrors, config.insecure_registries),
        n_cpu=facts.cpus,
        mem_total=facts.memory,
        docker_root_dir=config.data_root,
        name=facts.hostname,
        labels=list(config.labels),
        server_version=DOCKER_COMPATIBLE,
        runtimes={name: RuntimeInfo(path=path) for name, path in found.runtimes.items()},
        default_runtime=config.default_runtime,
        security_options=_security_options(found),
        cdi_spec_dirs=list(registry.folders),
        discovered_devices=_devices(seen, version),
        warnings=[*found.warnings, *wrong] or None,
    )


def _devices(seen: RegistryScan, version: Version) -> list[DeviceInfo] | UnsetType:
    """Left out where there are none, and for clients that do not know them."""
    if not seen.devices or not has_discovered_devices(version):
        return UNSET
    return [DeviceInfo(source="cdi", id=name) for name in seen.devices]


def _registries(mirrors: tuple[str, ...], insecure: tuple[str, ...]) -> RegistryInfo:
    hub = IndexInfo(name="docker.io", mirrors=list(mirrors), secure=True, official=True)
    named = {name: IndexInfo(name=name, mirrors=[], secure=False, official=False) for name in insecure if "/" not in name}
    networks = [network for network in insecure if "/" in network]
    return RegistryInfo(
        index_configs={"docker.io": hub, **named}, insecure_registry_cidrs=[*_LOOPBACK, *networks], mirrors=list(mirrors) or None
    )


def _security_options(found: SystemInfo) -> list[str]:
    options = []
    if found.features.has_apparmor:
        options.append("name=apparmor")
    if found.features.has_seccomp:
        options.append(f"name=seccomp,profile={found.config.seccomp_profile or 'builtin'}")
    if found.facts.cgroup_version == 2:
        options.append("name=cgroupns")
    return options
