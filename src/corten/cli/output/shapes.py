"""Which parts of an inspected object are maps, pointers and left-out fields.

Docker runs an inspect template on typed values first. There a known field that the JSON leaves out is empty rather than an error, a missing
key of a map is `<no value>`, and null prints as `[]`, `map[]` or `<nil>`. Field names are the Engine API's; only what differs from "a
struct of plain fields whose null is an empty list" is listed.
"""

from collections.abc import Mapping
from typing import Any

from corten.cli.template.values import NIL_MAP, NIL_POINTER, NIL_SLICE, NO_VALUE, GoMap, GoTime, Struct


class Shape:
    """A struct unless `map_zero` is set: then a map whose values have the shape `element` and whose missing key gives `map_zero`."""

    __slots__ = ("absent", "aliases", "element", "fields", "map_zero", "null", "order", "time")

    def __init__(
        self,
        fields: "Mapping[str, Shape] | None" = None,
        *,
        absent: Mapping[str, Any] | None = None,
        aliases: Mapping[str, str] | None = None,
        element: "Shape | None" = None,
        map_zero: Any = None,
    ) -> None:
        self.fields = fields or {}
        self.absent = absent or {}
        self.aliases = aliases or {}
        self.element = element
        self.map_zero = map_zero
        self.null = NIL_POINTER if map_zero is None else NIL_MAP
        self.time = False
        self.order: Mapping[str, int] = {}


def typed(value: Any, shape: Shape | None) -> Any:
    """JSON as Go would hold it in a value of this shape."""
    match value:
        case None:
            return shape.null if shape else NIL_SLICE
        case list():
            return [typed(v, shape) for v in value]
        case dict() if shape and shape.map_zero is not None:
            return GoMap({k: typed(v, shape.element) for k, v in value.items()}, shape.map_zero)
        case dict():
            known = shape or PLAIN
            names = sorted(value, key=lambda name: known.order.get(name, len(known.order))) if known.order else value
            return Struct({k: typed(value[k], known.fields.get(k)) for k in names}, absent=known.absent, aliases=known.aliases)
        case str() if shape and shape.time:
            return GoTime(value)
    return value


def _ordered(*names: str) -> Mapping[str, int]:
    return {name: at for at, name in enumerate(names)}


PLAIN = Shape()
POINTER = Shape()
STRINGS = Shape(map_zero="")
SET = Shape(map_zero=NO_VALUE)
TIME = Shape()
TIME.time = True

CONFIG = Shape(
    {"Labels": STRINGS, "Volumes": SET, "ExposedPorts": SET},
    absent={
        "ExposedPorts": NIL_MAP,
        "Healthcheck": NIL_POINTER,
        "ArgsEscaped": False,
        "NetworkDisabled": False,
        "MacAddress": "",
        "StopSignal": "",
        "StopTimeout": NIL_POINTER,
        "Shell": NIL_SLICE,
        "OnBuild": NIL_SLICE,
    },
)
HEALTHCHECK = Shape()
HEALTHCHECK.order = _ordered("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")
IMAGE_CONFIG = Shape({**CONFIG.fields, "Healthcheck": HEALTHCHECK}, absent=CONFIG.absent)
IMAGE_CONFIG.order = _ordered(
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal", "ArgsEscaped", "Healthcheck",
    "OnBuild", "Shell",
)  # fmt: skip
"""The engine sends an image's as a map; Go's struct has them in this order."""
HEALTH = Shape({"Log": Shape({"Start": TIME, "End": TIME})})
HOST_CONFIG = Shape(
    {
        "LogConfig": Shape({"Config": STRINGS}),
        "PortBindings": Shape(map_zero=NIL_SLICE),
        "Annotations": STRINGS,
        "StorageOpt": STRINGS,
        "Tmpfs": STRINGS,
        "Sysctls": STRINGS,
        "MemorySwappiness": POINTER,
        "OomKillDisable": POINTER,
        "PidsLimit": POINTER,
        "Init": POINTER,
        "DeviceRequests": Shape({"Options": STRINGS}),
    },
    absent={
        "Annotations": NIL_MAP,
        "StorageOpt": NIL_MAP,
        "Tmpfs": NIL_MAP,
        "Sysctls": NIL_MAP,
        "Runtime": "",
        "Mounts": NIL_SLICE,
        "Init": NIL_POINTER,
        "KernelMemory": 0,
        "KernelMemoryTCP": 0,
    },
    aliases={"NanoCPUs": "NanoCpus", "CPUShares": "CpuShares", "CPUPeriod": "CpuPeriod", "CPUQuota": "CpuQuota", "DNS": "Dns"}
    | {"DNSOptions": "DnsOptions", "DNSSearch": "DnsSearch", "CPUCount": "CpuCount", "CPUPercent": "CpuPercent"},
)
ENDPOINT = Shape({"IPAMConfig": POINTER, "DriverOpts": STRINGS})
GRAPH_DRIVER = Shape({"Data": STRINGS})
CONTAINER = Shape(
    {
        "State": Shape({"Health": HEALTH}, absent={"Health": NIL_POINTER}),
        "Config": CONFIG,
        "HostConfig": HOST_CONFIG,
        "GraphDriver": GRAPH_DRIVER,
        "NetworkSettings": Shape(
            {"Networks": Shape(map_zero=NIL_POINTER, element=ENDPOINT), "Ports": Shape(map_zero=NO_VALUE)},
        ),
    },
    absent={"SizeRw": NIL_POINTER, "SizeRootFs": NIL_POINTER, "ImageManifestDescriptor": NIL_POINTER},
    aliases={"ID": "Id"},
)
IMAGE = Shape(
    {
        "Config": IMAGE_CONFIG,
        "GraphDriver": GRAPH_DRIVER,
        "RootFS": Shape(absent={"Layers": NIL_SLICE}),
        "Metadata": Shape({"LastTagTime": TIME}),
        "Descriptor": POINTER,
    },
    absent={"Created": "", "Variant": "", "OsVersion": "", "VirtualSize": 0, "Descriptor": NIL_POINTER, "Manifests": NIL_SLICE},
    aliases={"ID": "Id"},
)
NETWORK = Shape(
    {
        "Created": TIME,
        "IPAM": Shape(
            {"Options": STRINGS, "Config": Shape({"AuxAddress": STRINGS}, absent={"Subnet": "", "IPRange": "", "Gateway": ""})},
        ),
        "Containers": Shape(map_zero=NIL_POINTER, element=PLAIN),
        "Options": STRINGS,
        "Labels": STRINGS,
    },
    absent={"Peers": NIL_SLICE, "Services": NIL_MAP},
    aliases={"ID": "Id"},
)
VOLUME = Shape(
    {"Labels": STRINGS, "Options": STRINGS, "Status": SET},
    absent={"ClusterVolume": NIL_POINTER, "CreatedAt": "", "Status": NIL_MAP, "UsageData": NIL_POINTER},
)
INFO = Shape(
    {
        "Runtimes": Shape(map_zero=NO_VALUE, element=Shape({"status": STRINGS})),
        "Containerd": POINTER,
        "Plugins": Shape(absent={"Authorization": NIL_SLICE}),
    },
    absent={
        "Containerd": NIL_POINTER,
        "DefaultAddressPools": NIL_SLICE,
        "CDISpecDirs": NIL_SLICE,
        "DiscoveredDevices": NIL_SLICE,
        "FirewallBackend": NIL_POINTER,
        "ProductLicense": "",
        "SystemStatus": NIL_SLICE,
        "Warnings": NIL_SLICE,
    },
)
EVENT = Shape(
    {"Actor": Shape({"Attributes": STRINGS}, absent={"ID": "", "Attributes": NIL_MAP})},
    absent={"status": "", "id": "", "from": "", "scope": "", "Type": "", "Action": "", "time": 0, "timeNano": 0},
    aliases={"Status": "status", "ID": "id", "From": "from", "Scope": "scope", "Time": "time", "TimeNano": "timeNano"},
)
