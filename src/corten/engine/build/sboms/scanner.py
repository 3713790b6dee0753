"""SBOMs of a result: a container of the scanner image that sees the roots read-only, or our own inventory of them.

    /run/src/core/sbom        the result            BUILDKIT_SCAN_SOURCE
    /run/src/extras/sbom-…    stages, the context   BUILDKIT_SCAN_SOURCE_EXTRAS
    /run/out                  in-toto statements    BUILDKIT_SCAN_DESTINATION

https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from corten.build.events import Emit, StepEnded, StepOutput, StepStarted
from corten.build.files.tempdirs import TempDirs
from corten.build.options import BindMount, BuildOptions, Executor, ImageResolver, RunJob
from corten.build.snapshotter import BuildSnapshotter
from corten.build.steps.cancel import CancelToken
from corten.build.steps.run import RunFailed
from corten.build.steps.stacks import mounted_stack
from corten.engine.build.inventory.rootfs import ScannedRoot
from corten.engine.build.inventory.scan import scan
from corten.engine.build.inventory.spdx import document
from corten.engine.build.sboms.options import SbomOptions, ScanTarget
from corten.engine.build.sboms.statements import LARGEST, read_statements
from corten.engine.build.vertices import InternalVertices
from corten.errors import EngineError, Invalid
from corten.ids import Digest
from corten.oci.digest import sha256_digest
from corten.store.archive.attesting import SBOMS, SPDX, Sboms, Statement, read_sboms
from corten.store.layers import Layers
from corten.store.origins import StoredManifest

SOURCE: Final = "/run/src"
DESTINATION: Final = "/run/out/"
OWN: Final = "corten-inventory-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SbomScanner:
    """For one build. `epoch` (seconds) is the time of its documents."""

    options: BuildOptions
    images: ImageResolver
    executor: Executor
    snapshotter: BuildSnapshotter
    tempdirs: TempDirs
    layers: Layers
    epoch: int
    emit: Emit

    async def cache_key(self, sbom: SbomOptions, targets: Sequence[ScanTarget]) -> str:
        """Names what would be made; "" where files may have changed without telling."""
        if any(target.tree is not None for target in targets):
            return ""
        generator = OWN
        if sbom.generator:
            generator = (await self.images.resolve(sbom.generator, pull=self.options.pull, platform=self.options.platform)).id
        return sha256_digest(repr((generator, sorted(sbom.parameters.items()), self.epoch, [(t.name, t.layers) for t in targets])).encode())

    async def stored_or_scan(self, sbom: SbomOptions, targets: Sequence[ScanTarget], kept: Mapping[Digest, StoredManifest]) -> Sboms:
        """`kept` are the attachments of the result, which may be an image that was looked at in the same way before."""
        key = await self.cache_key(sbom, targets)
        for one in kept.values():
            if one.media_type == SBOMS and key and not self.options.no_cache and (known := read_sboms(one.raw)).recipe == key:
                self.emit(StepStarted("sbom-0", title := self._title(sbom), label=title))
                self.emit(StepEnded("sbom-0", cached=True))
                return known
        return Sboms(key, await self.scan(sbom, targets))

    def _title(self, sbom: SbomOptions) -> str:
        return f"[{self.options.platform}] generating sbom{f' using {sbom.generator}' if sbom.generator else ''}"

    async def scan(self, sbom: SbomOptions, targets: Sequence[ScanTarget]) -> list[Statement]:
        """Raises RunFailed when the scanner fails, Invalid for what it wrote, and what pulling it raises."""
        vertices = InternalVertices(self.emit, "sbom")
        with vertices.step(self._title(sbom), internal=False) as step:
            if sbom.generator:
                return await self._run_scanner(sbom, targets, step)
            cancel = CancelToken()
            return await cancel.in_thread(lambda: [self._listed(target, cancel) for target in targets])

    def _listed(self, target: ScanTarget, cancel: CancelToken) -> Statement:
        if target.tree is not None:
            return self._document(ScannedRoot(target.tree.private_copy().root, cancel.check), target.name)
        with self.snapshotter.view(target.layers) as fd:
            return self._document(ScannedRoot(fd, cancel.check), target.name)

    def _document(self, root: ScannedRoot, name: str) -> Statement:
        raw = document(name, scan(root), root.cut, self.epoch)
        if len(raw) > LARGEST:
            raise Invalid(f"the SBOM of {name} is larger than {LARGEST >> 20} MiB", reason="sbom-size")
        return Statement(name=f"{name}.spdx.json", type=SPDX, predicate=msgspec.Raw(raw))

    async def _run_scanner(self, sbom: SbomOptions, targets: Sequence[ScanTarget], step: str) -> list[Statement]:
        scanner = await self.images.resolve(sbom.generator, pull=self.options.pull, platform=self.options.platform)
        run = scanner.config.run
        argv = (*(run.entrypoint or ()), *(run.cmd or ()))
        if not argv:
            raise Invalid(f"scanner {sbom.generator} does not have cmd", reason="bad-scanner")
        async with AsyncExitStack() as stack:
            out = os.path.join(stack.enter_context(self.layers.workplace()), "diff")
            binds = [BindMount(source=out, target=DESTINATION.rstrip("/"), read_only=False)]
            for number, target in enumerate(targets):
                source = await stack.enter_async_context(self._mounted(target))
                binds.append(BindMount(source=source, target=f"{SOURCE}/{'extras' if number else 'core'}/{target.name}"))
            snapshot = await asyncio.to_thread(self.snapshotter.prepare, scanner.layers)
            stack.callback(self.snapshotter.remove, snapshot)
            env = (*(run.env or ()), *_variables(sbom, targets))
            status = await self._run(_job(self.options, snapshot, argv, env, run.working_dir or "/", binds), argv, step)
            if status != 0:
                raise RunFailed(" ".join(argv), status)
            return await asyncio.to_thread(read_statements, out)

    async def _run(self, job: RunJob, argv: Sequence[str], step: str) -> int:
        try:
            return await self.executor.run(job, lambda stream, data: self.emit(StepOutput(step, stream, data)))
        except EngineError as error:
            text = f'process "{" ".join(argv)}" did not complete successfully: {error.message}'
            raise type(error)(text, reason=error.reason, hint=error.hint) from error

    @asynccontextmanager
    async def _mounted(self, target: ScanTarget) -> AsyncIterator[str]:
        """The root at a host path."""
        if target.tree is not None:
            tree = await asyncio.to_thread(target.tree.private_copy)
            yield os.readlink(f"/proc/self/fd/{tree.root}")
            return
        async with mounted_stack(self.snapshotter, self.tempdirs, target.layers) as root:
            yield root


def _variables(sbom: SbomOptions, targets: Sequence[ScanTarget]) -> list[str]:
    found = [f"BUILDKIT_SCAN_DESTINATION={DESTINATION}", f"BUILDKIT_SCAN_SOURCE={SOURCE}/core/{targets[0].name}"]
    if len(targets) > 1:
        found.append(f"BUILDKIT_SCAN_SOURCE_EXTRAS={SOURCE}/extras/")
    return [*found, *(f"BUILDKIT_SCAN_{name}={value}" for name, value in sbom.parameters.items())]


def _job(options: BuildOptions, snapshot: str, argv: Sequence[str], env: Sequence[str], cwd: str, binds: Sequence[BindMount]) -> RunJob:
    return RunJob(
        snapshot=snapshot,
        argv=tuple(argv),
        env=tuple(env),
        cwd=cwd,
        user="",
        network=options.network,
        mounts=tuple(binds),
        tmpfs={"/tmp": ""},
        extra_hosts=options.extra_hosts,
        ulimits=options.ulimits,
        limits=options.limits,
    )
