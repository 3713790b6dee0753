"""Pulls and prunes at once, in any order that hypothesis thinks of, against a model: what is there is whole, nothing else stays.

A gate before each blob decides how far each pull has come when the next thing happens.
"""

import asyncio
import gzip
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from corten.engine.events import Events
from corten.engine.images.removal import ImagePruneFilter, RemoveOptions
from corten.engine.images.service import Images
from corten.engine.transfer.pull import Pulls
from corten.ids import DiffId
from corten.oci.reference import parse_reference
from corten.registry.hosts import RegistrySettings
from corten.store.opened import open_store
from tests.integration.test_store_faults import check_whole
from tests.support.faulty_registry import running_registry
from tests.support.remote_images import add_image, layer_tar, sha256

pytestmark = pytest.mark.privileged
SHARED = [layer_tar({"base": b"b" * 5000}), layer_tar({"more": b"m" * 3000})]
IMAGES = {
    "one": [*SHARED, layer_tar({"own1": b"1" * 2000})],
    "two": [SHARED[0], layer_tar({"own2": b"2" * 2000})],
    "same": [*SHARED, layer_tar({"own1": b"1" * 2000})],
}


class Gated(dict[str, bytes]):
    """A registry's blobs, each handed out after its gate was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[str, threading.Event] = {}
        self.asked = threading.Event()

    def __getitem__(self, digest: str) -> bytes:
        if digest in self.gates:
            self.asked.set()
            assert self.gates[digest].wait(60)
        return super().__getitem__(digest)


class PullsAndPrunes(RuleBasedStateMachine):
    """The model: which tags point at an image now, which pulls are under way."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = open_store(str(self.folder / "root"))
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.running = running_registry()
        self.registry = self.running.__enter__()
        self.tags: set[str] = set()
        self.pulling: dict[str, Future[None]] = {}

    @initialize()
    def fill_the_registry(self) -> None:
        self.blobs = self.registry.blobs = Gated()
        for tag, layers in IMAGES.items():
            add_image(self.registry, layers, tag)
        self.pulls = Pulls(self.store, RegistrySettings(certs_d=()), Events())
        self.images = Images(self.store, list, Events(), self.pulls.refetch())
        self.begun(self.pulls.pull(parse_reference(self.name("one")), lambda _: None)).result(60)
        self.tags.add("one")
        self.shut()

    def begun(self, work: Coroutine[None, None, None]) -> "Future[None]":
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def shut(self) -> None:
        layers = [digest for digest, data in dict.items(self.blobs) if data.startswith(b"\x1f\x8b")]
        self.blobs.gates = {digest: threading.Event() for digest in layers}

    def name(self, tag: str) -> str:
        return f"{self.registry.host}/x:{tag}"

    @rule(tag=st.sampled_from(sorted(IMAGES)))
    @precondition(lambda self: len(self.pulling) < 2)
    def begin(self, tag: str) -> None:
        """A pull that has nothing to fetch ends at once; any other one waits for its last layer until `finish`."""
        if tag in self.pulling:
            return
        self.blobs.asked.clear()
        pull = self.begun(self.pulls.pull(parse_reference(self.name(tag)), lambda _: None))
        if self.store.layers.find(DiffId(sha256(IMAGES[tag][-1]))) is not None:
            pull.result(60)
            self.tags.add(tag)
        else:
            self.pulling[tag] = pull
            self.blobs.asked.wait(0.2)  # most pulls get that far; one whose blobs another one fetches asks for nothing

    @rule(number=st.integers(0, 20))
    @precondition(lambda self: self.pulling)
    def let_a_blob_through(self, number: int) -> None:
        last = {sha256(gzip.compress(layers[-1], 1, mtime=0)) for layers in IMAGES.values()}
        gates = sorted(self.blobs.gates.keys() - last)
        self.blobs.gates[gates[number % len(gates)]].set()

    @rule(every=st.booleans())
    def prune(self, every: bool) -> None:
        async def prune() -> None:
            await self.images.removal.prune(ImagePruneFilter(dangling_only=not every))

        self.begun(prune()).result(60)
        if every:
            self.tags = set()

    @rule()
    @precondition(lambda self: self.pulling)
    def finish(self) -> None:
        """Both pulls come to their ends side by side."""
        for gate in self.blobs.gates.values():
            gate.set()
        for tag, pull in self.pulling.items():
            pull.result(60)
            self.tags.add(tag)
        self.pulling = {}
        self.shut()

    @rule(tag=st.sampled_from(sorted(IMAGES)))
    @precondition(lambda self: not self.pulling)
    def remove(self, tag: str) -> None:
        async def remove() -> None:
            await self.images.removal.remove(self.name(tag), RemoveOptions(force=True))

        if tag in self.tags:
            self.begun(remove()).result(60)
            self.tags.discard(tag)

    @invariant()
    def what_is_recorded_is_there(self) -> None:
        self.store.layers.collect()  # as every removal does: what a pull under way needs must survive it
        with self.store.db.transaction():
            images = self.store.images.all()
            for image in images:
                self.store.layers.require(image.layers)
        for image in images:
            assert all(Path(self.store.layers.path(layer)).is_dir() for layer in image.layers)

    @invariant()
    @precondition(lambda self: not self.pulling)
    def the_model_agrees(self) -> None:
        names = {tag for image in self.store.images.all() for tag in image.repo_tags}
        assert names == {self.name(tag) for tag in self.tags}
        needed = {layer for image in self.store.images.all() for layer in image.layers}
        assert {layer.diff_id for layer in self.store.layers.all()} == needed

    def teardown(self) -> None:
        if self.pulling:
            self.finish()
        check_whole(self.store)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.running.__exit__(None, None, None)
        self.store.close()
        shutil.rmtree(self.folder)


def test_pulls_and_prunes_at_once() -> None:
    some = settings(max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(PullsAndPrunes, settings=some)
