"""The whole surface in one table: every command, its names, arguments and where its code is. Nothing else is imported here.

# shape: data
"""

from typing import NamedTuple

OPTIONS = "[OPTIONS]"


class Command(NamedTuple):
    """`target` is `module:ATTRIBUTE` below corten.cli, an `Action`. `arguments` are the least and the most of them (None: any number).

    `passes_on`: flags end at the first argument, since what follows belongs to another program. `common`: listed first in the overview.
    """

    names: tuple[str, ...]
    target: str
    usage: str
    arguments: tuple[int, int | None]
    summary: str
    details: str = ""
    passes_on: bool = False
    common: bool = False


NONE = (0, 0)
ANY = (0, None)
ONE = (1, 1)
TWO = (2, 2)
SOME = (1, None)
MAYBE = (0, 1)

GROUPS: tuple[tuple[str, str], ...] = (
    ("builder", "Builds and their cache"),
    ("buildx", "Builds, under the names of Docker's plug-in"),
    ("cache", "Cache mounts of builds (pip, apt, models); `-v cache:ID:/path` mounts one"),
    ("container", "Containers"),
    ("context", "Named engines to talk to"),
    ("image", "Images"),
    ("network", "Networks"),
    ("system", "The engine as a whole"),
    ("trash", "Removed volumes and images"),
    ("volume", "Volumes"),
)
REFUSED: dict[str, str] = {
    **dict.fromkeys(("swarm", "node", "service", "stack", "secret", "config"), "Corten has no swarm mode"),
    "plugin": "Corten has no engine plugins",
    "trust": "Corten does not sign images; pin them by digest (NAME@sha256:…)",
    "manifest": "Corten does not edit manifest lists",
    "checkpoint": "Corten cannot checkpoint containers",
    "bake": "Corten reads no bake files: Docker's buildx plug-in does, and `corten compose build` compose files",
    **{
        f"{group} {verb}": reason
        for group in ("builder", "buildx")
        for verb, reason in (
            ("bake", "Corten reads no bake files: Docker's buildx plug-in does, and `corten compose build` compose files"),
            ("create", "the engine is the only builder; `corten context create` names another engine"),
            ("dap", "Corten has no debugger of builds"),
            ("debug", "Corten has no debugger of builds; a stage that failed is there with --target"),
            ("dial-stdio", "the engine is the builder; `corten system dial-stdio` connects to it"),
            ("history", "Corten keeps no history of builds; --metadata-file and --provenance tell of one"),
            ("imagetools", "Corten edits no manifest lists: Docker's buildx plug-in does; `corten pull` fetches one image"),
            ("policy", "Corten evaluates no policies about sources; pin images by digest"),
            ("rm", "the engine is the only builder, and stays"),
            ("stop", "the engine is the only builder; `systemctl stop corten` ends it"),
        )
    },
}
"""Docker's commands that are answered with a sentence."""

COMMANDS: tuple[Command, ...] = (
    # containers
    Command(
        ("container attach", "attach"),
        "container.attach:ATTACH",
        "[OPTIONS] CONTAINER",
        ONE,
        "Connect this terminal to a running container",
    ),
    Command(
        ("container commit", "commit"),
        "container.files:COMMIT",
        "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
        (1, 2),
        "Make an image of a container's changes",
    ),
    Command(
        ("container cp", "cp"),
        "container.cp:CP",
        "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
        TWO,
        "Copy files between a container and this machine",
        "\n'-' as source reads a tar archive from stdin and unpacks it in the container;\n'-' as destination writes one to stdout.",
    ),
    Command(
        ("container create", "create"),
        "container.create:CREATE",
        "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        SOME,
        "Create a container without starting it",
        passes_on=True,
    ),
    Command(("container diff", "diff"), "container.files:DIFF", "CONTAINER", ONE, "List what a container changed in its file system"),
    Command(
        ("container exec", "exec"),
        "container.exec:EXEC",
        "[OPTIONS] CONTAINER COMMAND [ARG...]",
        (2, None),
        "Run a further command in a running container",
        passes_on=True,
        common=True,
    ),
    Command(
        ("container export", "export"), "container.files:EXPORT", "[OPTIONS] CONTAINER", ONE, "Write a container's files as a tar archive"
    ),
    Command(("container inspect",), "inspecting:CONTAINERS", "[OPTIONS] CONTAINER [CONTAINER...]", SOME, "Show all about containers"),
    Command(("container kill", "kill"), "container.lifecycle:KILL", "[OPTIONS] CONTAINER [CONTAINER...]", SOME, "Send containers a signal"),
    Command(("container logs", "logs"), "container.logs:LOGS", "[OPTIONS] CONTAINER", ONE, "Show what a container has printed"),
    Command(("container ls", "container list", "container ps", "ps"), "container.list:LS", OPTIONS, NONE, "List containers", common=True),
    Command(
        ("container pause", "pause"), "container.lifecycle:PAUSE", "CONTAINER [CONTAINER...]", SOME, "Freeze all processes of containers"
    ),
    Command(
        ("container port", "port"),
        "container.port:PORT",
        "CONTAINER [PRIVATE_PORT[/PROTO]]",
        (1, 2),
        "Show where a container's ports are published",
    ),
    Command(("container prune",), "prune:CONTAINERS", OPTIONS, NONE, "Remove all stopped containers"),
    Command(("container rename", "rename"), "container.lifecycle:RENAME", "CONTAINER NEW_NAME", TWO, "Give a container another name"),
    Command(
        ("container restart", "restart"),
        "container.lifecycle:RESTART",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        SOME,
        "Stop and start containers",
    ),
    Command(
        ("container rm", "container remove", "rm"),
        "container.lifecycle:RM",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        SOME,
        "Remove containers",
    ),
    Command(
        ("container run", "run"),
        "container.run:RUN",
        "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        SOME,
        "Create a container from an image and run it",
        passes_on=True,
        common=True,
    ),
    Command(("container start", "start"), "container.start:START", "[OPTIONS] CONTAINER [CONTAINER...]", SOME, "Start stopped containers"),
    Command(
        ("container stats", "stats"), "container.stats:STATS", "[OPTIONS] [CONTAINER...]", ANY, "Watch what containers use of the machine"
    ),
    Command(("container stop", "stop"), "container.lifecycle:STOP", "[OPTIONS] CONTAINER [CONTAINER...]", SOME, "Stop running containers"),
    Command(("container top", "top"), "container.top:TOP", "CONTAINER [ps OPTIONS]", SOME, "List a container's processes", passes_on=True),
    Command(
        ("container why", "why"),
        "container.why:WHY",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        SOME,
        "Say why containers ended",
    ),
    Command(
        ("container unpause", "unpause"), "container.lifecycle:UNPAUSE", "CONTAINER [CONTAINER...]", SOME, "Let frozen containers go on"
    ),
    Command(
        ("container update", "update"),
        "container.update:UPDATE",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        SOME,
        "Change limits of containers",
    ),
    Command(
        ("container wait", "wait"),
        "container.lifecycle:WAIT",
        "CONTAINER [CONTAINER...]",
        SOME,
        "Wait until containers stop and print their exit statuses",
    ),
    # images
    Command(
        ("image bootstrap",),
        "image.bootstrapping:BOOTSTRAP",
        "[OPTIONS] debian:SUITE[-slim]",
        ONE,
        "Make a base image from Debian's signed packages, without a registry",
        "\nThe archives are those that this machine's apt is configured with. The same packages\ngive the same image. Needs mmdebstrap.",
    ),
    Command(
        ("image build", "build", "builder build", "buildx build", "buildx b"),
        "build.command:BUILD",
        "[OPTIONS] PATH | URL | -",
        ONE,
        "Build an image from a Dockerfile",
        common=True,
    ),
    Command(("image history", "history"), "image.history:HISTORY", "[OPTIONS] IMAGE", ONE, "Show how an image came about"),
    Command(
        ("image import", "import"),
        "image.archives:IMPORT",
        "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
        SOME,
        "Make an image of a tar archive of files",
    ),
    Command(("image inspect",), "inspecting:IMAGES", "[OPTIONS] IMAGE [IMAGE...]", SOME, "Show all about images"),
    Command(("image load", "load"), "image.archives:LOAD", OPTIONS, NONE, "Take in images from an archive or stdin"),
    Command(
        ("image ls", "image list", "images"),
        "image.list:LS",
        "[OPTIONS] [REPOSITORY[:TAG]]",
        MAYBE,
        "List images",
        common=True,
    ),
    Command(("image prune",), "prune:IMAGES", OPTIONS, NONE, "Remove dangling images, with -a all that no container uses"),
    Command(
        ("image pull", "pull"),
        "image.pull:PULL",
        "[OPTIONS] NAME[:TAG|@DIGEST]",
        ONE,
        "Fetch an image from a registry",
        common=True,
    ),
    Command(("image push", "push"), "image.push:PUSH", "[OPTIONS] NAME[:TAG]", ONE, "Send an image to a registry", common=True),
    Command(("image rm", "image remove", "rmi"), "image.remove:RM", "[OPTIONS] IMAGE [IMAGE...]", SOME, "Remove images"),
    Command(
        ("image save", "save"),
        "image.archives:SAVE",
        "[OPTIONS] IMAGE [IMAGE...]",
        SOME,
        "Write images to a tar archive, on stdout unless -o is given",
    ),
    Command(("image tag", "tag"), "image.tag:TAG", "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", TWO, "Give an image one more name"),
    Command(
        ("image verify",),
        "image.verify:VERIFY",
        "[OPTIONS] [IMAGE...]",
        ANY,
        "Check every file of stored images, and fetch damaged layers again",
        "\nWithout IMAGE every stored layer is checked. Ends with status 1 when damage is left.",
    ),
    # networks
    Command(("network connect",), "network.connect:CONNECT", "[OPTIONS] NETWORK CONTAINER", TWO, "Connect a container to a network"),
    Command(("network create",), "network.create:CREATE", "[OPTIONS] NETWORK", ONE, "Create a network"),
    Command(
        ("network disconnect",), "network.connect:DISCONNECT", "[OPTIONS] NETWORK CONTAINER", TWO, "Disconnect a container from a network"
    ),
    Command(("network inspect",), "inspecting:NETWORKS", "[OPTIONS] NETWORK [NETWORK...]", SOME, "Show all about networks"),
    Command(("network ls", "network list"), "network.list:LS", OPTIONS, NONE, "List networks"),
    Command(("network prune",), "prune:NETWORKS", OPTIONS, NONE, "Remove networks that no container uses"),
    Command(("network rm", "network remove"), "network.list:RM", "NETWORK [NETWORK...]", SOME, "Remove networks"),
    # volumes
    Command(("volume create",), "volume.volumes:CREATE", "[OPTIONS] [VOLUME]", MAYBE, "Create a volume"),
    Command(("volume inspect",), "inspecting:VOLUMES", "[OPTIONS] VOLUME [VOLUME...]", SOME, "Show all about volumes"),
    Command(("volume ls", "volume list"), "volume.volumes:LS", OPTIONS, NONE, "List volumes"),
    Command(("volume protect",), "cleanup.trash:PROTECT", "VOLUME [VOLUME...]", SOME, "Let no prune and no rm take volumes"),
    Command(("volume unprotect",), "cleanup.trash:UNPROTECT", "VOLUME [VOLUME...]", SOME, "Take the protection of volumes away"),
    Command(("volume prune",), "prune:VOLUMES", OPTIONS, NONE, "Remove unused anonymous volumes, with -a named ones too"),
    Command(
        ("volume rm", "volume remove"), "volume.volumes:RM", "[OPTIONS] VOLUME [VOLUME...]", SOME, "Remove volumes that no container uses"
    ),
    # the engine
    Command(("builder du", "buildx du"), "build.builders:DU", OPTIONS, NONE, "Show what build cache takes"),
    Command(("builder inspect", "buildx inspect"), "build.builders:INSPECT", "[NAME]", MAYBE, "Show the engine as a builder"),
    Command(("builder ls", "buildx ls"), "build.builders:LS", OPTIONS, NONE, "List builders: the engine"),
    Command(("builder prune", "buildx prune"), "prune:BUILD_CACHE", OPTIONS, NONE, "Remove build cache"),
    Command(
        ("builder use", "buildx use"),
        "build.builders:USE",
        "NAME",
        ONE,
        "Ignored, for compatibility with Docker",
    ),
    Command(("builder version", "buildx version"), "build.builders:VERSION", "", NONE, "Show the version"),
    Command(("cache limit",), "build.cachemounts:LIMIT", "CACHE SIZE", TWO, "Keep a cache mount below a size (0: no limit)"),
    Command(("cache ls", "cache list"), "build.cachemounts:LS", OPTIONS, NONE, "List the cache mounts of builds"),
    Command(("cache rm", "cache remove"), "build.cachemounts:RM", "CACHE [CACHE...]", SOME, "Remove cache mounts"),
    Command(("system df",), "system.usage:DF", OPTIONS, NONE, "Show what takes disk space"),
    Command(("system dial-stdio",), "system.dialing:DIAL_STDIO", "", NONE, "Connect stdin and stdout to the engine's socket"),
    Command(("system events", "events"), "system.events:EVENTS", OPTIONS, NONE, "Follow what happens in the engine"),
    Command(("system info", "info"), "system.info:INFO", OPTIONS, NONE, "Show the engine and its machine", common=True),
    Command(("system prune",), "prune:SYSTEM", OPTIONS, NONE, "Remove stopped containers, unused networks, images and build cache"),
    Command(("version",), "system.version:VERSION", OPTIONS, NONE, "Show versions of client and engine", common=True),
    Command(("inspect",), "inspecting:INSPECT", "[OPTIONS] NAME|ID [NAME|ID...]", SOME, "Show all about any kind of object"),
    # what was removed
    Command(("gc",), "cleanup.gc:GC", OPTIONS, NONE, "Clear away what was not used for long, as the daemon does when the disk fills"),
    Command(("trash empty",), "cleanup.trash:EMPTY", "[OPTIONS] [ID...]", ANY, "Delete what is in the trash for good"),
    Command(("trash ls", "trash list"), "cleanup.trash:LS", OPTIONS, NONE, "List removed volumes and images that can be had back"),
    Command(("trash restore",), "cleanup.trash:RESTORE", "ID|NAME [NEW_NAME]", (1, 2), "Have a removed volume or image back"),
    # registries
    Command(("login",), "registry.login:LOGIN", "[OPTIONS] [SERVER]", MAYBE, "Log in to a registry", common=True),
    Command(("logout",), "registry.login:LOGOUT", "[SERVER]", MAYBE, "Forget a registry's credentials", common=True),
    Command(("search",), "registry.search:SEARCH", "[OPTIONS] TERM", ONE, "Search for images in a registry", common=True),
    # contexts and this program
    Command(("context create",), "context.contexts:CREATE", "[OPTIONS] CONTEXT", ONE, "Name an engine"),
    Command(("context inspect",), "context.contexts:INSPECT", "[OPTIONS] [CONTEXT] [CONTEXT...]", ANY, "Show all about contexts"),
    Command(("context ls", "context list"), "context.contexts:LS", OPTIONS, NONE, "List contexts"),
    Command(("context rm", "context remove"), "context.contexts:RM", "CONTEXT [CONTEXT...]", SOME, "Forget contexts"),
    Command(("context show",), "context.contexts:SHOW", "", NONE, "Print the name of the current context"),
    Command(("context update",), "context.contexts:UPDATE", "[OPTIONS] CONTEXT", ONE, "Change a context"),
    Command(("context use",), "context.contexts:USE", "CONTEXT", ONE, "Make a context the current one"),
    Command(("completion",), "completion:COMPLETION", "bash|zsh|fish", ONE, "Print the completion script for a shell"),
)


def find(words: list[str]) -> tuple[Command, str, int] | None:
    """The command that `words` begin with, the name it was called by, and how many words that is."""
    for count in (2, 1):
        name = " ".join(words[:count])
        for command in COMMANDS:
            if name in command.names and len(words) >= count:
                return command, name, count
    return None


def is_group(word: str) -> bool:
    return any(word == group for group, _ in GROUPS)


def group_summary(group: str) -> str:
    return dict(GROUPS)[group]


def members(group: str) -> list[tuple[str, str]]:
    """Name and summary of a group's commands; other names of one command are left out."""
    prefix = group + " "
    rows = {n.removeprefix(prefix): c.summary for c in COMMANDS for n in c.names if n.startswith(prefix)}
    aliases = {"list", "ps", "remove", "b"}
    return sorted((n, s) for n, s in rows.items() if n not in aliases)


def top_level() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Commands of one word: the usual ones in the table's order, the others by name."""
    rows = [(name, c) for c in COMMANDS for name in c.names if " " not in name]
    usual = ("run", "exec", "ps", "build", "pull", "push", "images", "login", "logout", "search", "version", "info")
    summaries = {name: c.summary for name, c in rows}
    return [(n, summaries[n]) for n in usual], sorted((n, c.summary) for n, c in rows if not c.common)
