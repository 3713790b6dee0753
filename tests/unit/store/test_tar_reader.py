import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.errors import Invalid
from corten.store.tar import header as h
from corten.store.tar.reader import TarReader
from corten.store.tar.writer import END, header, padding
from tests.unit.store.tarballs import GNU, PAX, USTAR, Member, chunked, tarball


def read(data: bytes, size: int = 10240) -> list[tuple[h.Entry, bytes]]:
    reader = TarReader(chunked(data, size))
    found = []
    while (entry := reader.next_entry()) is not None:
        found.append((entry, b"".join(reader.payload())))
    return found


LONG = "d" * 90 + "/" + "f" * 120


@pytest.mark.parametrize("format", [USTAR, GNU, PAX])
@pytest.mark.parametrize("size", [1, 7, 512, 1000, 1 << 20])
def test_every_format_in_any_chunks(format: int, size: int) -> None:
    members = [Member("a/", "dir"), Member("a/b", data=b"x" * 700), Member("l", "link", link="a/b"), Member("e")]
    if format != USTAR:
        members += [Member(LONG, data=b"long"), Member("ünï", data=b"u"), Member("k", "link", link=LONG)]
    found = read(tarball(members, format), size)
    assert [(e.name.decode(), data) for e, data in found] == [(m.name, m.data) for m in members]
    assert [e.link.decode() for e, _ in found] == [m.link for m in members]
    assert [e.mtime_ns for e, _ in found] == [1_700_000_000 * 10**9] * len(members)


def test_pax_fields_override_the_header() -> None:
    pax = {"mtime": "1.5", "uid": "3000000", "gid": "7", "SCHILY.xattr.user.x": "v", "comment": "ignored"}
    ((entry, data),) = read(tarball([Member("f", data=b"hi", uid=0, gid=0, pax=pax)]))
    assert (entry.uid, entry.gid, entry.mtime_ns, entry.xattrs, data) == (3_000_000, 7, 1_500_000_000, {b"user.x": b"v"}, b"hi")


def test_base_256_numbers() -> None:
    ((entry, _),) = read(tarball([Member("f", uid=0o77777777 + 1, gid=5)], GNU))
    assert (entry.uid, entry.gid) == (0o77777777 + 1, 5)
    assert h.number(b"\xff" * 8) == -1


def test_raw_bytes_and_payloads_are_the_whole_archive() -> None:
    data = tarball([Member(LONG, data=b"x" * 1000), Member("b"), Member("c", data=b"y" * 512)], GNU) + b"trailer"
    for size in (5, 512, 777, 4096, len(data)):
        reader = TarReader(chunked(data, size), keep_raw=True)
        parts: list[bytes | memoryview] = []
        while reader.next_entry() is not None:
            parts += reader.take_raw()
            parts += reader.payload()
        parts += reader.drain()
        assert b"".join(parts) == data
        assert reader.position == len(data)


def test_skipped_and_whole_payloads() -> None:
    data = tarball([Member("a", data=b"1" * 600), Member("b", data=b"2" * 600), Member("c", data=b"3" * 600)])
    reader = TarReader(chunked(data, 1 << 20))
    assert reader.next_entry() is not None
    assert reader.next_entry() is not None
    whole = reader.whole_payload()
    assert whole is not None
    assert bytes(whole) == b"2" * 600
    assert reader.next_entry() is not None
    assert reader.read_payload(600) == b"3" * 600
    assert reader.next_entry() is None


def test_a_payload_over_a_limit_is_not_read() -> None:
    reader = TarReader(chunked(tarball([Member("a", data=b"1" * 600)]), 512))
    reader.next_entry()
    with pytest.raises(Invalid, match="the limit is 10"):
        reader.read_payload(10)


@pytest.mark.parametrize("cut", [100, 513, 1100, 1700])
def test_truncation_is_told(cut: int) -> None:
    data = tarball([Member("a", data=b"1" * 600), Member("b", data=b"2" * 600)])
    with pytest.raises(Invalid, match="unexpected EOF"):
        read(data[:cut])


def test_archives_without_end_marker_are_accepted_as_go_does() -> None:
    data = tarball([Member("a", data=b"1" * 512)])
    assert len(read(data[:1024])) == 1
    assert len(read(data[: 1024 + 512])) == 1
    assert read(b"") == []


def test_damage_is_told() -> None:
    data = bytearray(tarball([Member("a", data=b"1")]))
    data[0] ^= 1
    with pytest.raises(Invalid, match="checksum"):
        read(bytes(data))
    with pytest.raises(Invalid, match="empty block"):
        read(bytes(512) + tarball([Member("a")]))


def pax_member(body: bytes) -> bytes:
    return header(h.Entry(b"x", h.PAX, size=len(body))) + body + padding(len(body))


@pytest.mark.parametrize(
    "body",
    [b"nonsense", b"99 path=a\n", b"9 path=a\n\n", b"0 a=b\n", b"-6 a=b\n", b"6 a=b", b"11 path=a\0b\n", b"10 uid=zz\n", b"13 mtime=1.x\n",
     b"10 size=x\n"],
)  # fmt: skip
def test_malformed_pax_records_are_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        read(pax_member(body) + tarball([Member("a")]))


def test_an_extension_needs_an_entry_and_a_limit() -> None:
    with pytest.raises(Invalid, match="no entry after it"):
        read(pax_member(b"9 path=a\n") + END)
    with pytest.raises(Invalid, match="extension of"):
        read(header(h.Entry(b"x", h.PAX, size=5 << 20)))


def test_negative_sizes_are_refused() -> None:
    block = bytearray(header(h.Entry(b"f", size=1)))
    block[124:136] = b"\xff" * 12
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    with pytest.raises(Invalid, match="size"):
        read(bytes(block))


SPARSE_DATA = b"A" * 512 + b"B" * 512


def sparse_old() -> bytes:
    block = bytearray(header(h.Entry(b"s", h.GNU_SPARSE, size=1024)))
    block[257:265] = b"ustar  \0"
    block[345:500] = bytes(155)
    block[386:410] = b"%011o\0%011o\0" % (1024, 512)
    block[410:434] = b"%011o\0%011o\0" % (4096, 512)
    block[483:495] = b"%011o\0" % 10000
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + SPARSE_DATA + END


def sparse_pax(records: dict[bytes, bytes], payload: bytes) -> bytes:
    body = b""
    for key, value in records.items():
        record = b" " + key + b"=" + value + b"\n"
        size = len(record) + 2 if len(record) < 98 else len(record) + 3
        body += b"%d" % size + record
    return pax_member(body) + header(h.Entry(b"x", size=len(payload))) + payload + padding(len(payload)) + END


V01 = {b"GNU.sparse.map": b"1024,512,4096,512", b"GNU.sparse.size": b"10000", b"GNU.sparse.name": b"s"}
V10 = {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.name": b"s", b"GNU.sparse.realsize": b"10000"}
V10_MAP = b"2\n1024\n512\n4096\n512\n".ljust(512, b"\0")


@pytest.mark.parametrize("data", [sparse_old(), sparse_pax(V01, SPARSE_DATA), sparse_pax(V10, V10_MAP + SPARSE_DATA)])
def test_sparse_files_in_every_form(data: bytes) -> None:
    ((entry, payload),) = read(data, 300)
    assert (entry.name, entry.type, entry.length) == (b"s", h.FILE, 10000)
    assert entry.sparse == [(1024, 512), (4096, 512)]
    assert payload == SPARSE_DATA


@pytest.mark.parametrize(
    "records",
    [V01 | {b"GNU.sparse.map": b"4096,512,1024,512"}, V01 | {b"GNU.sparse.size": b"10"}, V01 | {b"GNU.sparse.map": b"1,2,3"},
     V01 | {b"GNU.sparse.map": b"0,5"}, V01 | {b"GNU.sparse.map": b"x,5"}],
)  # fmt: skip
def test_impossible_sparse_maps_are_refused(records: dict[bytes, bytes]) -> None:
    with pytest.raises(Invalid):
        read(sparse_pax(records, SPARSE_DATA))


def test_a_sparse_map_without_end_is_refused() -> None:
    payload = b"99999999999\n" + b"1\n" * 2000
    with pytest.raises(Invalid):
        read(sparse_pax(V10, payload.ljust(8192, b"\0")))


names = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=130).filter(
    lambda n: n not in (".", "..")
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(names, st.binary(max_size=600), st.integers(0, 2**33)), max_size=4))
def test_what_we_write_tarfile_and_we_read(files: list[tuple[str, bytes, int]]) -> None:
    data = b""
    for name, content, uid in files:
        entry = h.Entry(name.encode(), size=len(content))
        entry.uid, entry.mtime_ns, entry.xattrs = uid, 5 * 10**9, {b"user.a": content[:9].replace(b"\0", b"x")}
        data += header(entry) + content + padding(len(content))
    data += END
    assert [(e.name.decode(), e.uid, e.mtime_ns, c) for e, c in read(data)] == [(n, u, 5 * 10**9, c) for n, c, u in files]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [(m.name, m.uid) for m in archive] == [(n.rstrip("/"), u) for n, _, u in files]


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=2000), st.integers(1, 600))
def test_noise_never_does_more_than_raise(noise: bytes, size: int) -> None:
    start = tarball([Member("a", data=b"x")])[:512]
    for data in (noise, start + noise):
        try:
            read(data, size)
        except Invalid:
            pass
