"""Every use case of the engine, each handed only what it needs: the one place where its objects meet."""

import os
from dataclasses import dataclass

from corten.api.buildkit.listener import BuildKitListener
from corten.api.services import Services
from corten.config import Config
from corten.daemon.machine import registry_settings
from corten.engine import models, protection
from corten.engine.build import builds
from corten.engine.build.builds import Builds
from corten.engine.build.executor import BuildExecutor
from corten.engine.build.solve_options import BuildDefaults
from corten.engine.cachemounts import open_caches
from corten.engine.cleanup.gc.candidates import GcCandidates
from corten.engine.cleanup.gc.collection import GarbageCollector, disk_of
from corten.engine.cleanup.last_uses import LastUses
from corten.engine.cleanup.prune.caches import CachePrune
from corten.engine.cleanup.prune.containers import ContainerPrune
from corten.engine.cleanup.prune.networks import NetworkPrune
from corten.engine.cleanup.prune.prunes import Prunes
from corten.engine.cleanup.prune.volumes import VolumePrune
from corten.engine.cleanup.service import Cleanup
from corten.engine.cleanup.trash import TrashCan
from corten.engine.containers import execs, exit_reasons
from corten.engine.containers.commit import Commits
from corten.engine.containers.create.creation import CreateDefaults, Creation
from corten.engine.containers.deletion import ContainerDeletion
from corten.engine.containers.execs import Execs
from corten.engine.containers.exit_reasons import ExitReasons
from corten.engine.containers.files.archives import ContainerFiles
from corten.engine.containers.health.checks import HealthChecks
from corten.engine.containers.inspection import ContainerQueries
from corten.engine.containers.protocols import ContainerNetworks, MonitorClient
from corten.engine.containers.removal import ContainerRemoval
from corten.engine.containers.root_files import RootFiles
from corten.engine.containers.run.bundles import Bundles
from corten.engine.containers.run.exit_handling import ExitHandler
from corten.engine.containers.run.launch import Launch
from corten.engine.containers.run.lifecycle import Lifecycle
from corten.engine.containers.run.reconcile import Reconcile
from corten.engine.containers.run.resources import RunResources
from corten.engine.containers.staging import Staging
from corten.engine.containers.stats import Stats
from corten.engine.containers.storage import ContainerStorage
from corten.engine.containers.streams import Streams
from corten.engine.containers.update import ContainerUpdate
from corten.engine.devices.nvidia_driver import diagnosis
from corten.engine.devices.nvidia_specification import NvidiaSource
from corten.engine.devices.registry import CdiRegistry
from corten.engine.devices.requests import Devices
from corten.engine.events import Events
from corten.engine.host import HostFacts
from corten.engine.images.service import Images, reclaimable_by, users_of
from corten.engine.models import ModelRecords, ModelScanner
from corten.engine.networks import catalog as network_catalog
from corten.engine.networks import networks as engine_networks
from corten.engine.networks.connections import Connections
from corten.engine.paths import Paths
from corten.engine.protection import Protection
from corten.engine.records import containers
from corten.engine.records.containers import ContainerCatalog
from corten.engine.space import SpaceReclaimer
from corten.engine.spec.placement import Machine
from corten.engine.system import System
from corten.engine.tasks import Tasks
from corten.engine.transfer.pull import Pulls
from corten.engine.transfer.push import Pushes
from corten.engine.transfer.registries import Registries
from corten.engine.usage import DiskUsage
from corten.engine.volumes import VolumeRemoval, Volumes
from corten.kernel.probe import KernelFeatures
from corten.monitor.events import Exited
from corten.store import volumes as volume_store
from corten.store.contents import figures as figure_store
from corten.store.opened import Store
from corten.store.records import uses
from corten.store.records.uses import Uses
from corten.store.trash import Trash
from corten.store.trashbin.images import ImageBin
from corten.store.trashbin.volumes import VolumeBin

MIGRATIONS = (
    *containers.MIGRATIONS,
    *execs.MIGRATIONS,
    *network_catalog.MIGRATIONS,
    *volume_store.MIGRATIONS,
    *figure_store.MIGRATIONS,
    *builds.MIGRATIONS,
    *exit_reasons.MIGRATIONS,
    *protection.MIGRATIONS,
    *models.MIGRATIONS,
    *uses.MIGRATIONS,
)


@dataclass(frozen=True, slots=True)
class Engine:
    """The composed engine: `services` for the API, the rest for the daemon."""

    services: Services
    exits: ExitHandler
    executor: BuildExecutor
    reconcile: Reconcile
    health: HealthChecks

    def handle_exit(self, event: Exited, tasks: Tasks) -> None:
        """A container's process, an exec's or a build step's is over."""
        if event.exec_id is not None:
            self.services.execs.ended(event)
        elif not self.executor.ended(event):
            tasks.spawn(self.exits.handle_exit(event), f"end of {event.container_id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """What the engine's use cases stand on; tests put fakes for monitors and networks."""

    config: Config
    store: Store
    facts: HostFacts
    features: KernelFeatures
    machine: Machine
    monitors: MonitorClient
    networks: ContainerNetworks
    known_networks: engine_networks.Networks

    def compose(self, tasks: Tasks, events: Events, space: SpaceReclaimer) -> Engine:
        """Everything, each once; `space` gives what the trash holds from now on."""
        config, store = self.config, self.store
        volumes = _Volumes(self, events, space)
        containers = _Containers(self, volumes, tasks, events, space)
        settings, users = registry_settings(config), users_of(containers.catalog, store.images)
        pulls = Pulls(store, settings, events, reclaimable_by(store, users))
        images = Images(store, users, events, pulls.refetch())
        executor = BuildExecutor(containers.resources, self.facts, containers.devices.registry)
        making = Builds(
            store,
            executor,
            pulls=pulls,
            events=events,
            uses=volumes.uses,
            keeping=containers.caches,
            defaults=BuildDefaults(config.build_ca, config.reproducible_builds),
        )
        cleanup = self._cleanup(volumes, containers, making, images, events)
        space.add_source(cleanup.trash.free_space)
        services = Services(
            creation=Creation(
                containers.catalog,
                containers.storage,
                images=images.catalog,
                defaults=CreateDefaults(config, self.facts, self.machine),
                networks=self.networks,
                events=events,
                space=space,
            ),
            containers=containers.queries,
            removal=containers.removal,
            update=ContainerUpdate(containers.catalog, self.monitors, self.networks, self.facts, events),
            lifecycle=containers.lifecycle,
            streams=Streams(containers.catalog, self.monitors, containers.exits, containers.paths, events),
            execs=containers.execs,
            exit_reasons=containers.reasons,
            events=events,
            files=containers.files,
            stats=Stats(containers.catalog, self.monitors),
            system=System(config, self.facts, self.features, store, containers.catalog, events),
            devices=containers.devices,
            volumes=volumes.volumes,
            disk_usage=containers.disk_usage,
            images=images,
            networks=self.known_networks,
            connections=Connections(self.known_networks, containers.catalog, containers.paths, events),
            builds=making,
            buildkit=BuildKitListener(tasks),
            pulls=pulls,
            pushes=Pushes(store, settings, events),
            registries=Registries(settings),
            commits=Commits(store, containers.catalog, containers.lifecycle, events, space),
            cleanup=cleanup,
        )
        return Engine(services, containers.exits, executor, containers.reconcile, containers.health)

    def _cleanup(self, volumes: "_Volumes", containers: "_Containers", making: Builds, images: Images, events: Events) -> Cleanup:
        store, caches = self.store, containers.caches.caches
        prunes = Prunes(
            store.db,
            containers=ContainerPrune(containers.catalog, containers.queries, containers.removal, events),
            networks=NetworkPrune(self.known_networks, events),
            volumes=VolumePrune(volumes.volumes, containers.disk_usage.held, volumes.protection, volumes.models, events),
            images=images.removal,
            caches=CachePrune(store, making.cache, caches, events),
        )
        last_uses = LastUses(volumes.uses, store.images, containers.catalog)
        events.follow(last_uses.on_container_event)
        trash = TrashCan(
            store,
            images=ImageBin(store.bin, store.images, store.layers, store.origins),
            volumes=volumes.bin,
            protection=volumes.protection,
            uses=volumes.uses,
            events=events,
        )
        gc = GarbageCollector(
            GcCandidates(store, trash, last_uses, containers.catalog, making.cache, caches),
            self.config.gc,
            trash=trash,
            caches=prunes.caches,
            images=images.removal,
            events=events,
            disk=disk_of(store.root.path),
        )
        return Cleanup(
            protection=volumes.protection,
            models=volumes.models,
            scanner=ModelScanner(volumes.models, volumes.volumes.mountpoint),
            trash=trash,
            uses=last_uses,
            records=volumes.uses,
            gc=gc,
            prunes=prunes,
        )


class _Volumes:
    """Volumes and what is known of them; puts right what a crash left between volumes and trash before anybody uses them."""

    def __init__(self, on: Composition, events: Events, space: SpaceReclaimer) -> None:
        store, root = on.store, os.path.join(on.config.data_root, "volumes")
        self.deletions = Trash(store.root.trash, store.background)
        self.rows = volume_store.Volumes(root, store.db, self.deletions)
        self.protection, self.models, self.uses = Protection(store.db), ModelRecords(store.db), Uses(store.db)
        self.bin = VolumeBin(store.bin, root)
        self.bin.recover()
        removal = VolumeRemoval(store, self.rows, self.bin, self.protection, self.models, self.uses)
        self.volumes = Volumes(self.rows, store.layers, events, removal, space)


class _Containers:
    """Containers, from their rows to their processes."""

    def __init__(self, on: Composition, volumes: _Volumes, tasks: Tasks, events: Events, space: SpaceReclaimer) -> None:
        config, store, monitors = on.config, on.store, on.monitors
        self.paths = paths = Paths(config.data_root, config.exec_root)
        self.catalog = catalog = ContainerCatalog(store.db)
        self.caches = open_caches(os.path.join(config.data_root, "build"), store, volumes.deletions, events, catalog)
        figures = figure_store.Figures(store.db)
        self.disk_usage = DiskUsage(figures, catalog, store.snapshots, volumes.rows, volumes.models.scan)
        self.storage = ContainerStorage(store, volumes.volumes, paths, caches=self.caches.caches.ensure)
        staging, root_files = Staging(paths.mounts, store.layers), RootFiles(store.snapshots, store.layers)
        self.files = ContainerFiles(catalog, self.storage, staging, root_files, events, self.disk_usage)
        self.devices = Devices(CdiRegistry(config.cdi_spec_dirs, NvidiaSource()), diagnosis)
        bundles = Bundles(
            catalog,
            machine=on.machine,
            paths=paths,
            snapshots=store.snapshots,
            root_files=root_files,
            runtimes=dict(config.runtimes),
            devices=self.devices,
        )
        self.execs = Execs(store.db, catalog, monitors, events, bundles.exec_process)
        self.resources = RunResources(monitors, on.networks, volumes=volumes.volumes, staging=staging, bundles=bundles, paths=paths)
        deletion = ContainerDeletion(catalog, self.storage, volumes.deletions, self.execs, events)
        launch = Launch(catalog, self.resources, deletion, events)
        self.reasons = ExitReasons(store.db, paths, tasks)
        self.exits = ExitHandler(
            catalog, launch, deletion=deletion, resources=self.resources, events=events, tasks=tasks, reasons=self.reasons
        )
        self.lifecycle = Lifecycle(catalog, launch, self.exits, monitors, events, space)
        self.queries = ContainerQueries(catalog, self.storage, self.execs, self.disk_usage)
        self.removal = ContainerRemoval(catalog, self.queries, self.lifecycle, deletion, on.networks)
        self.reconcile = Reconcile(catalog, self.exits, deletion, self.resources, self.execs, monitors)
        self.health = HealthChecks(catalog, self.execs, monitors, events, tasks)
        events.follow(self.health.on_container_event)
