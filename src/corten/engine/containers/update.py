"""`docker update` and `docker rename`: new limits, another restart policy, another name for a container, running or not."""

from dataclasses import fields, replace

from corten.engine.containers.create.checks import check_resources
from corten.engine.containers.create.names import check_name
from corten.engine.containers.protocols import ContainerNetworks, MonitorClient
from corten.engine.containers.restart_policy import check_policy
from corten.engine.events import Events
from corten.engine.host import HostFacts
from corten.engine.records.containers import ContainerCatalog
from corten.engine.records.state import has_process, require
from corten.engine.spec.resources import linux_resources
from corten.engine.values.container import Resources, RestartPolicy
from corten.errors import Conflict, Invalid

_NOT_UPDATABLE = ("cgroup_parent", "devices", "device_cgroup_rules", "device_requests", "ulimits")


class ContainerUpdate:
    def __init__(
        self, catalog: ContainerCatalog, monitors: MonitorClient, networks: ContainerNetworks, facts: HostFacts, events: Events
    ) -> None:
        self._catalog = catalog
        self._monitors = monitors
        self._networks = networks
        self._facts = facts
        self._events = events

    async def update(self, ref: str, wanted: Resources, policy: RestartPolicy | None) -> None:
        """What is empty in `wanted` stays as it is. Raises Invalid for impossible limits; then nothing has changed."""
        entry = self._catalog.get(ref)
        async with entry.lock:
            self._catalog.check_present(entry, ref)
            require("update", entry.value, ref)
            host = entry.value.host
            resources = merged_resources(host.resources, wanted, container_id=entry.id)
            if resources.pids_limit is not None and resources.pids_limit < 0:
                resources = replace(resources, pids_limit=0)
            check_resources(resources, self._facts)
            if policy is not None:
                check_policy(policy)
                if host.auto_remove and policy.name not in ("", "no"):
                    text = "Restart policy cannot be updated because AutoRemove is enabled for the container"
                    raise Conflict(f"Cannot update container {entry.id}: {text}", reason="auto-remove")
            if resources != host.resources and has_process(entry.state):
                await self._monitors.of(entry.id).update(linux_resources(resources))
            changed = replace(host, resources=resources, restart_policy=policy or host.restart_policy)
            self._catalog.replace(entry, replace(entry.value, host=changed))
        self._events.container(entry.value, "update")

    async def rename(self, ref: str, name: str) -> None:
        """Raises Invalid or, for a name in use, Conflict."""
        new = name.removeprefix("/")
        entry = self._catalog.get(ref)
        if not new:
            raise Invalid("Neither old nor new names may be empty", reason="bad-name")
        async with entry.lock:
            self._catalog.check_present(entry, ref)
            old = entry.value.name
            if new == old:
                raise Invalid("Renaming a container with the same name as its current name", reason="same-name")
            try:
                check_name(new, shown=f"/{new}")
                self._catalog.replace(entry, replace(entry.value, name=new))
            except (Invalid, Conflict) as error:
                raise type(error)(f"Error when allocating new name: {error.message}", reason=error.reason) from error
            await self._networks.renamed(entry.value)
        self._events.container(entry.value, "rename", oldName=f"/{old}")


def merged_resources(present: Resources, wanted: Resources, *, container_id: str) -> Resources:
    """`present` with what is said in `wanted`. Raises Conflict, in Docker's words, for limits that contradict those that stay."""
    defaults = Resources()
    said = {
        field.name: getattr(wanted, field.name)
        for field in fields(Resources)
        if field.name not in _NOT_UPDATABLE and getattr(wanted, field.name) != getattr(defaults, field.name)
    }
    if 0 < present.memory_swap < wanted.memory and not wanted.memory_swap:
        raise Conflict(
            f"Cannot update container {container_id}: Memory limit should be smaller than already set memoryswap limit, "
            "update the memoryswap at the same time",
            reason="memory-above-memoryswap",
        )
    if wanted.memory and not wanted.memory_swap and not present.memory_swap:
        said["memory_swap"] = 2 * wanted.memory
    if wanted.nano_cpus:
        said |= {"cpu_period": 0, "cpu_quota": 0}
    elif wanted.cpu_period or wanted.cpu_quota:
        said["nano_cpus"] = 0
    return replace(present, **said)
