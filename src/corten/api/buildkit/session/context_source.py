"""A build's sources read over a BuildKit client's session: first the Dockerfile, then the files that it needs."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from corten.api.buildkit.frontend_attrs import FrontendOptions
from corten.api.buildkit.session.attachables import SessionAgents, SessionSecrets, credentials
from corten.api.buildkit.session.filesync import FilesyncRequest, sync
from corten.api.buildkit.session.followpaths import context_paths
from corten.api.buildkit.session.local_sources import LocalSources
from corten.api.buildkit.session.sessions import ClientSession
from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.expand import Expander
from corten.build.dockerfile.parser import parse
from corten.build.files.tree import Tree
from corten.build.graph import Graph
from corten.build.solve import global_values
from corten.engine.build.contexts.dockerfile import ignore_rules, read_dockerfile
from corten.engine.build.contexts.source import BuildInputs
from corten.engine.build.contexts.tar import root_of
from corten.engine.build.vertices import InternalVertices
from corten.engine.tasks import Tasks
from corten.errors import EngineError
from corten.ignore import IgnoreRules, parse_ignore_file
from corten.oci.reference import parse_reference
from corten.registry.auth import Credentials
from corten.store.opened import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """`credentials` is filled with what the client has for the registries that the build may ask; `domains` are asked for besides."""

    session: ClientSession
    frontend: FrontendOptions
    local_sources: LocalSources
    tasks: Tasks
    credentials: dict[str, Credentials]
    domains: frozenset[str] = frozenset()
    explain: Callable[[str], None] = lambda text: None

    @asynccontextmanager
    async def opened(self, store: Store, vertices: InternalVertices) -> AsyncIterator[BuildInputs]:
        """As `corten.engine.build.contexts.source.ContextSource`."""
        with ExitStack() as stack:
            if self.frontend.context:
                inputs = BuildInputs(context=Tree(stack.enter_context(_empty(store)), own=False))
                await self._authorize(None)
            else:
                inputs = await self._local(vertices, store, stack)
            for name, folder in self.frontend.locals.items():
                inputs.named[name] = await self._named(name, folder, vertices, store, stack)
            inputs.options = self.frontend.solve
            inputs.secrets = SessionSecrets(self.session)
            inputs.agents = SessionAgents(self.session, self.tasks)
            yield inputs

    async def _local(self, vertices: InternalVertices, store: Store, stack: ExitStack) -> BuildInputs:
        """The Dockerfile may lie elsewhere than the context: its own ignore file lies beside it."""
        beside = Tree(stack.enter_context(_empty(store)), own=False)
        text = await self._definition(vertices, beside)
        self.explain(text)
        patterns = await self._patterns(vertices, store, beside)
        file = parse(text, self.frontend.filename, self.frontend.options.frontend)
        await self._authorize(file)
        paths = self._paths(file, store)
        root = stack.enter_context(self._folder(store, self.frontend.folder, paths) if paths else _empty(store))
        if paths:
            request = FilesyncRequest(name=self.frontend.folder, paths=[p for p in paths if p], excludes=patterns)
            with vertices.step("load build context") as step:
                vertices.progress(step, "transferring context:", await sync(self.session, request, root))
        return BuildInputs(context=Tree(root, IgnoreRules(patterns) if patterns else None, own=False), text=text)

    async def _definition(self, vertices: InternalVertices, beside: Tree) -> str:
        name = self.frontend.filename
        paths = [name, f"{name}.dockerignore", *(["dockerfile"] if name == "Dockerfile" else ())]
        with vertices.step(f"load build definition from {name}") as step:
            size = await sync(self.session, FilesyncRequest(name=self.frontend.definition, paths=paths), beside.root)
            vertices.progress(step, "transferring dockerfile:", size)
            actual = name if name != "Dockerfile" or beside.exists(name) or not beside.exists("dockerfile") else "dockerfile"
            return await asyncio.to_thread(read_dockerfile, beside, actual, None)

    async def _patterns(self, vertices: InternalVertices, store: Store, beside: Tree) -> list[str]:
        own = f"{self.frontend.filename}.dockerignore"
        if beside.exists(own):
            return parse_ignore_file(await asyncio.to_thread(_text, beside, own))
        with vertices.step("load .dockerignore") as step, _empty(store) as root:
            request = FilesyncRequest(name=self.frontend.folder, paths=[".dockerignore"])
            vertices.progress(step, "transferring context:", await sync(self.session, request, root))
            tree = Tree(root)
            return parse_ignore_file(await asyncio.to_thread(_text, tree, ".dockerignore")) if tree.exists(".dockerignore") else []

    def _paths(self, file: ins.Dockerfile, store: Store) -> list[str]:
        def may_trigger(image: str) -> bool:
            found = None if "$" in image or self.frontend.options.pull else store.images.find(image)
            return found is None or bool(found.config.run.on_build)

        if self.frontend.solve.call != "build":
            return []
        return context_paths(
            file, self.frontend.options.target, frozenset([*self.frontend.locals, *self.frontend.solve.contexts]), may_trigger
        )

    async def _named(self, name: str, folder: str, vertices: InternalVertices, store: Store, stack: ExitStack) -> Tree:
        root = stack.enter_context(self._folder(store, folder, [""]))
        with vertices.step(f"context {name}: load from client") as step, _empty(store) as ignore:
            await sync(self.session, FilesyncRequest(name=folder, paths=[".dockerignore"]), ignore)
            rules = await asyncio.to_thread(ignore_rules, Tree(ignore), "Dockerfile")
            patterns = parse_ignore_file(_text(Tree(ignore), ".dockerignore")) if rules else []
            vertices.progress(
                step, f"transferring {name}:", await sync(self.session, FilesyncRequest(name=folder, excludes=patterns), root)
            )
        return Tree(root, rules, own=False)

    def _folder(self, store: Store, name: str, paths: list[str]) -> AbstractContextManager[int]:
        """Kept for the next build where the client tells which folder it is."""
        if not self.session.shared_key:
            return _empty(store)
        return self.local_sources.folder(store.layers, (self.session.shared_key, name, *paths))

    async def _authorize(self, file: ins.Dockerfile | None) -> None:
        domains = set(self.domains) | (self._domains(file) if file else set())
        for domain in sorted(domains):
            if (found := await credentials(self.session, domain)) is not None:
                self.credentials[domain] = found

    def _domains(self, file: ins.Dockerfile) -> set[str]:
        """Of the registries whose images the Dockerfile names."""
        graph, expander = Graph(file), Expander(global_values(file, self.frontend.options), escape=file.escape)
        names = [stage.base.image for stage in file.stages if graph.find(stage.base.image, stage.index) is None]
        steps = [step for stage in file.stages for step in stage.steps]
        names += [step.from_ for step in steps if isinstance(step, ins.Copy) and step.from_]
        names += [m.options["from"] for step in steps if isinstance(step, ins.Run) for m in step.mounts if m.options.get("from")]
        names += [source.removeprefix("docker-image://") for source in self.frontend.solve.contexts.values()]
        found = set()
        for name in names:
            try:
                found.add(parse_reference(expander.word(name)).domain)
            except EngineError:
                continue  # the build says what is wrong with it
        return found


@contextmanager
def _empty(store: Store) -> Iterator[int]:
    """A descriptor of a new folder that is gone in the end."""
    with store.layers.workplace() as work:
        root = root_of(os.path.join(work, "diff"))
        try:
            yield root
        finally:
            os.close(root)


def _text(tree: Tree, path: str) -> str:
    with open(tree.open(path), "rb") as file:
        return file.read(4 << 20).decode(errors="replace")
