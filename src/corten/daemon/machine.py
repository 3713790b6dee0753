"""What the configuration and this machine say to the engine: facts for specs, settings for registries."""

import os

from corten.config import Config
from corten.engine.init import install_init
from corten.engine.spec.placement import Machine
from corten.engine.spec.security import SecurityOptions
from corten.engine.values.container import Ulimit
from corten.errors import Unavailable
from corten.kernel.probe import KernelFeatures
from corten.registry.hosts import RegistrySettings
from corten.registry.proxies import ProxySettings


def machine_of(config: Config, features: KernelFeatures) -> Machine:
    os.makedirs(config.data_root, mode=0o710, exist_ok=True)
    return Machine(
        arch=features.machine,
        kernel=features.release,
        cgroup_version=features.cgroup_version,
        cgroup_parent=config.cgroup_parent,
        capabilities=features.capabilities,
        limits=features.limits,
        has_recursive_read_only="mount_setattr" in features.syscalls,
        ulimits={u.name: Ulimit(name=u.name, soft=u.soft, hard=u.hard) for u in config.default_ulimits},
        security=SecurityOptions(no_new_privileges=config.no_new_privileges),
        seccomp_profile=_seccomp_profile(config.seccomp_profile),
        has_seccomp=features.has_seccomp,
        has_apparmor=features.has_apparmor,
        init=config.init,
        init_path=install_init(config.data_root, features.machine),
    )


def _seccomp_profile(name: str) -> str:
    """The daemon's default: built-in, unconfined, or the text of a file."""
    if name in ("", "builtin"):
        return ""
    if name == "unconfined":
        return name
    try:
        with open(name, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise Unavailable(f"opening seccomp profile ({name}) failed: {error.strerror}", reason="seccomp-profile") from error


def registry_settings(config: Config) -> RegistrySettings:
    """Twice as many requests as Docker has layers under way: a large layer comes by several."""
    proxies = ProxySettings.of(os.environ, http=config.http_proxy, https=config.https_proxy, no_proxy=config.no_proxy)
    connections = 2 * max(1, config.max_downloads)
    return RegistrySettings(config.registry_mirrors, config.insecure_registries, proxies=proxies, connections=connections)
