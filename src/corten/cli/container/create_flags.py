"""The flags of `create` and `run`: what a container is to be.

# shape: data
"""

from corten.cli.flags import Flag
from corten.cli.kinds import BOOL, INT, LIST, MAP, STRING, UINT, UINT16
from corten.cli.options.devices import BYTE_RATES, CGROUP_RULES, GPUS, OPERATION_RATES, WEIGHTS
from corten.cli.options.environment import ENV, FILES, LABEL
from corten.cli.options.mounts import MOUNT
from corten.cli.options.networking import ADDRESSES, EXTRA_HOSTS, LINKS, NETWORKS, SEARCH_DOMAINS
from corten.cli.options.policies import ATTACH, SYSCTL, ULIMIT
from corten.cli.options.quantities import BYTES, CPUS, DURATION, SWAP

WINDOWS = "only engines on Windows have it"

PROCESS = (
    Flag("attach", ATTACH, "Attach to STDIN, STDOUT or STDERR", short="a"),
    Flag("entrypoint", STRING, "Program to run in place of the image's ENTRYPOINT"),
    Flag("env", ENV, "Set an environment variable; NAME alone passes on this shell's value", short="e"),
    Flag("env-file", FILES, "Read environment variables from a file"),
    Flag("init", BOOL, "Run a small init as process 1 that passes on signals and reaps processes"),
    Flag("interactive", BOOL, "Keep stdin open", short="i"),
    Flag("stop-signal", STRING, "Signal that stops the container"),
    Flag("stop-timeout", INT, "Seconds to wait after it before killing"),
    Flag("tty", BOOL, "Give it a terminal", short="t"),
    Flag("user", STRING, "User or uid, and group or gid (<name|uid>[:<group|gid>])", short="u"),
    Flag("group-add", LIST, "Further group of the user"),
    Flag("workdir", STRING, "Working directory in the container", short="w"),
    Flag("health-cmd", STRING, "Command that tells whether the container is healthy"),
    Flag("health-interval", DURATION, "Time between two checks (ms|s|m|h)"),
    Flag("health-retries", INT, "Failures in a row until it counts as unhealthy"),
    Flag("health-start-interval", DURATION, "Time between two checks while it starts (ms|s|m|h)"),
    Flag("health-start-period", DURATION, "Time to start in which failures do not count (ms|s|m|h)"),
    Flag("health-timeout", DURATION, "Time that one check may take (ms|s|m|h)"),
    Flag("no-healthcheck", BOOL, "Switch off the image's HEALTHCHECK"),
)
IDENTITY = (
    Flag("annotation", MAP, "Annotation for the OCI runtime"),
    Flag("cidfile", STRING, "Write the container's id to this file"),
    Flag("label", LABEL, "Label (key=value)", short="l"),
    Flag("label-file", FILES, "Read labels from a file"),
    Flag("name", STRING, "Name of the container"),
    Flag("platform", STRING, "Platform of the image (os[/arch[/variant]])"),
    Flag("pull", STRING, 'When to pull the image ("always", "missing", "never")', default="missing"),
    Flag("quiet", BOOL, "Do not show a pull's progress", short="q"),
    Flag("restart", STRING, "When to start it again after it ended (no, always, unless-stopped, on-failure[:times])", default="no"),
    Flag("rm", BOOL, "Remove the container and its anonymous volumes when it ends"),
    Flag("runtime", STRING, "OCI runtime to use"),
    Flag("disable-content-trust", BOOL, "Accepted for Docker's sake", default=True).hide(),
)
FILES_AND_VOLUMES = (
    Flag("as-me", BOOL, "What it writes into bind mounts belongs to you, whoever it is inside (Linux 5.12, id-mapped mounts)"),
    Flag("mount", MOUNT, "Mount (type=bind|volume|tmpfs|image,source=…,target=…[,readonly])"),
    Flag("read-only", BOOL, "Make the container's root file system read-only"),
    Flag("shm-size", BYTES, "Size of /dev/shm"),
    Flag("storage-opt", LIST, "Option of the storage driver"),
    Flag("tmpfs", LIST, "Mount a tmpfs (path[:options])"),
    Flag("use-api-socket", BOOL, "Give the container the engine's socket"),
    Flag("volume", LIST, "Mount a host path or volume (source:path[:options])", short="v"),
    Flag("volume-driver", STRING, "Driver of volumes that are made"),
    Flag("volumes-from", LIST, "Mount all volumes of another container (name[:ro])"),
)
NETWORK = (
    Flag("add-host", EXTRA_HOSTS, "Line for /etc/hosts (host:ip)"),
    Flag("dns", ADDRESSES, "DNS server"),
    Flag("dns-option", LIST, "DNS option"),
    Flag("dns-opt", LIST, "").hide(alias_of="dns-option"),
    Flag("dns-search", SEARCH_DOMAINS, "DNS search domain"),
    Flag("domainname", STRING, "Domain name of the container"),
    Flag("expose", LIST, "Port or range that the container listens on"),
    Flag("hostname", STRING, "Host name of the container", short="h"),
    Flag("ip", STRING, "IPv4 address"),
    Flag("ip6", STRING, "IPv6 address"),
    Flag("link", LINKS, "Link to another container (name[:alias])"),
    Flag("link-local-ip", LIST, "Link-local address"),
    Flag("mac-address", STRING, "MAC address"),
    Flag("network", NETWORKS, "Network to join (none, host, container:NAME, a network's name)"),
    Flag("net", NETWORKS, "").hide(alias_of="network"),
    Flag("network-alias", LIST, "Further name on the network"),
    Flag("net-alias", LIST, "").hide(alias_of="network-alias"),
    Flag("publish", LIST, "Publish a port ([ip:][host:]container[/proto])", short="p"),
    Flag("publish-all", BOOL, "Publish all exposed ports on free ports of the host", short="P"),
)
CONFINEMENT = (
    Flag("cap-add", LIST, "Capability to add"),
    Flag("cap-drop", LIST, "Capability to drop"),
    Flag("cgroup-parent", STRING, "Parent cgroup"),
    Flag("cgroupns", STRING, "Cgroup namespace (host|private)"),
    Flag("device", LIST, "Host device to add (path[:path][:rwm], or a CDI name)"),
    Flag("device-cgroup-rule", CGROUP_RULES, "Rule for the cgroup's device list (c 1:3 rwm)"),
    Flag("gpus", GPUS, "GPUs to add (all, a number, or device=…)"),
    Flag("ipc", STRING, "IPC namespace (none, private, shareable, host, container:NAME)"),
    Flag("isolation", STRING, "Isolation technology (Windows)"),
    Flag("pid", STRING, "PID namespace (host, container:NAME)"),
    Flag("privileged", BOOL, "Give the container all rights of the host's root"),
    Flag("security-opt", LIST, "Security option"),
    Flag("sysctl", SYSCTL, "Kernel parameter of the container's namespaces (name=value)"),
    Flag("userns", STRING, "User namespace (host)"),
    Flag("uts", STRING, "UTS namespace (host)"),
)
LIMITS = (
    Flag("blkio-weight", UINT16, "Share of disk I/O, from 10 to 1000; 0 switches it off"),
    Flag("blkio-weight-device", WEIGHTS, "Share of one device's I/O (path:weight)"),
    Flag("cpu-count", INT, "Number of processors (Windows)", refusal=WINDOWS),
    Flag("cpu-percent", INT, "Percentage of the processor (Windows)", refusal=WINDOWS),
    Flag("cpu-period", INT, "Period of the CFS scheduler in microseconds"),
    Flag("cpu-quota", INT, "Quota of the CFS scheduler in microseconds"),
    Flag("cpu-rt-period", INT, "Real-time period in microseconds"),
    Flag("cpu-rt-runtime", INT, "Real-time runtime in microseconds"),
    Flag("cpu-shares", INT, "Share of processor time (relative weight)", short="c"),
    Flag("cpus", CPUS, "Number of processors"),
    Flag("cpuset-cpus", STRING, "Processors it may run on (0-3, 0,1)"),
    Flag("cpuset-mems", STRING, "Memory nodes it may use (0-3, 0,1)"),
    Flag("device-read-bps", BYTE_RATES, "Limit of bytes read per second (path:rate)"),
    Flag("device-read-iops", OPERATION_RATES, "Limit of reads per second (path:rate)"),
    Flag("device-write-bps", BYTE_RATES, "Limit of bytes written per second (path:rate)"),
    Flag("device-write-iops", OPERATION_RATES, "Limit of writes per second (path:rate)"),
    Flag("io-maxbandwidth", BYTES, "Limit of I/O bandwidth (Windows)", refusal=WINDOWS),
    Flag("io-maxiops", UINT, "Limit of I/O operations (Windows)", refusal=WINDOWS),
    Flag("kernel-memory", BYTES, "Accepted for Docker's sake").hide(),
    Flag("memory", BYTES, "Memory limit", short="m"),
    Flag("memory-reservation", BYTES, "Memory that it should be content with when memory is short"),
    Flag("memory-swap", SWAP, "Limit of memory and swap together; -1 for no limit"),
    Flag("memory-swappiness", INT, "Inclination to swap (0 to 100)", default=-1),
    Flag("oom-kill-disable", BOOL, "Do not kill it when memory is exhausted"),
    Flag("oom-score-adj", INT, "How readily the kernel kills it (-1000 to 1000)"),
    Flag("pids-limit", INT, "Limit of processes; -1 for none"),
    Flag("ulimit", ULIMIT, "Resource limit (name=soft[:hard])"),
)
LOGGING = (
    Flag("log-driver", STRING, "Log driver"),
    Flag("log-opt", LIST, "Option of the log driver"),
)
CONTAINER_FLAGS = (*PROCESS, *IDENTITY, *FILES_AND_VOLUMES, *NETWORK, *CONFINEMENT, *LIMITS, *LOGGING)
