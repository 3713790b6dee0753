"""Names and answers without sockets."""

from ipaddress import ip_address

import pytest
from dnslib import EDNS0, QTYPE, RCODE, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from corten.network.dns import answers
from corten.network.dns.directory import Directory, Member, View

WEB = Member("1", "n1", "front", ("web", "www", "0123456789ab"), (ip_address("172.18.0.2"), ip_address("fd00::2")))
API = Member("2", "n1", "front", ("api", "www"), (ip_address("172.18.0.3"),))
DB = Member("3", "n2", "back", ("db",), (ip_address("172.19.0.2"),))


@pytest.fixture
def directory() -> Directory:
    found = Directory()
    for member in (WEB, API, DB):
        found.put(member.owner, [member])
    return found


FRONT = View(("n1",))
BOTH = View(("n1", "n2"), {"database": "db"})


def texts(addresses: object) -> list[str]:
    assert isinstance(addresses, list)
    return [str(address) for address in addresses]


def test_names_aliases_and_short_ids_are_found_in_any_case(directory: Directory) -> None:
    for name in ("web", "WEB", "0123456789ab", "web.front", "Web.Front"):
        assert texts(directory.find(FRONT, name)) == ["172.18.0.2", "fd00::2"]
    assert texts(directory.find(FRONT, "www")) == ["172.18.0.2", "fd00::2", "172.18.0.3"]


def test_a_network_that_one_is_not_on_is_silent(directory: Directory) -> None:
    assert directory.find(FRONT, "db") is None
    assert directory.find(FRONT, "db.back") is None
    assert texts(directory.find(BOTH, "db.back")) == ["172.19.0.2"]
    assert directory.find_name(FRONT, ip_address("172.19.0.2")) is None


def test_a_link_alias_is_ones_own(directory: Directory) -> None:
    assert texts(directory.find(BOTH, "database")) == ["172.19.0.2"]
    assert directory.find(View(("n2",)), "database") is None


def test_names_go_with_their_owner(directory: Directory) -> None:
    before = directory.generation
    directory.remove("1")
    directory.remove("1")
    assert directory.generation > before
    assert directory.find(FRONT, "web") is None
    assert texts(directory.find(FRONT, "www")) == ["172.18.0.3"]
    assert directory.find_name(FRONT, ip_address("172.18.0.2")) is None


def test_an_address_given_to_the_next_one_is_the_next_ones(directory: Directory) -> None:
    heir = Member("9", "n1", "front", ("heir",), (ip_address("172.18.0.2"),))
    directory.put("9", [heir])
    directory.remove("1")
    assert directory.find_name(FRONT, ip_address("172.18.0.2")) == "heir.front"


def ask(directory: Directory, name: str, kind: str, *, edns: bool = False) -> list[DNSRecord] | None:
    question = DNSRecord.question(name, kind)
    if edns:
        question.add_ar(EDNS0(udp_len=1232))
    record = answers.parse(question.pack())
    assert record is not None
    found = answers.answer(record, directory, FRONT)
    return None if found is None else [DNSRecord.parse(reply) for reply in found]


def test_answers_start_with_another_address_each_time(directory: Directory) -> None:
    found = ask(directory, "www", "A")
    assert found is not None
    assert [[str(rr.rdata) for rr in reply.rr] for reply in found] == [["172.18.0.2", "172.18.0.3"], ["172.18.0.3", "172.18.0.2"]]
    assert {rr.ttl for reply in found for rr in reply.rr} == {600}


@pytest.mark.parametrize(("kind", "count"), [("A", 1), ("AAAA", 1), ("MX", 0), ("SRV", 0), ("TXT", 0)])
def test_a_known_name_has_no_other_kinds_of_record(directory: Directory, kind: str, count: int) -> None:
    found = ask(directory, "web", kind)
    assert found is not None
    assert len(found[0].rr) == count
    assert found[0].header.rcode == RCODE.NOERROR
    assert found[0].header.ra


def test_an_unknown_name_is_not_ours(directory: Directory) -> None:
    assert ask(directory, "example.com", "A") is None
    assert ask(directory, "9.0.18.172.in-addr.arpa", "PTR") is None


def test_addresses_have_names(directory: Directory) -> None:
    for name in ("2.0.18.172.in-addr.arpa", ip_address("fd00::2").reverse_pointer):
        found = ask(directory, name, "PTR")
        assert found is not None
        assert str(found[0].rr[0].rdata) == "web.front."


def test_edns_is_answered_with_edns(directory: Directory) -> None:
    found = ask(directory, "web", "A", edns=True)
    assert found is not None
    assert [extra.rtype for extra in found[0].ar] == [QTYPE.OPT]


def test_a_long_answer_is_cut_for_who_takes_no_more() -> None:
    directory = Directory()
    for number in range(60):
        directory.put(str(number), [Member(str(number), "n1", "front", ("many",), (ip_address(f"172.18.1.{number}"),))])
    record = answers.parse(DNSRecord.question("many", "A").pack())
    assert record is not None
    replies = answers.answer(record, directory, FRONT)
    assert replies is not None
    assert len(replies[0]) > answers.size_limit(record) == 512
    short = DNSRecord.parse(answers.truncated(replies[0], record))
    assert (short.header.tc, len(short.rr)) == (1, 0)


@given(st.binary(max_size=80))
def test_no_bytes_hurt(data: bytes) -> None:
    record = answers.parse(data)
    if record is not None:
        answers.answer(record, Directory(), FRONT)
    if answers.is_query(data):
        assert DNSRecord.parse(answers.refusal(data) or answers.failure(data)).header.rcode


def test_only_an_answer_to_the_question_is_taken() -> None:
    query, identifier = answers.with_new_id(DNSRecord.question("example.com", "A").pack())
    reply = bytearray(DNSRecord.parse(query).reply().pack())
    assert answers.answers_to(query, bytes(reply))
    assert not answers.answers_to(query, query)
    assert not answers.answers_to(query, bytes([identifier[0] ^ 1]) + bytes(reply[1:]))
    other = DNSRecord.question("example.org", "A")
    other.header.id = int.from_bytes(identifier, "big")
    assert not answers.answers_to(query, bytes(other.reply().pack()))


def test_a_failed_forward_says_so() -> None:
    failed = answers.failure(DNSRecord.question("example.com", "A").pack())
    assert DNSRecord.parse(failed).header.rcode == RCODE.SERVFAIL
    assert answers.is_server_failure(failed)


def test_what_nobody_would_answer_is_refused() -> None:
    query = DNSRecord.question("example.com", "A").pack()
    assert answers.refusal(query) is None
    for changed, code in ((query[:2] + b"\x29\0" + query[4:], RCODE.NOTIMP), (query[:4] + b"\0\2" + query[6:], RCODE.FORMERR)):
        reply = answers.refusal(changed)
        assert reply is not None
        found = DNSRecord.parse(reply).header
        assert (found.id, found.qr, found.rd, found.rcode) == (int.from_bytes(query[:2], "big"), 1, 1, code)
    assert not answers.is_query(query[:11])
    assert not answers.is_query(query[:2] + b"\x80\0" + query[4:])


def test_a_servers_address_keeps_its_zone() -> None:
    assert answers.parse_server("10.0.0.1") == ("10.0.0.1", 53)
    assert answers.parse_server("fe80::1%eth0") == ("fe80::1%eth0", 53)
