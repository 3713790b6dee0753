"""Local contexts: directories of a client on this machine, read in place instead of sent."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from corten.build.files.local_source import LocalSource
from corten.build.files.private_copy import copy_tree
from corten.build.files.tree import Tree
from corten.engine.build.contexts.descriptors import DirectoryDescriptor, LocalDirectories
from corten.engine.build.contexts.digest_store import DigestStore
from corten.engine.build.contexts.dockerfile import ignore_rules
from corten.engine.build.contexts.source import BuildInputs, ContextSource
from corten.engine.build.vertices import InternalVertices
from corten.store.layers import Layers
from corten.store.opened import Store


@dataclass(frozen=True, slots=True)
class LocalContext:
    """`corten.engine.build.contexts.source.ContextSource`: `directories` are read in place, all else comes with `parts`."""

    directories: LocalDirectories
    parts: ContextSource

    @asynccontextmanager
    async def opened(self, store: Store, vertices: InternalVertices) -> AsyncIterator[BuildInputs]:
        """Digests that were computed are stored for the next build. Raises Unavailable."""
        async with AsyncExitStack() as stack:
            inputs = await stack.enter_async_context(self.parts.opened(store, vertices))
            digests = DigestStore(os.path.join(store.root.path, "build", "contexts"))
            found = self.directories
            if found.context is not None:
                inputs.context = await stack.enter_async_context(_tree(found, found.context, digests, store.layers))
                inputs.is_disposable = False
            for name, descriptor in found.named.items():
                tree = await stack.enter_async_context(_tree(found, descriptor, digests, store.layers))
                tree.rules = await asyncio.to_thread(ignore_rules, tree, "")
                inputs.named[name] = tree
            yield inputs


@asynccontextmanager
async def _tree(directories: LocalDirectories, descriptor: DirectoryDescriptor, known: DigestStore, layers: Layers) -> AsyncIterator[Tree]:
    user = await asyncio.to_thread(directories.user)
    async with AsyncExitStack() as stack:
        root = await asyncio.to_thread(directories.opened, descriptor)
        stack.callback(os.close, root)
        tree = Tree(root, own=False, digests=await asyncio.to_thread(known.digests, root))

        def copy() -> Tree:
            work = stack.enter_context(layers.workplace())
            copied = copy_tree(tree, os.path.join(work, "diff"))
            stack.callback(os.close, copied)
            return Tree(copied, own=False, rules=tree.rules)

        tree.local = LocalSource(copy, user)
        try:
            yield tree
        finally:
            if tree.digests.is_changed:
                await asyncio.to_thread(known.keep, root, tree.digests, time.time_ns())
