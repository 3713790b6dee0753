"""Records of the kernel's log, as kernels 5.10 to 6.18 write them."""

from pathlib import Path

from corten.kernel.kmsg import Fault, OomKill, Record, faults, oom_kills, parse_record, read_records


def records(*texts: str) -> list[Record]:
    return [Record(at, text) for at, text in enumerate(texts)]


def test_a_record_has_its_time_and_first_line() -> None:
    data = b"6,339,5140900,-;NET: Registered protocol family 10\n SUBSYSTEM=net\n"
    assert parse_record(data) == Record(5140900, "NET: Registered protocol family 10")


def test_what_is_no_record_is_passed_over() -> None:
    assert [parse_record(data) for data in (b"", b"6,339;text\n", b"6,1,x,-;text\n", b"no semicolon")] == [None] * 4


def test_a_kill_in_a_cgroup_has_its_cgroup_and_size() -> None:
    log = records(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=abc,mems_allowed=0,oom_memcg=/corten/abc,task_memcg=/corten/abc,"
        "task=python3,pid=812,uid=0",
        "Memory cgroup out of memory: Killed process 812 (python3) total-vm:81236kB, anon-rss:63488kB, file-rss:4096kB, shmem-rss:1024kB, "
        "UID:0 pgtables:200kB oom_score_adj:0",
    )
    assert oom_kills(log) == [OomKill(812, "python3", "/corten/abc", False, (63488 + 4096 + 1024) << 10)]


def test_a_kill_for_the_whole_machine_says_so() -> None:
    log = records(
        "oom-kill:constraint=CONSTRAINT_NONE,global_oom,task_memcg=/corten/abc,task=a,b (c),pid=9,uid=0",
        "Out of memory: Killed process 9 (a,b (c)) total-vm:1kB, anon-rss:2kB, file-rss:3kB, shmem-rss:0kB, UID:0",
    )
    assert oom_kills(log) == [OomKill(9, "a,b (c)", "/corten/abc", True, 5 << 10)]


def test_a_kill_whose_first_line_is_gone_is_still_known() -> None:
    log = records("Memory cgroup out of memory: Killed process 7 (x) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB, UID:0")
    assert oom_kills(log) == [OomKill(7, "x", "", False, 1 << 10)]


def test_faults_name_the_module() -> None:
    log = records(
        "python3[7406]: segfault at 0 ip 00007f6ec5574219 sp 00007ffc0ccafbc8 error 4 in libc.so.6[156219,7f6e+156000] likely on CPU 1",
        "a.out[11]: segfault at dead ip 0000000000401136 sp 00007ffd error 6 likely on CPU 0 (core 0, socket 0)",
        "traps: node[12] trap invalid opcode ip:55a sp:7ff error:0 in node[400000+1000]",
        "traps: prog[13] general protection fault ip:7f sp:7f error:0 in libtorch_cpu.so[7f+1]",
        "NVRM: Xid (PCI:0000:01:00): 79, pid=4242, name=python, GPU has fallen off the bus.",
        "NVRM: Xid (PCI:0000:01:00): 79, pid=<unknown>, GPU has fallen off the bus.",
    )
    assert faults(log) == [
        Fault(7406, "python3", "segfault at 0", "libc.so.6"),
        Fault(11, "a.out", "segfault at dead", ""),
        Fault(12, "node", "trap invalid opcode", "node"),
        Fault(13, "prog", "general protection fault", "libtorch_cpu.so"),
        Fault(4242, "", "NVIDIA Xid 79 on PCI:0000:01:00", ""),
    ]


def test_a_log_that_cannot_be_read_is_empty(tmp_path: Path) -> None:
    assert read_records(str(tmp_path / "none")) == []
