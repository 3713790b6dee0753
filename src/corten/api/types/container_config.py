"""ContainerConfig on the wire, both ways: what create sends, what images carry, what inspect shows under Config."""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, UnsetType

from corten.api.types.host_config import string_list
from corten.api.wire import Int64, WireStruct
from corten.engine.values.container import ContainerConfig, HealthCheck

Set = dict[str, dict[str, Any] | None]
"""Go's map[string]struct{}."""


class HealthcheckBody(WireStruct, frozen=True, kw_only=True, omit_defaults=True):
    test: list[str] | None = None
    interval: Int64 | None = None
    timeout: Int64 | None = None
    start_period: Int64 | None = None
    start_interval: Int64 | None = None
    retries: Int64 | None = None


class ContainerConfigBody(WireStruct, frozen=True, kw_only=True):
    hostname: str | None = None
    domainname: str | None = None
    user: str | None = None
    attach_stdin: bool | None = None
    attach_stdout: bool | None = None
    attach_stderr: bool | None = None
    exposed_ports: Set | UnsetType | None = UNSET
    tty: bool | None = None
    open_stdin: bool | None = None
    stdin_once: bool | None = None
    env: list[str] | None = None
    cmd: str | list[str] | None = None
    healthcheck: HealthcheckBody | UnsetType | None = UNSET
    args_escaped: bool | UnsetType | None = UNSET
    image: str | None = None
    volumes: Set | None = None
    working_dir: str | None = None
    entrypoint: str | list[str] | None = None
    network_disabled: bool | UnsetType | None = UNSET
    mac_address: str | UnsetType | None = UNSET
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | UnsetType | None = UNSET
    stop_timeout: Int64 | UnsetType | None = UNSET
    shell: list[str] | UnsetType | None = UNSET


def to_config(body: ContainerConfigBody) -> ContainerConfig:
    """An empty list is something else than none at all for Cmd and Entrypoint: it undoes the image's."""
    return ContainerConfig(
        hostname=body.hostname or "",
        domainname=body.domainname or "",
        user=body.user or "",
        attach_stdin=bool(body.attach_stdin),
        attach_stdout=bool(body.attach_stdout),
        attach_stderr=bool(body.attach_stderr),
        exposed_ports=tuple(body.exposed_ports or ()),
        tty=bool(body.tty),
        open_stdin=bool(body.open_stdin),
        stdin_once=bool(body.stdin_once),
        env=tuple(body.env or ()),
        cmd=None if body.cmd is None else string_list(body.cmd),
        args_escaped=bool(body.args_escaped),
        entrypoint=None if body.entrypoint is None else string_list(body.entrypoint),
        healthcheck=to_healthcheck(body.healthcheck),
        image=body.image or "",
        volumes=tuple(body.volumes or ()),
        working_dir=body.working_dir or "",
        network_disabled=bool(body.network_disabled),
        mac_address=body.mac_address or "",
        on_build=tuple(body.on_build or ()),
        labels=body.labels or {},
        stop_signal=body.stop_signal or "",
        stop_timeout=None if isinstance(body.stop_timeout, UnsetType) else body.stop_timeout,
        shell=tuple(body.shell) if body.shell else None,
    )


def to_healthcheck(body: HealthcheckBody | UnsetType | None) -> HealthCheck | None:
    if not isinstance(body, HealthcheckBody):
        return None
    return HealthCheck(
        test=tuple(body.test or ()),
        interval=body.interval or 0,
        timeout=body.timeout or 0,
        start_period=body.start_period or 0,
        start_interval=body.start_interval or 0,
        retries=body.retries or 0,
    )


def from_config(config: ContainerConfig) -> ContainerConfigBody:
    return ContainerConfigBody(
        hostname=config.hostname,
        domainname=config.domainname,
        user=config.user,
        attach_stdin=config.attach_stdin,
        attach_stdout=config.attach_stdout,
        attach_stderr=config.attach_stderr,
        exposed_ports=_from_names(config.exposed_ports) or UNSET,
        tty=config.tty,
        open_stdin=config.open_stdin,
        stdin_once=config.stdin_once,
        env=list(config.env) or None,
        cmd=None if config.cmd is None else list(config.cmd),
        healthcheck=UNSET if config.healthcheck is None else from_healthcheck(config.healthcheck),
        args_escaped=config.args_escaped or UNSET,
        image=config.image,
        volumes=_from_names(config.volumes) or None,
        working_dir=config.working_dir,
        entrypoint=None if config.entrypoint is None else list(config.entrypoint),
        network_disabled=config.network_disabled or UNSET,
        mac_address=config.mac_address or UNSET,
        on_build=list(config.on_build) or None,
        labels=config.labels,
        stop_signal=config.stop_signal or UNSET,
        stop_timeout=UNSET if config.stop_timeout is None else config.stop_timeout,
        shell=UNSET if config.shell is None else list(config.shell),
    )


def from_healthcheck(check: HealthCheck) -> HealthcheckBody:
    return HealthcheckBody(
        test=list(check.test) or None,
        interval=check.interval or None,
        timeout=check.timeout or None,
        start_period=check.start_period or None,
        start_interval=check.start_interval or None,
        retries=check.retries or None,
    )


def _from_names(names: Iterable[str]) -> Set:
    return {name: {} for name in names}
