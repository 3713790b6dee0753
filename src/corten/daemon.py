"""`cortend`: the composition root, the only file where objects meet, and the process around them.

    flags, daemon.json ─▶ Config ─▶ probe ─▶ lock on the data root ─▶ store, monitors, networks ─▶ engine ─▶ reconcile ─▶ API

The daemon never forks, never enters a namespace and never changes its directory. Containers live on when it ends, however it ends.
"""

import corten.slim  # noqa: F401  before asyncio

# isort: split
import asyncio
import fcntl
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from corten import __version__
from corten.api.app import COMMON_HEADERS, App
from corten.api.buildkit.listener import BuildKitListener
from corten.api.routes import ROUTES
from corten.api.services import Services
from corten.config import Config, load_settings, usage
from corten.engine.build import builds
from corten.engine.build.builds import Builds, Footing
from corten.engine.build.executor import BuildExecutor
from corten.engine.cachemounts import open_caches
from corten.engine.cleanup import marks as cleanup
from corten.engine.cleanup.gc.loop import GcLoop
from corten.engine.cleanup.marks import make_marks
from corten.engine.cleanup.opened import Nouns, make_cleanup
from corten.engine.containers import execs, exit_reasons
from corten.engine.containers.commit import Commits
from corten.engine.containers.create.creation import Creation, Defaults
from corten.engine.containers.execs import Execs
from corten.engine.containers.exit_reasons import ExitReasons
from corten.engine.containers.files.archives import Files
from corten.engine.containers.health.checks import HealthChecks
from corten.engine.containers.inspection import Containers
from corten.engine.containers.protocols import Networks, Processes
from corten.engine.containers.removal import Removal
from corten.engine.containers.run.bundles import Bundles, Ground
from corten.engine.containers.run.exit_handling import Ends
from corten.engine.containers.run.launch import Launch
from corten.engine.containers.run.lifecycle import Lifecycle
from corten.engine.containers.run.reconcile import Reconcile
from corten.engine.containers.run.release import Release, Rented
from corten.engine.containers.run.rootfiles import RootFiles
from corten.engine.containers.staging import Staging
from corten.engine.containers.stats import Stats
from corten.engine.containers.storage import Shelves
from corten.engine.containers.streams import Streams
from corten.engine.containers.update import Update
from corten.engine.containers.upkeep import Upkeep
from corten.engine.devices.nvidia_diagnosis import diagnosis
from corten.engine.devices.nvidia_specification import NvidiaSource
from corten.engine.devices.registry import Registry
from corten.engine.devices.requests import Devices
from corten.engine.events import Events
from corten.engine.host import HostFacts, read_host_facts
from corten.engine.images.catalog import Users
from corten.engine.images.service import Images, make_images, reclaimable_by, users_of
from corten.engine.init import install_init
from corten.engine.networks import opened as network_parts
from corten.engine.networks.opened import make_networks
from corten.engine.paths import Paths
from corten.engine.records import containers
from corten.engine.records.containers import Catalog
from corten.engine.records.state import has_process
from corten.engine.spec.placement import Machine
from corten.engine.spec.security import SecurityOptions
from corten.engine.system import System
from corten.engine.tasks import Tasks
from corten.engine.transfer.pull import Pulls
from corten.engine.transfer.push import Pushes
from corten.engine.transfer.registries import Registries
from corten.engine.usage import DiskFigures
from corten.engine.values.container import Ulimit
from corten.engine.volumes import Volumes
from corten.errors import EngineError, Unavailable
from corten.http.address import parse_address
from corten.http.listen import Listener, open_listeners
from corten.http.server import Server
from corten.kernel.libc import libc
from corten.kernel.probe import KernelFeatures, missing, probe, shortcomings
from corten.monitor.client import Monitors
from corten.monitor.events import Event, Exited, LauncherLost, LogFailed, MonitorLost, OomKilled
from corten.registry.hosts import RegistrySettings
from corten.registry.proxies import ProxySettings
from corten.store import volumes as volume_store
from corten.store.contents import figures as figure_store
from corten.store.opened import Store, open_store
from corten.store.trash import Trash

if TYPE_CHECKING:
    import ssl

logger = logging.getLogger("corten.daemon")
_M_ARENA_MAX, _M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -8, -3, -1  # malloc.h
_LARGE_BUFFER = 1 << 19
_KEPT_FREE = 16 << 20
MIGRATIONS = (
    *containers.MIGRATIONS,
    *execs.MIGRATIONS,
    *network_parts.MIGRATIONS,
    *volume_store.MIGRATIONS,
    *figure_store.MIGRATIONS,
    *builds.MIGRATIONS,
    *exit_reasons.MIGRATIONS,
    *cleanup.MIGRATIONS,
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the engine's use cases stand on; tests put fakes in some places."""

    config: Config
    facts: HostFacts
    features: KernelFeatures
    machine: Machine
    store: Store
    monitors: Processes
    networks: Networks
    known_networks: network_parts.Networks


@dataclass(frozen=True, slots=True)
class Engine:
    services: Services
    ends: Ends
    executor: BuildExecutor
    reconcile: Reconcile
    health: HealthChecks


def compose(parts: Parts, tasks: Tasks, events: Events) -> Engine:
    """Every use case, each handed only what it needs."""
    config, store = parts.config, parts.store
    paths = Paths(config.data_root, config.exec_root)
    trash = Trash(store.root.trash, store.background)
    volume_rows = volume_store.Volumes(os.path.join(config.data_root, "volumes"), store.db, trash)
    marks = make_marks(store, volume_rows)
    volumes = Volumes(volume_rows, store.layers, events, marks.removal)
    containers = Catalog(store.db)
    keeping = open_caches(os.path.join(config.data_root, "build"), store, trash, events, containers)
    shelves = Shelves(store.db, store.images, store.layers, store.snapshots, volumes, paths, keeping.caches.ensure)
    figures = DiskFigures(figure_store.Figures(store.db), containers, store.snapshots, volume_rows, marks.models.look)
    staging = Staging(paths.mounts, store.layers)
    rented = Rented(parts.monitors, parts.networks, volumes, staging, paths)
    root_files = RootFiles(store.snapshots, store.layers)
    devices = Devices(Registry(config.cdi_spec_dirs, NvidiaSource()), diagnosis)
    bundles = Bundles(containers, Ground(parts.machine, paths, store.snapshots, root_files, dict(config.runtimes), devices))
    sessions = Execs(store.db, containers, parts.monitors, events, bundles.exec_process)
    release = Release(rented, bundles)
    removal = Removal(containers, shelves, trash, sessions, events)
    launch = Launch(containers, rented, bundles, release, removal, events)
    reasons = ExitReasons(store.db, paths, tasks)
    ends = Ends(containers, launch, removal=removal, release=release, events=events, tasks=tasks, reasons=reasons)
    lifecycle = Lifecycle(containers, launch, ends, parts.monitors, events)
    found = Containers(containers, shelves, sessions, figures)
    images, pulls, pushes, registries = image_side(config, store, users_of(containers), events)
    executor = BuildExecutor(rented, bundles, release, parts.facts, devices.registry)
    upkeep = Upkeep(containers, found, lifecycle, removal, parts.networks, events)
    making = Builds(Footing(store, executor, pulls, events, marks.uses), keeping, usual_ca=config.build_ca)
    nouns = Nouns(containers, found, upkeep, volumes, figures, parts.known_networks, images.removal, making, keeping.caches)
    services = Services(
        creation=Creation(containers, shelves, images.catalog, Defaults(config, parts.facts, parts.machine), parts.networks, events),
        containers=found,
        upkeep=upkeep,
        update=Update(containers, parts.monitors, parts.facts, events),
        lifecycle=lifecycle,
        streams=Streams(containers, parts.monitors, ends, paths, events),
        execs=sessions,
        exit_reasons=reasons,
        events=events,
        files=Files(containers, shelves, staging, root_files, events, figures),
        stats=Stats(containers, parts.monitors),
        system=System(config, parts.facts, parts.features, store, containers, events),
        devices=devices,
        volumes=volumes,
        figures=figures,
        images=images,
        networks=parts.known_networks,
        connections=network_parts.Connections(parts.known_networks, containers, paths, events),
        builds=making,
        buildkit=BuildKitListener(tasks),
        pulls=pulls,
        pushes=pushes,
        registries=registries,
        commits=Commits(store, containers, lifecycle, events),
        cleanup=make_cleanup(store, marks, nouns, events, gc=config.gc),
    )
    reconcile = Reconcile(containers, ends, removal, release, sessions, parts.monitors)
    health = HealthChecks(containers, sessions, parts.monitors, events, tasks)
    events.follow(health.heard)
    return Engine(services, ends, executor, reconcile, health)


def image_side(config: Config, store: Store, users: Users, events: Events) -> tuple[Images, Pulls, Pushes, Registries]:
    """Images here, and their ways to and from registries."""
    settings = registry_settings(config)
    pulls = Pulls(store, settings, events, reclaimable_by(store, users))
    return make_images(store, users, events, pulls.refetch()), pulls, Pushes(store, settings, events), Registries(settings)


def registry_settings(config: Config) -> RegistrySettings:
    """Twice as many requests as Docker has layers under way: a large layer comes by several."""
    proxies = ProxySettings.of(os.environ, http=config.http_proxy, https=config.https_proxy, no_proxy=config.no_proxy)
    connections = 2 * max(1, config.max_downloads)
    return RegistrySettings(config.registry_mirrors, config.insecure_registries, proxies=proxies, connections=connections)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns its exit status."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if "--help" in words or "-h" in words:
        sys.stdout.write(usage())
        return 0
    if "--version" in words or "-v" in words:
        sys.stdout.write(f"Corten version {__version__}\n")
        return 0
    try:
        return _run(words)
    except EngineError as error:
        sys.stderr.write(f"cortend: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return 1


def _run(words: Sequence[str]) -> int:
    settings = load_settings(words)
    config = settings.config
    if config.validate:
        sys.stdout.write("configuration OK\n")
        return 0
    if config.remove_networks:
        return _remove_networks(config)
    _configure_logging(config)
    for warning in settings.warnings:
        logger.warning(warning)
    features = probe()
    for sentence in missing(features):
        raise Unavailable(sentence, reason="kernel")
    for sentence in shortcomings(features):
        logger.warning(sentence)
    os.umask(0o022)
    raise_file_limit()
    with _locked(config.data_root), _pidfile(config.pidfile):
        try:
            asyncio.run(serve(config, features))
        except ExceptionGroup as group:
            raise _only_error(group) from group
    return 0


def _only_error(group: ExceptionGroup[Exception]) -> Exception:
    """The one EngineError inside task groups: a sentence for the user (an address that cannot be had) and no traceback."""
    inner: Exception = group
    while isinstance(inner, ExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return inner if isinstance(inner, EngineError) else group


def _remove_networks(config: Config) -> int:
    with _locked(config.data_root) if os.path.isdir(config.data_root) else nullcontext():
        for name in network_parts.remove_networks(config):
            sys.stdout.write(f"{name}\n")
    return 0


async def serve(config: Config, features: KernelFeatures) -> None:
    """Everything up, until a signal asks for the end; then everything but containers, launcher and monitors down again."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, logger.info, "SIGHUP: restart the daemon to read its configuration again; containers run on")
    async with AsyncExitStack() as stack:
        # First of all, as dockerd does: what cannot be had ends it before anything is made, and early clients wait in line.
        listeners = [_held(listener, stack) for listener in listeners_of(config)]
        keep = config.gc.trash * 10**9
        store = open_store(config.data_root, MIGRATIONS, largest_layer=config.max_layer_size or None, trash_keep=keep)
        stack.callback(store.close)
        os.makedirs(config.exec_root, mode=0o711, exist_ok=True)
        news = News()
        monitors = await Monitors.connect(config.exec_root, on_event=news.hear)
        stack.push_async_callback(monitors.close)
        events = Events()
        networks = make_networks(store.db, config, events)
        facts, machine = read_host_facts(features.cgroup_version), machine_of(config, features)
        parts = Parts(config, facts, features, machine, store, monitors, networks, networks)
        tasks = await stack.enter_async_context(Tasks())
        engine = compose(parts, tasks, events)
        await networks.start(engine.reconcile.adopt())
        stack.push_async_callback(networks.close)
        containers = engine.services.containers.all()
        running = [container.id for container in containers if has_process(container.state)]
        engine.services.volumes.recover([container.id for container in containers], running)
        await engine.reconcile.settle()
        news.tell(engine, tasks)
        engine.health.adopt()
        tasks.spawn(engine.services.figures.keep_fresh(), "disk figures")
        tasks.spawn(engine.services.pulls.leftovers.expire(), "what pulls left")
        cleanup = engine.services.cleanup
        tasks.spawn(cleanup.written.keep_written(), "last uses")
        cleanup.room.serve_layers()
        gc_loop = GcLoop(cleanup.gc, cleanup.trash, cleanup.prunes.caches, cleanup.written, rules=config.cache_rules)
        tasks.spawn(gc_loop.run(), "garbage collection")
        server = await stack.enter_async_context(Server(App(engine.services, ROUTES).handle, common_headers=COMMON_HEADERS))
        settle_memory()
        for listener in listeners:
            await server.listen(listener)
            logger.info("API listens on %s", listener.address)
        await stop.wait()
        logger.info("shutting down; containers live on")


def raise_file_limit() -> None:
    """As many descriptors as the kernel lets us have: shells give 1024, and each client and container takes a few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def settle_memory() -> None:
    """What is there by now stays for good: no collection need look at it again, and threads share one heap (0.3 and 1 MB).

    The buffers of transfers stay out of that heap, in which they would leave holes (15 to 60 MB at the height of a pull). Smaller pieces
    come and go in it without a page fault for each 4 KiB: four fifths of the CPU time of an export. `release_memory` ends that.
    """
    libc.mallopt(_M_ARENA_MAX, 1)
    libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BUFFER)
    libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
    gc.collect()
    gc.freeze()


class News:
    """What launcher and monitors report: kept until the engine stands, then passed on."""

    def __init__(self) -> None:
        self._waiting: list[Event] = []
        self._engine: Engine | None = None
        self._tasks: Tasks | None = None

    def hear(self, event: Event) -> None:
        if self._engine is None:
            self._waiting.append(event)
        else:
            self._pass_on(event)

    def tell(self, engine: Engine, tasks: Tasks) -> None:
        self._engine, self._tasks = engine, tasks
        for event in self._waiting:
            self._pass_on(event)
        self._waiting.clear()

    def _pass_on(self, event: Event) -> None:
        assert self._engine is not None
        assert self._tasks is not None
        services = self._engine.services
        match event:
            case Exited(exec_id=None) if self._engine.executor.ended(event):
                return
            case Exited(exec_id=None):
                self._tasks.spawn(self._engine.ends.note(event), f"end of {event.container_id}")
            case Exited():
                services.execs.ended(event)
            case OomKilled():
                self._engine.ends.note_oom(event.container_id)
            case LogFailed():
                logger.error("output of container %s is being lost: %s", event.container_id, event.message)
            case LauncherLost() | MonitorLost():
                logger.warning("%s; a new one takes over", type(event).__name__)


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


def _held(listener: Listener, stack: AsyncExitStack) -> Listener:
    stack.callback(listener.close)
    return listener


def listeners_of(config: Config) -> Iterator[Listener]:
    context = _tls_context(config)
    groups = (config.group,) if config.group else ("docker", "corten")
    for host in config.hosts:
        yield from open_listeners(parse_address(host, tls=context is not None), groups=groups, tls=context)


def _tls_context(config: Config) -> "ssl.SSLContext | None":
    if not (config.tls or config.tls_verify):
        return None
    from corten.http.tls import server_context

    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")  # dockerd's default
    cert, key = Path(config.tls_cert or folder / "cert.pem"), Path(config.tls_key or folder / "key.pem")
    return server_context(cert, key, client_ca=Path(config.tls_ca or folder / "ca.pem") if config.tls_verify else None)


def _configure_logging(config: Config) -> None:
    levels = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR, "fatal": logging.CRITICAL}
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    if config.log_format == "json":
        line = '{"time":"%(asctime)s","level":"%(levelname)s","logger":"%(name)s","msg":"%(message)s"}'
    logging.basicConfig(level=levels[config.log_level], format=line, stream=sys.stderr)


@contextmanager
def _locked(data_root: str) -> Iterator[None]:
    """One daemon to a data root: a second one would take the first one's containers for lost."""
    os.makedirs(data_root, mode=0o710, exist_ok=True)
    fd = os.open(os.path.join(data_root, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"another cortend uses {data_root}", reason="data-root-in-use", hint="stop it, or give this one another --data-root"
            ) from None
        yield
    finally:
        os.close(fd)


@contextmanager
def _pidfile(path: str) -> Iterator[None]:
    os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    try:
        yield
    finally:
        os.unlink(path)


def exit_main() -> NoReturn:
    sys.exit(main())


if __name__ == "__main__":
    exit_main()
