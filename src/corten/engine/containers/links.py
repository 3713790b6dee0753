"""Who is linked to whom, over the catalog of containers."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from corten.engine.records.containers import ContainerCatalog, ContainerEntry
from corten.engine.records.state import has_process
from corten.engine.values.container import Container, HostConfig
from corten.engine.values.links import Link, has_links, links_of, not_linkable, parse_link
from corten.errors import EngineError, Invalid, NotFound
from corten.ids import ContainerId, short_id

_CONTAINER = "container:"


def settled_links(host: HostConfig, catalog: ContainerCatalog) -> tuple[str, ...]:
    """The links of a new container by ids, so that a rename does not cut them. Of two with one alias the first holds.

    Raises Invalid for a container that there is not, or that cannot be linked to."""
    if not has_links(host):
        return ()
    found: dict[str, Link] = {}
    for text in host.links:
        link = parse_link(text)
        found.setdefault(link.alias, Link(_target(link.target, catalog).id, link.alias))
    return tuple(str(link) for link in found.values())


def _target(ref: str, catalog: ContainerCatalog) -> Container:
    try:
        if not ref:
            raise NotFound('invalid name or ID supplied: ""', reason="no-container-named")
        target = catalog.get(ref).value
        while target.host.network_mode.startswith(_CONTAINER):
            target = catalog.get(target.host.network_mode.removeprefix(_CONTAINER)).value
    except NotFound as error:
        raise Invalid(f"could not get container for {ref}: {error.message}", reason=error.reason) from error
    if target.host.network_mode == "host":
        text = "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
        raise Invalid(text, reason="conflicting-options")
    return target


def shown_links(container: Container, catalog: ContainerCatalog) -> Container:
    """The container with its links as inspect shows them: `/db:/web/alias`. One whose container is gone is not shown."""
    if not container.host.links:
        return container
    shown = []
    for link in links_of(container.host):
        entry = catalog.find(link.target)
        if entry is not None:
            shown.append(f"/{entry.value.name}:/{container.name}/{link.alias}")
    return replace(container, host=replace(container.host, links=tuple(shown)))


def names_by_links(catalog: ContainerCatalog) -> Mapping[str, list[str]]:
    """Container id -> what it is called by links: `/web/alias`."""
    found: dict[str, list[str]] = defaultdict(list)
    for entry in catalog:
        for link in links_of(entry.value.host):
            found[link.target].append(f"/{entry.value.name}/{link.alias}")
    for names in found.values():
        names.sort()
    return found


def check_linked(container: Container, catalog: ContainerCatalog) -> None:
    """At start: raise EngineError unless every linked container runs."""
    if container.host.network_mode not in ("bridge", "default", ""):
        return
    for link in links_of(container.host):
        entry = catalog.find(link.target)
        if entry is None or not has_process(entry.state):
            raise not_linkable(link, container, entry.value.name if entry else short_id(ContainerId(link.target)))


def linking(name: str, catalog: ContainerCatalog) -> tuple[ContainerEntry, Link]:
    """The container whose link has this name (`web/alias`), and the link. Raises NotFound; EngineError for a container's own name."""
    owner_name, slash, alias = name.removeprefix("/").partition("/")
    if not slash:
        catalog.get(name)
        raise EngineError("Conflict, cannot remove the default link name of the container", reason="no-link-name")
    owner_id = catalog.name_owner(owner_name)
    owner = catalog.find(owner_id) if owner_id else None
    for link in links_of(owner.value.host) if owner else ():
        if link.alias == alias and owner is not None:
            return owner, link
    raise NotFound(f"No such container: {name}", reason="no-such-link")


def without_link(container: Container, link: Link) -> Container:
    left = tuple(text for text in container.host.links if text != str(link))
    return replace(container, host=replace(container.host, links=left))
