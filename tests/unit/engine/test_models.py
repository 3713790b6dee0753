"""Models in volumes: every layout that is recognised, what only looks like one, and that nobody waits for looks that were made."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from corten.engine import models
from corten.engine.models import recognise
from tests.unit.engine.world import World
from tests.unit.engine.world import world as engine_world

HEADER = json.dumps({"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
SAFETENSORS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)
GGUF = b"GGUF\x03\0\0\0" + bytes(8)
ZIP, PICKLE = b"PK\x03\x04" + bytes(20), b"\x80\x02" + bytes(20)
HUB = "hub/models--org--x"
RECOGNISED = {
    "safetensors": {"model.safetensors": SAFETENSORS},
    "shards": {"deep/er/model-00001-of-00002.safetensors": SAFETENSORS, "deep/er/model-00002-of-00002.safetensors": SAFETENSORS},
    "gguf": {"llama/Q4_K_M.GGUF": GGUF},
    "pytorch-zip": {"config.json": b"{}", "pytorch_model.bin": ZIP},
    "pytorch-pickle": {"config.json": b"{}", "consolidated.00.pth": PICKLE},
    "hub": {f"{HUB}/blobs/{'a' * 64}": SAFETENSORS, f"{HUB}/refs/main": b"abc"},
    "hub-gguf": {f"{HUB}/blobs/{'a' * 64}": GGUF},
    "hub-big": {f"{HUB}/blobs/{'a' * 64}": bytes(1 << 20)},
}
KINDS = {
    "shards": "safetensors",
    "pytorch-zip": "pytorch",
    "pytorch-pickle": "pytorch",
    **dict.fromkeys(("hub", "hub-gguf", "hub-big"), "Hugging Face cache"),
}
PLAIN = {
    "empty": {},
    "names-only": {"model.safetensors": b"version https://git-lfs.github.com/spec/v1\n", "x.gguf": b"text", "y.pt": PICKLE},
    "bin-without-config": {"a/config.json": b"{}", "b/firmware.bin": ZIP},
    "no-zip": {"config.json": b"{}", "data.bin": b"plain"},
    "huge-header": {"model.safetensors": (1 << 40).to_bytes(8, "little") + b"{}"},
    "small-blobs": {f"{HUB}/blobs/{'a' * 64}": b"tokenizer"},
    "database": {"base/1/pg": bytes(3 << 20)},
}


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.mark.parametrize("layout", RECOGNISED)
def test_layouts(tmp_path: Path, layout: str) -> None:
    fill(tmp_path, RECOGNISED[layout])
    found = recognise(str(tmp_path))
    assert found is not None
    assert found.kinds == (KINDS.get(layout, layout),)
    weights = [data for name, data in RECOGNISED[layout].items() if not name.endswith(("config.json", "main"))]
    assert (found.files, found.size) == (len(weights), sum(map(len, weights)))


@pytest.mark.parametrize("layout", PLAIN)
def test_what_is_none(tmp_path: Path, layout: str) -> None:
    fill(tmp_path, PLAIN[layout])
    assert recognise(str(tmp_path)) is None


def test_links_are_not_followed(tmp_path: Path) -> None:
    fill(tmp_path / "outside", RECOGNISED["gguf"])
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "volume" / "x.gguf").symlink_to(tmp_path / "outside" / "llama" / "Q4_K_M.GGUF")
    assert recognise(str(tmp_path / "volume")) is None


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with engine_world(tmp_path) as made:
        yield made


async def test_what_is_measured_is_looked_at(world: World) -> None:
    """By the round in the background, so that who lists volumes waits for nothing."""
    services = world.engine.services
    volume = await services.volumes.create("weights")
    fill(Path(services.volumes.mountpoint(volume)), RECOGNISED["gguf"])
    assert services.cleanup.models.all() == {}
    await services.disk_usage.round()
    assert set(services.cleanup.models.all()) == {"weights"}


async def test_whoever_asks_waits_only_for_what_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    services = world.engine.services
    monkeypatch.setattr(models, "_YOUNG", 0)
    volume = await services.volumes.create("weights")
    place = Path(services.volumes.mountpoint(volume))
    asked = services.cleanup.scanner.find_models
    assert await asked([volume], {}) == {}
    fill(place, RECOGNISED["gguf"])
    assert await asked([volume], {}) == {}  # nobody used it since the look
    found = await asked([volume], {"weights": time.time_ns()})
    assert str(found["weights"]) == "gguf (1 file, 16B)"
    assert await asked([volume], {"weights": 1}) == found


async def test_a_new_volume_of_an_old_name_is_another_one(world: World) -> None:
    services = world.engine.services
    volume = await services.volumes.create("weights")
    fill(Path(services.volumes.mountpoint(volume)), RECOGNISED["gguf"])
    assert await services.cleanup.scanner.find_models([volume], {})
    await services.volumes.remove("weights")
    services.cleanup.models.scan("weights", services.volumes.mountpoint(volume))  # one that was under way
    again = await services.volumes.create("weights")
    assert await services.cleanup.scanner.find_models([again], {}) == {}


async def test_looks_have_a_budget(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    services = world.engine.services
    monkeypatch.setattr(models, "BUDGET", 0)
    volumes = [await services.volumes.create(f"v{n}") for n in range(4)]
    await services.cleanup.scanner.find_models(volumes, {})
    assert len(services.cleanup.models.scan_times()) == 1
