"""Our CLI prints what Docker's prints, to the byte: the same command lines by both on the same engine.

The engine is ours (privileged), and with `--reference unix:///…` a real Docker, for which Docker's CLI was made. Each scenario is a list of
lines for the shell that are run one after another, by Docker's CLI and then by ours. `{n}` is a name of the scenario's own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Called, call, run_name
from tests.support.images import busybox_tar
from tests.support.two_clis import Cli, Seen, our_program

IMAGE = "corten-cli-golden"

SCENARIOS = {
    "life": r"""
docker create --name {n} IMAGE sh -c 'trap "exit 3" TERM; echo out; echo err >&2; while :; do sleep 0.1; done'
docker start {n}
docker start {n}
docker pause {n}
docker exec {n} true
docker unpause {n}
docker update --memory 64m --memory-swap 64m {n}
docker inspect {n} --format '{{.HostConfig.Memory}} {{.State.Status}} {{.Config.Cmd}}'
docker rename {n} {n}-b
docker rename {n}-b {n}
docker rename '' x
docker stop -t 1 {n}
docker wait {n}
docker restart -t 0 {n}
docker kill -s KILL {n}
docker kill {n}
docker rm {n}
docker rm {n}
docker rm -f {n}
docker stop {n}
docker start {n}
docker start -a {n}
docker attach {n}
docker create --name {n} IMAGE
docker attach {n}
docker rename {n} 'bad name'
docker rename {n} {n}
docker inspect {n} -f '{{.Id'
docker inspect {n} -f '{{nosuch .Id}}'
docker inspect {n} -f '{{.Foo}}'
docker rm {n}
docker logs {n}
docker inspect --type container {n}
docker inspect --type container {n} -f '{{.Id}}'
docker wait {n}
docker pause {n}
docker top {n}
docker port {n}
docker diff {n}
docker update x
""",
    "run": r"""
docker run --rm --name {n} IMAGE echo hi
docker run --rm --name {n} IMAGE sh -c 'echo a; echo b >&2; exit 4'
echo x | docker run --rm -i --name {n} IMAGE cat
head -c 3000000 /dev/zero | docker run --rm -i --name {n} IMAGE wc -c
docker run --rm --name {n} IMAGE sh -c 'head -c 3000000 /dev/zero' | wc -c
docker run --rm --name {n} IMAGE sh -c 'kill -TERM $$; sleep 1'
docker run -d --name {n} IMAGE sleep 100
docker run -d --name {n} IMAGE sleep 100
docker rm -f {n}
docker run --rm -a stderr --name {n} IMAGE sh -c 'echo a; echo b >&2'
docker run --rm --pull never --name {n} corten-cli-nothing
docker run --rm -it --name {n} IMAGE true
docker run -d -a stdout IMAGE
docker run --rm --cidfile {n}.cid --name {n} IMAGE true
docker run --rm --cidfile {n}.cid --name {n} IMAGE true
docker run --rm --restart always --name {n} IMAGE
docker create --name {n} IMAGE sh -c 'echo one; echo two >&2; exit 5'
docker start -a {n}
docker logs {n}
docker rm {n}
docker run --rm -v :/x IMAGE true
docker run --rm -v a:b: IMAGE true
docker run --rm -v '' IMAGE true
docker run --rm -v a:b:c:d IMAGE true
docker run --rm --platform foo IMAGE true
docker run --name {n} --log-opt max-size=foo IMAGE true; docker rm {n} > /dev/null 2>&1
docker run --rm --name {n} IMAGE nosuch
docker run --rm --name {n} IMAGE /etc
docker run --rm --name {n} IMAGE /etc/passwd
docker run
docker run IMAGE:BAD:x
""",
    "exec": r"""
docker run -d --name {n} IMAGE sleep 100
docker exec {n} echo hi
docker exec -e A=b -w /tmp {n} sh -c 'echo $A; pwd; exit 5'
echo in | docker exec -i {n} cat
docker exec -d {n} true
docker exec -it {n} true
docker exec {n}
docker exec -u 1000 {n} id -u
docker exec {n} /etc
docker exec {n} nosuch
docker rm -f {n}
docker exec {n} true
""",
    "ps": r"""
docker create --name {n} --label x=y IMAGE sh -c 'echo a > /f; sleep 100'
docker start {n}
docker ps --filter name={n}
docker ps -a --no-trunc --filter name={n}
docker ps -q --filter name={n}
docker ps -q --no-trunc --filter name={n}
docker ps --filter name={n} --format '{{.Names}} {{.Status}} {{.Image}}'
docker ps --filter name={n} --format json
docker ps --filter name={n} --format '{{json .}}'
docker ps --filter name={n} --format 'table {{.ID}}\t{{.Names}}'
docker ps --filter name={n} --format 'table {{upper .Image}} {{.Label "x"}}'
docker ps --filter name={n} --format raw
docker ps --filter name={n} --format raw -q
docker ps --filter name={n} --format '{{.Foo}}'
docker ps --filter name={n} --format '{{.Foo'
docker ps --filter name={n} --format '{{.Label}}'
docker ps --filter name={n} --format '{{json .Labels}} {{.Label "x"}} {{.Label "z"}}|{{if eq .State "running"}}yes{{else}}no{{end}}'
docker ps --filter foo
docker ps foo
docker logs {n}
docker logs --since abc {n}
docker rm -f {n}
docker ps --filter name={n}
""",
    "images": r"""
docker tag IMAGE {n}:v1
docker tag {n}:v1 {n}:v2
docker images {n}
docker images {n}:v1
docker images -q {n}
docker images {n} --format '{{.Repository}}:{{.Tag}} {{.Size}}'
docker images --no-trunc {n}
docker history {n}:v1
docker history -q --no-trunc {n}:v1
docker history -H=false {n}:v1
docker history --format json {n}:v1
docker image inspect {n}:v1 --format '{{.Architecture}} {{.Os}} {{json .Config.Cmd}}'
docker save {n}:v1 -o {n}.tar
docker rmi {n}:v1
docker load -i {n}.tar
docker load -q -i {n}.tar
docker load < {n}.tar
docker save {n}:v1 | docker load
docker rmi {n}:v1 {n}:v2
docker rmi {n}:v1
docker rmi -f {n}:v1
docker image inspect {n}
docker history {n}
docker load -i {n}-nothing
docker tag {n} x
docker tag IMAGE BAD
docker tag IMAGE {n}@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
docker pull BAD
docker pull -a x:y
docker push -a x:y
""",
    "volumes": r"""
docker volume create {n}
docker volume create {n}
docker volume ls --filter name={n}
docker volume ls --filter name={n} -q
docker volume ls --filter name={n} --format '{{.Name}}|{{.Driver}}|{{.Scope}}|{{.Labels}}'
docker volume inspect {n} -f '{{.Name}} {{.Driver}} {{.Options}} {{.Labels}}'
docker volume rm {n}
docker volume rm -f {n}
docker volume create --name {n} x
docker volume prune x
""",
    "networks": r"""
docker network create {n}
docker network ls --filter name={n}
docker network ls --filter name={n} --no-trunc -q
docker network ls --filter name={n} --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Label "x"}}'
docker network inspect {n} --format '{{.Name}} {{.Driver}} {{.IPAM.Driver}} {{.Containers}}'
docker network rm -f {n}
docker network rm -f {n}
docker network create --gateway 10.0.0.1 {n}
docker network create --subnet 10.0.0.0/24 --gateway 11.0.0.1 {n}
docker network connect a
""",
    "copying": r"""
mkdir -p in/d/sub; echo hi > in/f; echo yo > in/d/g; ln -sf g in/d/l; touch -d 2020-01-01 in/f in/d/g
docker create --name {n} IMAGE sleep 100
docker start {n}
docker cp in/f {n}:/tmp/
docker cp in/f {n}:/tmp/newname
docker cp in/d {n}:/tmp/f
docker cp in/d {n}:/tmp/newd
docker cp in/d {n}:/tmp
docker cp in/d/. {n}:/tmp/newd
docker cp in/d/l {n}:/tmp/link
docker cp -L in/d/l {n}:/tmp/nolink
docker cp in/f {n}:relpath
tar -C in -cf - f d | docker cp - {n}:/root
docker exec {n} sh -c 'find /tmp /relpath /root | sort; cat /tmp/nolink; readlink /tmp/link'
mkdir out-{n}; docker cp {n}:/tmp out-{n}
docker cp {n}:/tmp/. out-{n}/dot
docker cp {n}:/tmp/newd out-{n}/newname
docker cp {n}:/tmp/newd/g out-{n}/
docker cp {n}:/tmp/newd/g out-{n}/gg
docker cp {n}:/tmp/newd/g out-{n}/nodir/
docker cp {n}:/tmp/newd out-{n}/gg
docker cp {n}:/tmp/newd/l out-{n}/link
docker cp -L {n}:/tmp/newd/l out-{n}/nolink
docker cp {n}:/etc/passwd - | tar tf -
cd out-{n}; find . | sort; stat -c '%A %U %Y' gg; readlink link
docker cp a b
docker cp a:b c:d
docker rm -f {n}
docker cp {n}:/x .
""",
    "prune": r"""
docker container prune -f --filter label=corten-cli-nothing
docker system prune -f --volumes --filter until=1h
docker image prune -f --filter label=corten-cli-nothing
docker volume prune -f --filter label=corten-cli-nothing
docker network prune -f --filter label=corten-cli-nothing
echo n | docker container prune --filter label=corten-cli-nothing
echo n | docker system prune -a --volumes --filter label=corten-cli-nothing
echo n | docker system prune
echo n | docker image prune
echo n | docker image prune -a
echo n | docker volume prune
echo n | docker volume prune -a
echo n | docker network prune
""",
    "about": r"""
docker version --format '{{.Server.APIVersion}} {{.Server.Os}}/{{.Server.Arch}}'
docker version --format '{{.Foo}}'
docker info --format '{{.NCPU}} {{.OSType}} {{.Swarm.LocalNodeState}} {{.Runtimes.nothing}} {{.Labels}}'
docker info --format '{{.Foo}}'
docker info --format '{{.Plugins.Foo}}'
docker events --since 1s --until 0s --filter container={n}
docker events --since abc
docker events --format '{{.Foo}}'
docker foo
docker container foo
docker --foo
docker --log-level foo ps
docker help foo
docker ps ---
docker ps -Z
docker ps --no-trunc=x
docker stop --time 3 {n}
docker run -h
docker inspect --type '' x 2> /dev/null
docker -c nothing ps
docker -H foo://x ps
docker context ls -q
docker context create {n} --docker host=unix:///x.sock --description d
docker context create {n}
docker context inspect {n} --format '{{.Name}} {{.Endpoints.docker.Host}}'
docker context rm {n}
docker context rm {n}
docker context rm default
docker context use {n} 2> /dev/null
docker context show
""",
}


class Engine:
    """Where both CLIs go."""

    def __init__(self, host: str) -> None:
        self.host = host

    def ask(self, method: str, target: str, body: bytes | None = None) -> Called:
        from corten.http.address import parse_address
        from corten.http.client import Client

        return call(Client(parse_address(self.host), timeout=60), method, target, body)


@pytest.fixture(scope="module", params=["reference", pytest.param("corten", marks=pytest.mark.privileged)])
def golden_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    host = request.getfixturevalue("engine").host if request.param == "corten" else request.getfixturevalue("reference_host")
    engine = Engine(host)
    changes = "changes=CMD%20%5B%22sh%22%5D&changes=ENV%20PATH%3D/bin"
    engine.ask("POST", f"/images/create?fromSrc=-&repo={IMAGE}&tag=latest&{changes}", busybox_tar())
    yield engine
    engine.ask("DELETE", f"/images/{IMAGE}?force=1")


def played(program: str, who: str, scenario: str, engine: Engine, folder: Path) -> list[tuple[str, Seen]]:
    name = run_name(f"cli-{scenario}-{who}")
    cli = Cli(program, name, engine.host, folder)
    lines = [line.replace("IMAGE", IMAGE) for line in SCENARIOS[scenario].strip().splitlines()]
    seen = [(line, cli.run(line)) for line in lines]
    for path in (f"/containers/{name}?force=1", f"/volumes/{name}?force=1", f"/networks/{name}", f"/images/{name}:v1?force=1"):
        engine.ask("DELETE", path)
    return seen


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_both_print_the_same(scenario: str, golden_engine: Engine, golden_docker_program: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    dockers = played(golden_docker_program, "d", scenario, golden_engine, tmp_path)
    ours = played(our_program(tmp_path / "bin"), "c", scenario, golden_engine, tmp_path)
    different = [(line, theirs, mine) for (line, theirs), (_, mine) in zip(dockers, ours, strict=True) if theirs != mine]
    assert different == []
