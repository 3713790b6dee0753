"""The body of POST /containers/create out of the flags of `create` and `run`: the one Docker's CLI sends for the same flags."""

import os
from typing import Any

from corten.cli.flags import Values
from corten.cli.options import devices, environment, mounts, networking, policies, ports

Json = dict[str, Any]


class Streams:
    """Which of the container's streams the CLI attaches to. Detached: none."""

    __slots__ = ("stderr", "stdin", "stdout")

    def __init__(self, values: Values, *, detached: bool) -> None:
        named = values.texts("attach")
        self.stdin = not detached and ("stdin" in named or values.on("interactive"))
        self.stdout = not detached and ("stdout" in named or not named)
        self.stderr = not detached and ("stderr" in named or not named)

    def any(self) -> bool:
        return self.stdin or self.stdout or self.stderr


def create_body(values: Values, arguments: list[str], streams: Streams) -> Json:
    """`arguments` are the image and its command. Raises ValueError with Docker's sentence."""
    exposed = ports.exposed(values.texts("expose"))
    bound, bindings = ports.published(values.texts("publish"))
    binds, anonymous = mounts.volumes(values.texts("volume"))
    networks = networking.attachments(values)
    networking.check_mac(networks[0].mac)
    config = _process(values, arguments, streams)
    if exposed or bound:
        config["ExposedPorts"] = exposed | bound
    config["Volumes"] = anonymous
    host = {
        "Binds": binds or None,
        "PortBindings": bindings,
        "NetworkMode": networks[0].target,
        **_life(values),
        **_names(values),
        **_confinement(values),
        **_resources(values),
    }
    if requested := values.items("mount"):
        host["Mounts"] = requested
    if table := mounts.tmpfs(values.texts("tmpfs")):
        host["Tmpfs"] = table
    endpoints = networking.endpoints(networks, named=values.given("network"))
    return {**config, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": endpoints}}


def _process(values: Values, arguments: list[str], streams: Streams) -> Json:
    interactive = values.on("interactive")
    config: Json = {
        "Hostname": values.text("hostname"),
        "Domainname": values.text("domainname"),
        "User": values.text("user"),
        "AttachStdin": streams.stdin,
        "AttachStdout": streams.stdout,
        "AttachStderr": streams.stderr,
        "Tty": values.on("tty"),
        "OpenStdin": interactive,
        "StdinOnce": interactive and streams.stdin,
        "Env": environment.environment(values.texts("env"), values.texts("env-file")) or None,
        "Cmd": arguments[1:] or None,
        "Image": arguments[0],
        "WorkingDir": values.text("workdir"),
        "Entrypoint": [values.text("entrypoint")] if values.given("entrypoint") else None,
        "OnBuild": None,
        "Labels": environment.labels(values.texts("label"), values.texts("label-file")),
    }
    if signal := values.text("stop-signal"):
        config["StopSignal"] = signal
    if values.given("stop-timeout"):
        config["StopTimeout"] = values.number("stop-timeout")
    if check := _healthcheck(values):
        config["Healthcheck"] = check
    return config


def _healthcheck(values: Values) -> Json:
    """Only what was said: the engine takes the rest from the image."""
    numbers = {
        "Interval": "health-interval",
        "Timeout": "health-timeout",
        "StartPeriod": "health-start-period",
        "StartInterval": "health-start-interval",
        "Retries": "health-retries",
    }
    command = values.text("health-cmd")
    said = {key: values.number(flag) for key, flag in numbers.items() if values.number(flag)}
    for key, flag in numbers.items():
        if said.get(key, 0) < 0:
            raise ValueError(f"--{flag} cannot be negative")
    if values.on("no-healthcheck"):
        if command or said:
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    return {"Test": ["CMD-SHELL", command], **said} if command else said


def _life(values: Values) -> Json:
    """From creation to removal."""
    policy = policies.restart_policy(values.text("restart"))
    if values.on("rm") and policy["Name"] not in {"", "no"}:
        raise ValueError("conflicting options: cannot specify both --restart and --rm")
    life: Json = {
        "ContainerIDFile": values.text("cidfile"),
        "LogConfig": policies.log_config(values.text("log-driver"), values.texts("log-opt")),
        "RestartPolicy": policy,
        "AutoRemove": values.on("rm"),
        "VolumeDriver": values.text("volume-driver"),
        "VolumesFrom": values.texts("volumes-from") or None,
        "ConsoleSize": [0, 0],
        "Isolation": values.text("isolation"),
    }
    annotations = dict(values.items("annotation"))
    if values.on("as-me"):
        annotations["corten.bind-owner"] = _me()
    if annotations:
        life["Annotations"] = annotations
    if options := policies.storage_options(values.texts("storage-opt")):
        life["StorageOpt"] = options
    if runtime := values.text("runtime"):
        life["Runtime"] = runtime
    if values.given("init"):
        life["Init"] = values.on("init")
    return life


def _me() -> str:
    """Who types, also behind sudo."""
    if os.getuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal() and os.environ.get("SUDO_GID", "").isdecimal():
        return f"{os.environ['SUDO_UID']}:{os.environ['SUDO_GID']}"
    return f"{os.getuid()}:{os.getgid()}"


def _names(values: Values) -> Json:
    return {
        "Dns": values.texts("dns"),
        "DnsOptions": values.texts("dns-option"),
        "DnsSearch": values.texts("dns-search"),
        "ExtraHosts": values.texts("add-host") or None,
        "Links": values.texts("link") or None,
        "PublishAllPorts": values.on("publish-all"),
    }


def _confinement(values: Values) -> Json:
    options, unconfined = policies.security_options(values.texts("security-opt"))
    confinement: Json = {
        "CapAdd": policies.capabilities(values.texts("cap-add")),
        "CapDrop": policies.capabilities(values.texts("cap-drop")),
        "CgroupnsMode": _cgroup_mode(values.text("cgroupns")),
        "GroupAdd": values.texts("group-add") or None,
        "IpcMode": values.text("ipc"),
        "Cgroup": "",
        "PidMode": policies.check_mode("pid", values.text("pid"), label="PID", others=("container:",)),
        "Privileged": values.on("privileged"),
        "ReadonlyRootfs": values.on("read-only"),
        "SecurityOpt": options,
        "UTSMode": policies.check_mode("uts", values.text("uts"), label="UTS"),
        "UsernsMode": policies.check_mode("userns", values.text("userns"), label="USER"),
        "MaskedPaths": [] if unconfined else None,
        "ReadonlyPaths": [] if unconfined else None,
    }
    if sysctls := dict(values.items("sysctl")):
        confinement["Sysctls"] = sysctls
    return confinement


def _cgroup_mode(mode: str) -> str:
    if mode not in {"", "host", "private"}:
        raise ValueError("--cgroupns: invalid CGROUP mode")
    return mode


def _resources(values: Values) -> Json:
    swappiness = values.number("memory-swappiness")
    if not -1 <= swappiness <= 100:
        raise ValueError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    plain, cdi = devices.devices(values.texts("device"))
    return {
        "OomScoreAdj": values.number("oom-score-adj"),
        "ShmSize": values.number("shm-size"),
        "CpuShares": values.number("cpu-shares"),
        "Memory": values.number("memory"),
        "NanoCpus": values.number("cpus"),
        "CgroupParent": values.text("cgroup-parent"),
        "BlkioWeight": values.number("blkio-weight"),
        "BlkioWeightDevice": values.items("blkio-weight-device"),
        "BlkioDeviceReadBps": values.items("device-read-bps"),
        "BlkioDeviceWriteBps": values.items("device-write-bps"),
        "BlkioDeviceReadIOps": values.items("device-read-iops"),
        "BlkioDeviceWriteIOps": values.items("device-write-iops"),
        "CpuPeriod": values.number("cpu-period"),
        "CpuQuota": values.number("cpu-quota"),
        "CpuRealtimePeriod": values.number("cpu-rt-period"),
        "CpuRealtimeRuntime": values.number("cpu-rt-runtime"),
        "CpusetCpus": values.text("cpuset-cpus"),
        "CpusetMems": values.text("cpuset-mems"),
        "Devices": plain,
        "DeviceCgroupRules": values.texts("device-cgroup-rule") or None,
        "DeviceRequests": [*values.items("gpus"), *cdi] or None,
        "MemoryReservation": values.number("memory-reservation"),
        "MemorySwap": values.number("memory-swap"),
        "MemorySwappiness": swappiness,
        "OomKillDisable": values.on("oom-kill-disable"),
        "PidsLimit": values.number("pids-limit"),
        "Ulimits": policies.last_of_each(values.items("ulimit")),
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    }
