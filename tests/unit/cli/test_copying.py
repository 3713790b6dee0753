"""`cp`: its rules, and archives that want to be somewhere else."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from corten.cli.archive.packing import pack
from corten.cli.archive.unpacking import PieceReader, Unpacker
from corten.cli.container.cp import Kind, Place, Target, choose, parse_place
from corten.cli.errors import Failure

NOTHING, FILE, FOLDER = Kind(False, False), Kind(True, False), Kind(True, True)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("c:/x", Place("c", "/x")),
        ("/a:b", Place("", "/a:b")),
        ("./a:b", Place("", "./a:b")),
        ("a", Place("", "a")),
        ("c:", Place("c", "")),
        ("-", Place("", "-")),
    ],
)
def test_place(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    ("path", "found", "folder", "content", "expected"),
    [
        ("/t", NOTHING, False, False, Target("/", "t")),
        ("/d/t", FILE, False, False, Target("/d", "t")),
        ("/d/t", FOLDER, False, False, Target("/d/t", "src")),
        ("/d/t/", FOLDER, True, False, Target("/d/t/", "src")),
        ("/d/t", FOLDER, True, True, Target("/d/t", "")),
        ("/d/t", NOTHING, True, False, Target("/d", "t")),
        ("/d/t/", NOTHING, True, False, Target("/d", "t")),
        ("/d/t", NOTHING, True, True, Target("/d", "t")),
    ],
)
def test_target(path: str, found: Kind, folder: bool, content: bool, expected: Target) -> None:
    assert choose(path, found, "src", source_is_folder=folder, content_only=content) == expected


@pytest.mark.parametrize(
    ("path", "found", "folder", "complaint"),
    [("/t", FILE, True, "cannot copy directory"), ("/t/", NOTHING, False, "no such directory"), ("/t/", FILE, False, "not a directory")],
)
def test_no_target(path: str, found: Kind, folder: bool, complaint: str) -> None:
    with pytest.raises(Failure, match=complaint):
        choose(path, found, "src", source_is_folder=folder, content_only=False)


def archive(*entries: tuple[str, bytes, str]) -> bytes:
    """Entries as name, type and link name or content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, text in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(text)
            else:
                info.linkname = text
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def unpack(raw: bytes, folder: Path, root: str = "new") -> None:
    pieces = (raw[i : i + 700] for i in range(0, len(raw), 700))
    Unpacker(str(folder), root, owners=False).unpack(PieceReader(pieces))


def test_first_name_is_replaced(tmp_path: Path) -> None:
    unpack(
        archive(
            ("old", tarfile.DIRTYPE, ""),
            ("old/a", tarfile.REGTYPE, "x"),
            ("old/l", tarfile.SYMTYPE, "a"),
            ("old/h", tarfile.LNKTYPE, "old/a"),
        ),
        tmp_path,
    )
    assert (tmp_path / "new" / "a").read_text() == "x"
    assert os.readlink(tmp_path / "new" / "l") == "a"
    assert (tmp_path / "new" / "h").samefile(tmp_path / "new" / "a")


def test_content_goes_into_the_folder_itself(tmp_path: Path) -> None:
    unpack(archive((".", tarfile.DIRTYPE, ""), ("./a", tarfile.REGTYPE, "x")), tmp_path, "")
    assert (tmp_path / "a").read_text() == "x"


HOSTILE = {
    "dots": [("old/../../escaped", tarfile.REGTYPE, "x")],
    "link, then through it": [("old", tarfile.DIRTYPE, ""), ("old/l", tarfile.SYMTYPE, "../.."), ("old/l/escaped", tarfile.REGTYPE, "x")],
    "hard link out": [("old", tarfile.DIRTYPE, ""), ("old/l", tarfile.SYMTYPE, ".."), ("old/h", tarfile.LNKTYPE, "old/l/../secret")],
    "root is a link": [("old", tarfile.SYMTYPE, ".."), ("old/escaped", tarfile.REGTYPE, "x")],
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_archive_is_contained(attack: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_text("s")
    with pytest.raises(Failure, match="refused"):
        unpack(archive(*HOSTILE[attack]), inside)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["inside", "secret"]


def test_existing_link_is_replaced_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "new").symlink_to(outside)
    unpack(archive(("old", tarfile.REGTYPE, "x")), inside)
    assert (outside.read_text(), (inside / "new").read_text()) == ("kept", "x")


def test_no_folder_in_a_files_place(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(Failure, match="cannot overwrite directory"):
        unpack(archive(("old", tarfile.REGTYPE, "x")), tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "a").write_text("A" * 1000)
    os.link(root / "a", root / "sub" / "hard")
    (root / "sub" / "link").symlink_to("../a")
    os.mkfifo(root / "fifo")
    return root


def test_packed_tree_comes_back(tree: Path, tmp_path: Path) -> None:
    raw = b"".join(pack(str(tree), "x"))
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert [m.name for m in tar] == ["x", "x/a", "x/fifo", "x/sub", "x/sub/hard", "x/sub/link"]
        assert tar.getmember("x/sub/hard").linkname == "x/a"
    (tmp_path / "out").mkdir()
    unpack(raw, tmp_path / "out")
    assert (tmp_path / "out" / "new" / "sub" / "link").read_text() == "A" * 1000


def test_pack_leaves_out_what_is_not_kept(tree: Path) -> None:
    raw = b"".join(pack(str(tree), ".", keep=lambda path, folder: not folder and path != "fifo"))
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert tar.getnames() == [".", "./a"]


def test_pack_follows_only_the_name_itself(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "l").symlink_to(tree / "a")
    for follow, kind in ((True, tarfile.REGTYPE), (False, tarfile.SYMTYPE)):
        raw = b"".join(pack(str(tmp_path / "l"), "x", follow=follow))
        with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
            assert [m.type for m in tar] == [kind]
