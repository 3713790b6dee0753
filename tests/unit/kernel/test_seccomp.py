"""The seccomp compiler: its programs, run in an interpreter, answer what the profile says."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.kernel import seccomp
from corten.kernel.seccomp import compile_profile, filter_flags, has_notify
from corten.kernel.syscalls import ARCHITECTURES, syscall_table
from tests.unit.kernel.bpf_machine import run_seccomp

X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x50001, 0x50026, 0


def profile(*rules: dict[str, Any], default: str = "SCMP_ACT_ERRNO", **more: Any) -> dict[str, Any]:
    return {"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": list(rules)} | more


def rule(*names: str, action: str = "SCMP_ACT_ALLOW", args: Any = None, **more: Any) -> dict[str, Any]:
    return {"names": list(names), "action": action} | ({"args": args} if args is not None else {}) | more


def test_tables_are_one_to_one_and_know_the_newest() -> None:
    for architecture in ARCHITECTURES:
        table = syscall_table(architecture)
        assert len(set(table.values())) == len(table)
        assert table["cachestat"] == 451
        assert table["listns"] == 470
    assert syscall_table("x86_64")["seccomp"] == 317
    assert syscall_table("aarch64")["seccomp"] == 277
    assert syscall_table("i386")["socket"] == 359
    assert syscall_table("arm")["set_tls"] == 0xF0005


def test_names_are_looked_up_per_architecture() -> None:
    program = compile_profile(profile(rule("read", "nonsense", "waitpid")), "x86_64")
    assert run_seccomp(program, X86_64, 0)[0] == ALLOW
    assert run_seccomp(program, I386, 3)[0] == ALLOW  # read
    assert run_seccomp(program, I386, 7)[0] == ALLOW  # waitpid
    assert run_seccomp(program, I386, 0)[0] == EPERM
    assert run_seccomp(program, AARCH64, 63)[0] == KILL


def test_an_unlisted_sibling_architecture_is_killed() -> None:
    program = compile_profile(profile(rule("read"), architectures=[]), "x86_64")
    assert run_seccomp(program, X86_64, 0)[0] == ALLOW
    assert run_seccomp(program, I386, 3)[0] == KILL


def test_aarch64() -> None:
    program = compile_profile(profile(rule("read", "cacheflush"), architectures=["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]), "aarch64")
    assert run_seccomp(program, AARCH64, 63)[0] == ALLOW
    assert run_seccomp(program, ARM, 3)[0] == ALLOW
    assert run_seccomp(program, ARM, 0xF0002)[0] == ALLOW
    assert run_seccomp(program, ARM, 0xF0001)[0] == EPERM


def test_x32_is_refused_whatever_the_profile_says() -> None:
    for default in ("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG"):
        program = compile_profile(profile(rule("read"), default=default), "x86_64")
        assert run_seccomp(program, X86_64, 0x40000000)[0] == ENOSYS
        assert run_seccomp(program, X86_64, 0x40000027)[0] == ENOSYS


def test_what_is_newer_than_the_profile_does_not_exist() -> None:
    program = compile_profile(profile(rule("read", "mseal")), "x86_64")
    assert run_seccomp(program, X86_64, 461)[0] == EPERM
    assert run_seccomp(program, X86_64, 463)[0] == ENOSYS
    permissive = compile_profile(profile(rule("mseal", action="SCMP_ACT_ERRNO"), default="SCMP_ACT_ALLOW"), "x86_64")
    assert run_seccomp(permissive, X86_64, 463)[0] == ALLOW


@pytest.mark.parametrize(
    ("action", "errno", "expected"),
    [
        ("SCMP_ACT_KILL", None, 0),
        ("SCMP_ACT_KILL_THREAD", None, 0),
        ("SCMP_ACT_KILL_PROCESS", None, 0x80000000),
        ("SCMP_ACT_TRAP", None, 0x30000),
        ("SCMP_ACT_ERRNO", None, 0x50001),
        ("SCMP_ACT_ERRNO", 13, 0x5000D),
        ("SCMP_ACT_ERRNO", 0, 0x50000),
        ("SCMP_ACT_NOTIFY", None, 0x7FC00000),
        ("SCMP_ACT_TRACE", None, 0x7FF00001),
        ("SCMP_ACT_TRACE", 7, 0x7FF00007),
        ("SCMP_ACT_LOG", None, 0x7FFC0000),
        ("SCMP_ACT_ALLOW", None, 0x7FFF0000),
    ],
)
def test_actions(action: str, errno: int | None, expected: int) -> None:
    more = {} if errno is None else {"errnoRet": errno}
    program = compile_profile(profile(rule("read", action=action, **more), default="SCMP_ACT_LOG"), "x86_64")
    assert run_seccomp(program, X86_64, 0)[0] == expected
    as_default = compile_profile(profile(default=action, defaultErrnoRet=errno), "x86_64")
    assert run_seccomp(as_default, X86_64, 0)[0] == expected


def holds(op: str, argument: int, value: int, value_two: int) -> bool:
    return {
        "NE": argument != value,
        "LT": argument < value,
        "LE": argument <= value,
        "EQ": argument == value,
        "GE": argument >= value,
        "GT": argument > value,
        "MASKED_EQ": argument & value == value_two,
    }[op]


words = st.one_of(
    st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1]), st.integers(0, 2**64 - 1), st.integers(0, 8)
)
tests = st.tuples(st.integers(0, 5), st.sampled_from(["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]), words, words)


@settings(max_examples=150, deadline=None)
@given(st.lists(tests, min_size=1, max_size=4, unique_by=lambda test: test[0]), st.lists(words, min_size=6, max_size=6))
def test_all_tests_of_a_rule_must_hold(wanted: list[tuple[int, str, int, int]], arguments: list[int]) -> None:
    args = [{"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": two} for index, op, value, two in wanted]
    program = compile_profile(profile(rule("read", args=args)), "x86_64")
    expected = all(holds(op, arguments[index], value, two) for index, op, value, two in wanted)
    assert run_seccomp(program, X86_64, 0, arguments)[0] == (ALLOW if expected else EPERM)


actions = st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO"])


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 460), st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO"]), max_size=300
    )
)
def test_every_number_gets_its_own_verdict(verdicts: dict[int, str]) -> None:
    names = {number: name for name, number in syscall_table("x86_64").items()}
    known = {number: action for number, action in verdicts.items() if number in names}
    program = compile_profile(profile(*(rule(names[number], action=action) for number, action in known.items())), "x86_64")
    returns = {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_LOG": 0x7FFC0000, "SCMP_ACT_TRAP": 0x30000, "SCMP_ACT_ERRNO": EPERM}
    for number in range(462):
        above = known and number > max(known)
        default = ENOSYS if above else EPERM
        found, steps = run_seccomp(program, X86_64, number)
        assert found == (returns[known[number]] if number in known else default)
        assert steps < 24


def test_two_tests_of_one_argument_are_alternatives() -> None:
    args = [{"index": 0, "op": "SCMP_CMP_EQ", "value": value} for value in (3, 5)]
    program = compile_profile(profile(rule("read", args=args)), "x86_64")
    assert [run_seccomp(program, X86_64, 0, [value])[0] == ALLOW for value in (3, 4, 5)] == [True, False, True]


def test_conditions_come_before_the_unconditional_verdict() -> None:
    only_seven = [{"index": 1, "op": "SCMP_CMP_EQ", "value": 7}]
    program = compile_profile(profile(rule("read"), rule("read", action="SCMP_ACT_ERRNO", errnoRet=9, args=only_seven)), "x86_64")
    assert run_seccomp(program, X86_64, 0, [0, 7])[0] == 0x50009
    assert run_seccomp(program, X86_64, 0, [0, 8])[0] == ALLOW


def test_32_bit_arguments_have_no_upper_half() -> None:
    minus_one = [{"index": 0, "op": "SCMP_CMP_EQ", "value": 0xFFFFFFFF}]
    program = compile_profile(profile(rule("personality", args=minus_one)), "x86_64")
    assert run_seccomp(program, I386, 136, [0xFFFFFFFF])[0] == ALLOW
    assert run_seccomp(program, X86_64, 135, [0xFFFFFFFF])[0] == ALLOW
    assert run_seccomp(program, X86_64, 135, [0xFFFFFFFE])[0] == EPERM


@pytest.mark.parametrize("family", [40, 40 | 1 << 32, 40 | 1 << 63])
def test_bits_that_the_kernel_does_not_read_make_no_other_argument(family: int) -> None:
    """socket(2) takes an int: AF_VSOCK with a bit above is AF_VSOCK."""
    other = [{"index": 0, "op": "SCMP_CMP_NE", "value": 40}]
    program = compile_profile(profile(rule("socket", args=other)), "x86_64")
    assert run_seccomp(program, X86_64, 41, [family])[0] == EPERM
    assert run_seccomp(program, X86_64, 41, [2])[0] == ALLOW


def test_whole_arguments_stay_whole() -> None:
    program = compile_profile(profile(rule("read", args=[{"index": 2, "op": "SCMP_CMP_EQ", "value": 1}])), "x86_64")
    assert run_seccomp(program, X86_64, 0, [0, 0, 1 | 1 << 32])[0] == EPERM


def test_far_jumps_are_bridged() -> None:
    names = list(syscall_table("x86_64"))
    rules = [
        rule(name, args=[{"index": i, "op": "SCMP_CMP_EQ", "value": number << 33 | 1} for i in range(2)])
        for number, name in enumerate(names)
    ]
    program = compile_profile(profile(*rules, architectures=[]), "x86_64")
    table = syscall_table("x86_64")
    assert len(program) // 8 > 2048
    for number, name in enumerate(names):
        assert run_seccomp(program, X86_64, table[name], [number << 33 | 1] * 2)[0] == ALLOW
        assert run_seccomp(program, X86_64, table[name], [number << 33 | 1])[0] == EPERM


def test_the_kernels_size_limit_is_told() -> None:
    names = list(syscall_table("x86_64"))
    args = [{"index": i, "op": "SCMP_CMP_EQ", "value": 1 << 33} for i in range(6)]
    rules = [rule(name, args=args, action="SCMP_ACT_ERRNO", errnoRet=number) for number, name in enumerate(names)]
    with pytest.raises(ValueError, match="the kernel takes 4096"):
        compile_profile(profile(*rules), "x86_64")


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (profile(default="SCMP_ACT_MAYBE"), "unknown seccomp action"),
        (profile(rule("read", action="")), "unknown seccomp action"),
        (profile(rule("read", args=[{"index": 6, "op": "SCMP_CMP_EQ"}])), "arguments 0 to 5"),
        (profile(rule("read", args=[{"index": 0, "op": "EQUAL"}])), "unknown seccomp operator"),
        (profile(rule("read", args=[{"index": 0, "op": "SCMP_CMP_EQ", "value": 2**64}])), "unsigned 64-bit"),
        (profile(rule("read", action="SCMP_ACT_ERRNO", errnoRet=70000)), "out of range"),
    ],
)
def test_bad_profiles_are_refused(bad: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        compile_profile(bad, "x86_64")


def test_other_machines_are_refused() -> None:
    with pytest.raises(ValueError, match="not built for riscv64"):
        compile_profile(profile(), "riscv64")


def test_flags() -> None:
    assert filter_flags({}) == seccomp.FLAG_SPEC_ALLOW
    assert filter_flags({"flags": []}) == 0
    assert filter_flags({"flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]}) == seccomp.FLAG_LOG
    with pytest.raises(ValueError, match="unknown seccomp flag"):
        filter_flags({"flags": ["X"]})
    assert has_notify(profile(rule("read", action="SCMP_ACT_NOTIFY")))
    assert not has_notify(profile(rule("read")))
