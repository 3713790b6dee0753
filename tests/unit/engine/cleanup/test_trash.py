"""The trash: what was removed comes back as it was, whatever ended the process in between; what is protected does not go."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.config import load_settings
from corten.engine import models, protection
from corten.engine.cleanup.prune.options import PruneFilter, PruneOptions
from corten.engine.cleanup.prune.volumes import VolumePrune
from corten.engine.cleanup.trash import TrashCan
from corten.engine.events import Events
from corten.engine.models import ModelRecords
from corten.engine.protection import Protection
from corten.engine.records import containers
from corten.engine.records.containers import ContainerCatalog
from corten.engine.space import SpaceReclaimer
from corten.engine.usage import DiskUsage
from corten.engine.volumes import VolumeRemoval, Volumes
from corten.errors import Conflict, Invalid, NotFound
from corten.gcpolicy import DiskSpace, GcPolicy, parse_gc_policy
from corten.store import volumes as volume_store
from corten.store.contents import figures as figure_store
from corten.store.contents.figures import Figures
from corten.store.opened import Store, open_store
from corten.store.records import uses
from corten.store.records.uses import Uses
from corten.store.trashbin.images import ImageBin
from corten.store.trashbin.volumes import VolumeBin

WEEK = 7 * 86400 * 10**9
SAFETENSORS = (16).to_bytes(8, "little") + b'{"a": 1}        ' + bytes(1000)


class Place:
    """A store with volumes and their trash; `again` is what a start after a crash makes of it."""

    def __init__(self, path: Path, keep: int = WEEK) -> None:
        self.path = path
        self.keep = keep
        self.open()

    def open(self) -> None:
        self.store: Store = open_store(
            str(self.path),
            (
                *containers.MIGRATIONS,
                *volume_store.MIGRATIONS,
                *figure_store.MIGRATIONS,
                *protection.MIGRATIONS,
                *models.MIGRATIONS,
                *uses.MIGRATIONS,
            ),
            trash_keep=self.keep,
        )
        rows = volume_store.Volumes(str(self.path / "volumes"), self.store.db, self.store.bin._sweeper)
        self.protection, self.models, self.uses = Protection(self.store.db), ModelRecords(self.store.db), Uses(self.store.db)
        self.bin = VolumeBin(self.store.bin, str(self.path / "volumes"))
        self.bin.recover()
        self.events = Events()
        self.removal = VolumeRemoval(self.store, rows, self.bin, self.protection, self.models, self.uses)
        loop = asyncio.new_event_loop()
        loop.close()  # nothing of this runs out of space
        space = SpaceReclaimer(loop)
        self.volumes = Volumes(rows, self.store.layers, self.events, self.removal, space)
        images = ImageBin(self.store.bin, self.store.images, self.store.layers, self.store.origins)
        self.trash = TrashCan(self.store, images=images, volumes=self.bin, protection=self.protection, uses=self.uses, events=self.events)
        figures = DiskUsage(Figures(self.store.db), ContainerCatalog(self.store.db), self.store.snapshots, rows, self.models.scan)
        self.figures = figures
        self.prune = VolumePrune(self.volumes, figures.held, self.protection, self.models, self.events)

    def again(self) -> None:
        self.store.close()
        self.open()

    async def volume(self, name: str, files: dict[str, bytes], **labels: str) -> None:
        volume = await self.volumes.create(name, labels=labels)
        for file, data in files.items():
            Path(self.volumes.mountpoint(volume), file).write_bytes(data)

    def read(self, name: str) -> dict[str, bytes]:
        folder = Path(self.volumes.mountpoint(self.volumes.get(name)))
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def names(self) -> set[str]:
        return {volume.name for volume in self.volumes.list({})}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "root")
    yield made
    made.store.close()


async def test_a_removed_volume_comes_back_as_it_was(place: Place) -> None:
    await place.volume("data", {"a": b"1", "b": b"22"}, purpose="test")
    before = place.volumes.get("data")
    place.uses.note("volume", ("data",), 5)
    await place.volumes.remove("data")
    assert place.uses.find("volume", "data") == 0
    with pytest.raises(NotFound):
        place.volumes.get("data")
    place.store.background.wait()
    (trashed,) = await place.trash.list()
    assert (trashed.entry.name, trashed.entry.size) == ("data", 3)
    assert (await place.trash.restore("data")).names == ("data",)
    assert place.volumes.get("data") == before
    assert place.uses.find("volume", "data") == 5
    assert place.read("data") == {"a": b"1", "b": b"22"}
    assert os.listdir(place.store.root.bin) == []


async def test_a_taken_name_is_told_and_another_one_works(place: Place) -> None:
    await place.volume("data", {"a": b"old"})
    await place.volumes.remove("data")
    await place.volume("data", {"a": b"new"})
    with pytest.raises(Conflict, match="a volume named data exists"):
        await place.trash.restore("data")
    await place.trash.restore("data", "other")
    assert (place.read("data"), place.read("other")) == ({"a": b"new"}, {"a": b"old"})


async def test_a_crash_between_rows_and_rename_loses_nothing(place: Place) -> None:
    await place.volume("data", {"a": b"1"})
    row = place.store.db.query_one("SELECT * FROM volumes")
    await place.volumes.remove("data")
    (entry,) = place.store.bin.all()
    # Killed after the rename, before the commit: the row is still the volume's.
    place.store.bin.drop_row(entry.id)
    place.store.db.execute("INSERT INTO volumes VALUES (?, ?, ?, ?, ?)", row or ())
    place.again()
    assert place.read("data") == {"a": b"1"}
    # Both rows gone with a power failure: the files are in the trash, under their name.
    place.store.db.execute("DELETE FROM volumes")
    place.again()
    await place.trash.restore("data")
    assert place.read("data") == {"a": b"1"}


async def test_a_restore_that_was_cut_short_is_undone(place: Place) -> None:
    await place.volume("data", {"a": b"1"})
    await place.volumes.remove("data")
    (entry,) = place.store.bin.all()
    os.rename(os.path.join(place.store.bin.place(entry.id), "data"), place.path / "volumes" / "data")
    place.again()
    assert place.names() == set()
    await place.trash.restore(entry.id)
    assert place.read("data") == {"a": b"1"}


async def test_protected_volumes_stay(place: Place) -> None:
    await place.volume("said", {"a": b"1"})
    await place.volume("labelled", {"a": b"2"}, **{"corten.protected": ""})
    place.protection.set("said", True)
    for name in ("said", "labelled"):
        with pytest.raises(Conflict, match="volume is protected"):
            await place.volumes.remove(name, force=True)
    pruned = await place.prune.run(PruneFilter(), PruneOptions(), everything=True)
    assert (pruned.names, {kept.name for kept in pruned.kept}) == ((), {"said", "labelled"})
    place.protection.set("labelled", False)
    await place.volumes.remove("labelled")
    await place.volumes.remove("said", force_protected=True)
    await place.trash.restore("said")
    assert place.protection.covers("said", {})


async def test_models_are_recognised_and_spared(place: Place) -> None:
    await place.volume("weights", {"model.safetensors": SAFETENSORS})
    await place.volume("pytorch", {"pytorch_model.bin": b"PK\x03\x04" + bytes(10), "config.json": b"{}"})
    await place.volume("gguf", {"q4.gguf": b"GGUF" + bytes(10)})
    await place.volume("plain", {"notes.safetensors": b"text", "x.bin": b"PK\x03\x04"})
    cache = Path(place.volumes.mountpoint(await place.volumes.create("hub"))) / "hub" / "models--org--x" / "blobs"
    cache.mkdir(parents=True)
    (cache / "ab").write_bytes(SAFETENSORS)
    spared = await place.prune.run(PruneFilter(), PruneOptions(spare_models=True), everything=True)
    assert spared.names == ("plain",)
    assert {kept.name: kept.why.partition(" (")[0] for kept in spared.kept} == {
        "weights": "safetensors",
        "pytorch": "pytorch",
        "gguf": "gguf",
        "hub": "Hugging Face cache",
    }
    assert set((await place.prune.run(PruneFilter(), PruneOptions(), everything=True)).names) == {"weights", "pytorch", "gguf", "hub"}
    await place.trash.restore("weights")
    assert place.read("weights") == {"model.safetensors": SAFETENSORS}


async def test_entries_end_with_their_time(place: Place) -> None:
    for name in ("old", "new"):
        await place.volume(name, {"a": bytes(100)})
        await place.volumes.remove(name)
    old = place.store.bin.get("old")
    assert (await place.trash.expire(old.removed + WEEK)).ids == (old.id,)
    assert [entry.name for entry in place.store.bin.all()] == ["new"]
    told = [e.attributes["reason"] for e in place.events.past(0, None, {"event": ["purge"]})]
    assert told == ["its time in the trash is over"]


async def test_without_a_trash_what_is_removed_is_gone(tmp_path: Path) -> None:
    place = Place(tmp_path / "root", keep=0)
    await place.volume("data", {"a": b"1"})
    await place.volumes.remove("data")
    assert await place.trash.list() == []
    place.store.close()


async def test_a_prune_counts_by_kept_figures(place: Place) -> None:
    await place.volume("data", {"a": bytes(10)})
    assert await place.figures.held([place.volumes.get("data")]) == {"data": 10}
    Path(place.volumes.mountpoint(place.volumes.get("data")), "behind").write_bytes(bytes(5))  # as the host's users could
    assert (await place.prune.run(PruneFilter(), PruneOptions(), everything=True)).reclaimed == 10
    assert place.store.bin.get("data").size == 10
    await place.volume("data", {"a": bytes(7)})  # another one of that name is measured anew
    assert (await place.prune.run(PruneFilter(), PruneOptions(), everything=True)).reclaimed == 7


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from("pmntu"), st.binary(max_size=20)), min_size=1, max_size=6), st.booleans())
async def test_what_is_pruned_leaves_the_rest_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[tuple[str, bytes]], spare: bool
) -> None:
    place = Place(tmp_path_factory.mktemp("p") / "root")
    wanted = {}
    for n, (kind, data) in enumerate(kinds):
        name = f"v{n}"
        files = {"model.safetensors": SAFETENSORS + data} if kind == "m" else {"file": data}
        await place.volume(name, files, **({"corten.protected": "1"} if kind == "p" else {}))
        if kind == "u":
            place.store.db.execute("INSERT INTO volume_users VALUES (?, 'c')", (name,))
        wanted[name] = files
    stay = {f"v{n}" for n, (kind, _) in enumerate(kinds) if kind in "pu" or (spare and kind == "m")}
    dry = await place.prune.run(PruneFilter(), PruneOptions(dry=True, spare_models=spare), everything=True)
    assert place.names() == set(wanted)
    real = await place.prune.run(PruneFilter(), PruneOptions(spare_models=spare), everything=True)
    assert (real.names, real.reclaimed, real.kept) == (dry.names, dry.reclaimed, dry.kept)
    assert place.names() == stay
    for name in stay:
        assert place.read(name) == wanted[name]
    for name in real.names:
        await place.trash.restore(name)
        assert place.read(name) == wanted[name]
    place.store.close()


def test_marks_are_read_and_wrong_ones_refused(tmp_path: Path) -> None:
    assert load_settings(["--gc", "high=85%,low=75%,trash=3d"]).config.gc == GcPolicy(
        high=DiskSpace(85), low=DiskSpace(75), trash=3 * 86400
    )
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"gc": {"high": "95%", "trash": "0", "pin": ["a/*", "b"]}}))
    assert load_settings(["--config-file", str(file)]).config.gc == GcPolicy(high=DiskSpace(95), trash=0, pin=("a/*", "b"))
    for text, said in (
        ("high=70%,low=80%", "must be below"),
        ("kept=1h", "unknown setting kept"),
        ("low=1TB,high=900GB", r"low \(1TiB\) must be below high \(900GiB\)"),
        ("high=0%", "invalid percentage"),
        ("high=50", "neither a percentage"),
        ("keep=x", "time: invalid duration"),
        ("trash=3", "missing unit"),
        ("high=x", "invalid size"),
    ):
        with pytest.raises(Invalid, match=said):
            load_settings(["--gc", text])


def test_marks_of_size_and_pins() -> None:
    policy = parse_gc_policy("high=1.5TB,low=900G,keep=2w,pin=pytorch/*,pin=base")
    assert (policy.high.of(10**13), policy.low.of(10**13), policy.low.of(100)) == (3 << 39, 900 << 30, 100)
    assert (str(policy.high), str(policy.low), str(DiskSpace(80)), policy.keep) == ("1.5TiB", "900GiB", "80%", 14 * 86400)
    assert [policy.pinned_by([name]) for name in ("pytorch/pytorch:2.1", "base", "base:1")] == ["pytorch/*", "base", ""]


async def test_marks_go_and_come_back_in_one_transaction_with_their_volume(place: Place) -> None:
    """A crash must leave no protection of a volume that is gone, and never a restored volume without its own."""
    await place.volume("data", {"a": b"1"})
    place.protection.set("data", True)
    said: list[str] = []
    with place.store.db.transaction() as connection:
        connection.set_trace_callback(said.append)
    await place.volumes.remove("data", force_protected=True)
    await place.trash.restore("data")
    connection.set_trace_callback(None)
    written = [part for part in "\n".join(said).split("COMMIT") if " volumes " in part and ("DELETE FROM" in part or "INSERT" in part)]
    assert len(written) == 2
    assert "DELETE FROM protection" in written[0]
    assert "INTO protection" in written[1]
