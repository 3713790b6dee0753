"""The folders of one build that are read where they lie, as trees."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from corten.build.files.local_source import LocalSource
from corten.build.files.private_copy import copy_tree
from corten.build.files.tree import Tree
from corten.engine.build.folders.claims import Claim, Claims
from corten.engine.build.folders.known import KnownContexts
from corten.store.layers import Layers


@dataclass(slots=True)
class Lying:
    """`context` None: there is no such context."""

    context: Tree | None = None
    named: dict[str, Tree] = field(default_factory=dict)


@asynccontextmanager
async def lying(claims: Claims, known: KnownContexts, layers: Layers) -> AsyncIterator[Lying]:
    """The trees, until the block is left. What was read of them is remembered then. Raises Unavailable."""
    async with AsyncExitStack() as stack:
        found = Lying()
        if claims.context is not None:
            found.context = await stack.enter_async_context(_tree(claims, claims.context, known, layers))
        for name, claim in claims.named.items():
            found.named[name] = await stack.enter_async_context(_tree(claims, claim, known, layers))
        yield found


@asynccontextmanager
async def _tree(claims: Claims, claim: Claim, known: KnownContexts, layers: Layers) -> AsyncIterator[Tree]:
    reader = await asyncio.to_thread(claims.reader)
    async with AsyncExitStack() as stack:
        root = await asyncio.to_thread(claims.opened, claim)
        stack.callback(os.close, root)
        tree = Tree(root, own=False, digests=await asyncio.to_thread(known.digests, root))

        def copy() -> Tree:
            work = stack.enter_context(layers.workplace())
            copied = copy_tree(tree, os.path.join(work, "diff"))
            stack.callback(os.close, copied)
            return Tree(copied, own=False, rules=tree.rules)

        tree.local = LocalSource(copy, reader)
        try:
            yield tree
        finally:
            if tree.digests.is_changed:
                await asyncio.to_thread(known.keep, root, tree.digests, time.time_ns())
