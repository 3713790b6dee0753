"""What takes disk and how it is cleared, through the stock CLI: one scene on an engine of its own, whose output is compared with Docker's.

`python -m tests.integration.volumes.golden HOST` prints what an engine answers; `golden.json` beside it holds what Docker 28.5.2 did.
The engine must have nothing on it, and has nothing afterwards.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.clients import DockerCli
from tests.support.images import busybox_tar

GOLDEN = Path(__file__).with_name("golden.json")
SETUP = """
tag bb:1 bb:2
run --name maker1 bb:1 dd if=/dev/zero of=/one bs=1k count=1000
commit maker1 app:1
run --name maker2 bb:1 dd if=/dev/zero of=/one bs=1k count=2000
commit maker2 app:1
run --name maker3 app:1 dd if=/dev/zero of=/two bs=1k count=500
commit -c "LABEL keep=yes" maker3 app:2
rm maker1 maker2 maker3
network create nunused
network create --label l=1 nused
network create nrun
volume create named
volume create --label l=1 --label k=v labelled
volume create usedrun
volume create usedstop
volume create
create --name created bb:1
run -d --name running --network nrun -v usedrun:/v bb:1 sh -c "head -c 300000 /dev/zero > /v/x; head -c 100000 /dev/zero > /w; sleep 1000"
run -d --name paused bb:2 sleep 1000
pause paused
run --name exited --network nused -v usedstop:/v -v /anon app:2 sh -c "echo hello > /v/f; head -c 50000 /dev/zero > /w"
run --name failed --label l=1 bb:1 false
run -d --name waiting --restart always bb:1 false
exec running sh -c "until [ -e /w ]; do sleep 0.1; done; sleep 0.5"
"""
LOOK = """
system df
system df -v
volume ls
images
network ls --format {{.Name}}
ps -a --format "{{.Names}} {{.Image}}"
"""
COMMANDS = f"""
{LOOK}
system df --format "{{{{.Type}}}}|{{{{.TotalCount}}}}|{{{{.Active}}}}|{{{{.Size}}}}|{{{{.Reclaimable}}}}"
system df --format json
system df --format "table {{{{.Type}}}}\\t{{{{.Size}}}}"
volume ls --format json
volume ls -f dangling=true -f name=l
volume ls -f label=l
volume ls -f name=used -f driver=local --format "{{{{.Name}}}} {{{{.Label \\"k\\"}}}} {{{{.Mountpoint}}}}"
volume ls -f bad=1
volume ls -f dangling=maybe
volume inspect named nosuch
volume inspect --format "{{{{.Name}}}} {{{{.Labels}}}} {{{{.Options}}}} {{{{.Scope}}}}" labelled
volume create named
volume create -d nosuch vx
volume create "bad name"
volume create -o type=nfs vy
volume rm usedrun
volume rm usedstop nosuch
volume rm -f nosuch
volume prune
volume prune -a --filter label=k=v
system prune -a --volumes
system prune --filter until=1h --filter label!=x
image prune -a
container prune --filter until=1h --filter label=l
network prune
volume prune -f --filter until=1h
image prune -f --filter bad=1
container prune -f --filter until=xx
network prune -f --filter dangling=true
system prune -f --filter until=1h --volumes
container prune -f --filter until=24h
volume prune -af --filter label=nosuch
network prune -f --filter label!=l
image prune -af --filter label=keep --filter until=1h
image prune -f
container prune -f --filter label=l
volume prune -f
volume prune -af --filter label=k=v
system prune -f
{LOOK}
image prune -af
volume prune -af
{LOOK}
rm -f running paused waiting
system prune -af --volumes
volume prune -af
{LOOK}
"""
_MASKS = (
    (r"sha256:[0-9a-f]{64}", "SHA"),
    (r"\b[0-9a-f]{64}\b", "HEX64"),
    (r"\b[0-9a-f]{12}\b", "HEX12"),
    (r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z| \+0000 UTC)?", "TIME"),
    (r"Restarting \(\d+\) [a-zA-Z0-9 ]+ago|Up (Less than a second|\d+ seconds?\b)(?! \()", "WAITS OR RUNS"),
    (r"(Less than a second|About a minute|\d+ (second|minute)s?)( ago)?", "AGO"),
    (r"[\w/.-]+(?=/volumes/)", "ROOT"),
    (r"\nRun 'docker[^\n]*|\nSee 'docker[^\n]*", ""),
    (r" {2,}", "  "),
)


def scene(cli: DockerCli) -> Iterator[tuple[str, str]]:
    """Each command and what it printed: masked, and what engines list in any order is sorted."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as tar:
        tar.write(busybox_tar())
        tar.flush()
        cli("import", "-c", 'CMD ["sh"]', tar.name, "bb:1", check=True)
    for line in filter(None, SETUP.split("\n")):
        done = cli(*words(line))
        assert done.returncode in (0, 1), f"{line}: {done.stderr}"
    for line in filter(None, COMMANDS.split("\n")):
        done = cli(*words(line), stdin="n\n")
        yield line, masked(f"{done.stdout}{done.stderr}{f'status {done.returncode}' if done.returncode else ''}")


def words(line: str) -> list[str]:
    """As a shell would: quotes join, backslashes in them take one character as it is."""
    return [re.sub(r'\\"', '"', word[1:-1]) if word.startswith('"') else word for word in re.findall(r'"(?:\\"|[^"])*"|\S+', line)]


def masked(text: str) -> str:
    for pattern, stands_for in _MASKS:
        text = re.sub(pattern, stands_for, text)
    # Tables and lists of removed things come in any order; paragraphs do not.
    paragraphs = [sorted(paragraph.split("\n"), key=_header_first) for paragraph in text.split("\n\n")]
    return "\n\n".join("\n".join(_any_order(line) for line in lines) for lines in paragraphs)


def _header_first(line: str) -> tuple[bool, str]:
    return not (line.isupper() or line.endswith(":")), line


def _any_order(line: str) -> str:
    """Go's maps: the labels of a volume."""
    return re.sub(r"(?<=\")\w+=\w+(?:,\w+=\w+)+(?=\")", lambda found: ",".join(sorted(found[0].split(","))), line)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        sys.stdout.write(json.dumps(list(scene(DockerCli(sys.argv[1], Path(home)))), indent=0) + "\n")
