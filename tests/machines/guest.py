"""Runs `checks.txt` in a virtual machine: `python -m tests.machines.guest FOLDER all|rebooted|LANE`. One line per check, with its seconds.

A table is lanes ("== name") of checks: "- name", "$ command" for the shell, "> regex" that its output (both streams, and "[status]" in
a line of its own where that is not 0) must contain. A check without an expression wants status 0. The lanes `first` and `last` run
alone, those between side by side, `rebooted` only after a restart of the machine. Needs systemd as process 1.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

PLACE = Path("/run/smoke")
DISK = Path("/run/disk")
UNIT = """\
[Unit]
DefaultDependencies=no
[Service]
WorkingDirectory={directory}
ExecStart={python} -m corten.daemon -H unix://{place}/s --data-root {disk}/data --exec-root {place}/run --pidfile {place}/pid
Restart=always
RestartSec=0
KillMode=process
Delegate=yes
OOMScoreAdjust=-500
StandardOutput=append:{place}/log
StandardError=append:{place}/log
"""
PRELUDE = """\
up() { n=0; until docker version >/dev/null 2>&1 || [ $n -gt 200 ]; do n=$((n+1)); sleep 0.5; done; }
"""
OUTSIDE = """\
ip netns add outside
ip link add veth0 type veth peer name out netns outside
ip addr add 192.0.2.1/24 dev veth0
ip link set veth0 up
ip -n outside addr add 192.0.2.2/24 dev out
ip -n outside link set out up
ip -n outside link set lo up
"""
LANES_AT_ONCE = 3
SECONDS_EACH = 120


class Check(NamedTuple):
    name: str
    command: str
    expected: tuple[str, ...]


def parse_checks(text: str) -> dict[str, list[Check]]:
    lanes: dict[str, list[Check]] = {}
    lane: list[Check] = []
    for line in text.splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "==":
            lane = lanes.setdefault(rest, [])
        elif mark == "-":
            lane.append(Check(rest, "", ()))
        elif mark == "$":
            lane[-1] = lane[-1]._replace(command=rest)
        elif mark == ">":
            lane[-1] = lane[-1]._replace(expected=(*lane[-1].expected, rest))
        elif mark not in ("#", ""):
            raise ValueError(f"not a line of a table of checks: {line!r}")
    return lanes


def is_met(check: Check, status: int, output: str) -> bool:
    if not check.expected:
        return status == 0
    return all(re.search(expression, output, re.MULTILINE) for expression in check.expected)


def run_check(lane: str, check: Check, environment: dict[str, str]) -> bool:
    begin = time.monotonic()
    status, output = run_command(check.command, environment)
    if status:
        output += f"\n[{status}]\n"
    passed = is_met(check, status, output)
    said = "" if passed else "\n" + "".join(f"    {line}\n" for line in [f"$ {check.command}", *output.splitlines()])
    print(f"{'ok' if passed else 'FAILED'} {lane}: {check.name} ({time.monotonic() - begin:.1f} s){said}", flush=True)
    return passed


def run_command(command: str, environment: dict[str, str]) -> tuple[int, str]:
    """(status, both streams). What takes too long is ended with all that it started, and has status 124."""
    words = ["sh", "-c", f"exec </dev/null 2>&1\n{PRELUDE}{command}"]
    with subprocess.Popen(words, env=environment, start_new_session=True, stdout=subprocess.PIPE) as process:
        try:
            output, _ = process.communicate(timeout=SECONDS_EACH)
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            status = 124
    return status, output.decode(errors="replace").replace("\r\n", "\n")


def run_lane(name: str, checks: list[Check], prepared: str) -> bool:
    environment = environment_of(name, prepared)
    Path(environment["W"]).mkdir(parents=True)
    passed = [run_check(name, check, environment) for check in checks]
    return all(passed)


def environment_of(lane: str, prepared: str) -> dict[str, str]:
    return {
        **os.environ,
        "DOCKER_HOST": f"unix://{PLACE}/s",
        "DOCKER_CONFIG": str(PLACE / "docker"),
        "S": prepared,
        "W": str(PLACE / "work" / lane),
        "P": str(PLACE / "pid"),
        "C": str(Path(sys.executable).with_name("corten")),
    }


def set_up(prepared: str) -> None:
    for folder in (PLACE / "docker", Path("/run/systemd/system")):
        folder.mkdir(parents=True, exist_ok=True)
    (PLACE / "docker/cli-plugins").symlink_to(f"{prepared}/cli-plugins")
    unit = UNIT.format(directory=os.getcwd(), python=sys.executable, place=PLACE, disk=DISK)
    Path("/run/systemd/system/smoke-cortend.service").write_text(unit)
    subprocess.run(["sh", "-ec", OUTSIDE], check=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "start", "smoke-cortend"], check=True)
    begin = time.monotonic()
    while run_command("docker version", environment_of("first", prepared))[0]:
        if time.monotonic() - begin > 2 * SECONDS_EACH:
            raise TimeoutError(f"cortend did not start:\n{(PLACE / 'log').read_text()}")
        time.sleep(0.5)
    print(f"the daemon started in {time.monotonic() - begin:.1f} s", flush=True)


def waves(lanes: dict[str, list[Check]], phase: str) -> Iterator[list[str]]:
    """Names of lanes that run side by side, one list after the other."""
    if phase == "rebooted":
        yield ["rebooted"]
        return
    yield ["first"]
    if phase != "all":
        yield [phase]
        return
    yield [name for name in lanes if name not in ("first", "last", "rebooted")]
    yield ["last"]


def main(prepared: str, phase: str) -> int:
    lanes = parse_checks(Path(__file__).with_name("checks.txt").read_text())
    set_up(prepared)
    passed = True
    for names in waves(lanes, phase):
        with ThreadPoolExecutor(LANES_AT_ONCE) as pool:
            done = list(pool.map(lambda name: run_lane(name, lanes[name], prepared), names))
        passed = passed and all(done)
    if not passed:
        print((PLACE / "log").read_text()[-4000:])
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
