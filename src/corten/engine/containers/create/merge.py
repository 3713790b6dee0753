"""What a container runs: the user's configuration over the image's, by Docker's rules.

Environment, labels, ports and volumes are joined (the user's entries win and come first); a user's entrypoint also drops the
image's command; anything else the user did not say is the image's.
"""

import posixpath
from dataclasses import replace

from corten.engine.values.container import ContainerConfig, HealthCheck
from corten.errors import Invalid
from corten.oci.image import Healthcheck as ImageHealthcheck
from corten.oci.image import RunConfig


def merged(config: ContainerConfig, image: RunConfig) -> ContainerConfig:
    """`config` completed from the image's. None and empty mean "not said", except for an entrypoint of [""], which clears it."""
    entrypoint, cmd = _command(config, image)
    return replace(
        config,
        user=config.user or image.user,
        exposed_ports=_joined(config.exposed_ports, image.exposed_ports),
        env=_environment(config.env, tuple(image.env or ())),
        entrypoint=entrypoint,
        cmd=cmd,
        labels=(image.labels or {}) | config.labels,
        working_dir=_clean(config.working_dir or image.working_dir),
        volumes=_joined(config.volumes, image.volumes),
        stop_signal=config.stop_signal or image.stop_signal,
        healthcheck=_healthcheck(config.healthcheck, image.healthcheck),
        shell=config.shell if config.shell is not None or image.shell is None else tuple(image.shell),
        on_build=config.on_build or tuple(image.on_build or ()),
    )


def argv(config: ContainerConfig) -> tuple[str, ...]:
    """The process a merged configuration starts; raises Invalid when neither image nor user names one."""
    entrypoint = config.entrypoint or ()
    if entrypoint == ("",):
        entrypoint = ()
    command = (*entrypoint, *(config.cmd or ()))
    if not command:
        raise Invalid("no command specified", reason="no-command")
    return command


def _command(config: ContainerConfig, image: RunConfig) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    entrypoint, cmd = config.entrypoint, config.cmd
    if not entrypoint:
        if not cmd and image.cmd is not None:
            cmd = tuple(image.cmd)
        if entrypoint is None and image.entrypoint is not None:
            entrypoint = tuple(image.entrypoint)
    return entrypoint, cmd


def _clean(path: str) -> str:
    """`/a/../b//c/` is `/b/c`; a relative path is for a check to refuse."""
    return "/" + posixpath.normpath(path).lstrip("/") if path.startswith("/") else path


def _joined(own: tuple[str, ...], inherited: dict[str, object] | None) -> tuple[str, ...]:
    return (*own, *(key for key in inherited or () if key not in own))


def _environment(own: tuple[str, ...], inherited: tuple[str, ...]) -> tuple[str, ...]:
    if not own:
        return inherited
    said = {entry.partition("=")[0] for entry in own}
    return (*own, *(entry for entry in inherited if entry.partition("=")[0] not in said))


def _healthcheck(own: HealthCheck | None, image: ImageHealthcheck | None) -> HealthCheck | None:
    if image is None:
        return own
    inherited = HealthCheck(
        test=tuple(image.test or ()),
        interval=image.interval,
        timeout=image.timeout,
        start_period=image.start_period,
        start_interval=image.start_interval,
        retries=image.retries,
    )
    if own is None:
        return inherited
    return HealthCheck(
        test=own.test or inherited.test,
        interval=own.interval or inherited.interval,
        timeout=own.timeout or inherited.timeout,
        start_period=own.start_period or inherited.start_period,
        start_interval=own.start_interval or inherited.start_interval,
        retries=own.retries or inherited.retries,
    )
