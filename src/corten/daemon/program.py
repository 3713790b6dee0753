"""`cortend`, the program.

    flags, daemon.json ─▶ Config ─▶ probe ─▶ lock on the data root ─▶ store, monitors, networks ─▶ compose ─▶ reconcile ─▶ API

The daemon never forks, never enters a namespace and never changes its directory. Containers live on when it ends, however it ends.
"""

import corten.slim  # noqa: F401  before asyncio

# isort: split
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext
from typing import NoReturn

from corten import __version__
from corten.api.app import COMMON_HEADERS, App
from corten.api.routes import ROUTES
from corten.config import Config, load_settings, usage
from corten.daemon.compose import MIGRATIONS, Composition, Engine
from corten.daemon.listeners import check_hosts, listeners_of
from corten.daemon.machine import machine_of
from corten.daemon.networks import make_networks, remove_networks
from corten.daemon.permissions import restrict_roots
from corten.daemon.process import configure_logging, locked, pidfile, raise_file_limit, settle_memory
from corten.engine.containers.log_config import check_log_config
from corten.engine.events import Events
from corten.engine.host import read_host_facts
from corten.engine.records.state import has_process
from corten.engine.space import SpaceReclaimer
from corten.engine.tasks import Tasks
from corten.engine.values.container import LogConfig
from corten.errors import EngineError, Invalid, Unavailable
from corten.http.listen import Listener
from corten.http.server import Server
from corten.kernel.probe import KernelFeatures, missing, probe, shortcomings
from corten.monitor.client import Monitors
from corten.monitor.events import Event, Exited, LauncherLost, LogFailed, MonitorLost, OomKilled
from corten.store.opened import open_store

logger = logging.getLogger("corten.daemon")


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
    check_hosts(config, declines_tls=settings.declines_tls)
    _check_log_defaults(config)
    if config.validate:
        sys.stdout.write("configuration OK\n")
        return 0
    if config.remove_networks:
        return _remove_networks(config)
    configure_logging(config)
    for warning in settings.warnings:
        logger.warning(warning)
    features = probe()
    for sentence in missing(features):
        raise Unavailable(sentence, reason="kernel")
    for sentence in shortcomings(features):
        logger.warning(sentence)
    os.umask(0o022)
    raise_file_limit()
    with locked(config.data_root), pidfile(config.pidfile):
        try:
            asyncio.run(serve(config, features))
        except ExceptionGroup as group:
            raise _only_error(group) from group
    return 0


def _check_log_defaults(config: Config) -> None:
    try:
        check_log_config(LogConfig(type=config.log_driver, config=dict(config.log_options)))
    except Invalid as error:
        raise Invalid(f"failed to set log opts: {error.message}", reason=error.reason, hint=error.hint) from None


def _only_error(group: ExceptionGroup[Exception]) -> Exception:
    """The one EngineError inside task groups: a sentence for the user (an address that cannot be had) and no traceback."""
    inner: Exception = group
    while isinstance(inner, ExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return inner if isinstance(inner, EngineError) else group


def _remove_networks(config: Config) -> int:
    with locked(config.data_root) if os.path.isdir(config.data_root) else nullcontext():
        for name in remove_networks(config):
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
        restrict_roots(config.data_root, config.exec_root, config.pidfile, make=False)
        # First of all, as dockerd does: what cannot be had ends it before anything is made, and early clients wait in line.
        listeners = [_held(listener, stack) for listener in listeners_of(config)]
        restrict_roots(config.data_root, config.exec_root, config.pidfile)
        keep = config.gc.trash * 10**9
        space = SpaceReclaimer(loop)
        store = open_store(
            config.data_root,
            MIGRATIONS,
            largest_layer=config.max_layer_size or None,
            trash_keep=keep,
            reclaim=space.reclaim_blocking,
        )
        stack.callback(store.close)
        monitor_events = MonitorEvents()
        monitors = await Monitors.connect(config.exec_root, on_event=monitor_events.receive)
        stack.push_async_callback(monitors.close)
        events = Events()
        networks = make_networks(store.db, config, events)
        composition = Composition(
            config=config,
            store=store,
            facts=read_host_facts(features.cgroup_version),
            features=features,
            machine=machine_of(config, features),
            monitors=monitors,
            networks=networks,
            known_networks=networks,
        )
        tasks = await stack.enter_async_context(Tasks())
        engine = composition.compose(tasks, events, space)
        await networks.start(engine.reconcile.adopt())
        stack.push_async_callback(networks.close)
        services = engine.services
        containers = services.containers.all()
        running = [container.id for container in containers if has_process(container.state)]
        services.volumes.recover([container.id for container in containers], running)
        await engine.reconcile.settle()
        monitor_events.hand_to(engine, tasks)
        engine.health.adopt()
        tasks.spawn(services.disk_usage.keep_fresh(), "disk usage")
        tasks.spawn(services.pulls.partial.expire(), "partial pulls")
        services.cleanup.start(tasks, config.cache_rules)
        server = await stack.enter_async_context(Server(App(services, ROUTES).handle, common_headers=COMMON_HEADERS))
        settle_memory()
        for listener in listeners:
            await server.listen(listener)
            logger.info("API listens on %s", listener.address)
        await stop.wait()
        logger.info("shutting down; containers live on")


class MonitorEvents:
    """What launcher and monitors report: kept until the engine stands, then handed on."""

    def __init__(self) -> None:
        self._waiting: list[Event] = []
        self._engine: Engine | None = None
        self._tasks: Tasks | None = None

    def receive(self, event: Event) -> None:
        if self._engine is None:
            self._waiting.append(event)
        else:
            self._handle(event)

    def hand_to(self, engine: Engine, tasks: Tasks) -> None:
        """All of them, those that came before and those to come."""
        self._engine, self._tasks = engine, tasks
        for event in self._waiting:
            self._handle(event)
        self._waiting.clear()

    def _handle(self, event: Event) -> None:
        assert self._engine is not None
        assert self._tasks is not None
        match event:
            case Exited():
                self._engine.handle_exit(event, self._tasks)
            case OomKilled():
                self._engine.exits.handle_oom(event.container_id)
            case LogFailed():
                logger.error("writing the log of container %s failed, its output is lost: %s", event.container_id, event.message)
            case LauncherLost() | MonitorLost():
                logger.warning("%s: a new one takes over", "the launcher ended" if isinstance(event, LauncherLost) else "a monitor ended")


def _held(listener: Listener, stack: AsyncExitStack) -> Listener:
    stack.callback(listener.close)
    return listener


def exit_main() -> NoReturn:
    sys.exit(main())


if __name__ == "__main__":
    exit_main()
