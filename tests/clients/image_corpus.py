"""Command lines about images, and how what they print is evened out. Recorded on Docker in `image_corpus.json`:

python -m tests.clients.image_corpus unix:///var/run/docker.sock /usr/bin/docker [SCENARIO...]
"""

import gzip
import hashlib
import io
import json
import re
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.two_clis import Cli, Seen

EXPECTED = Path(__file__).with_suffix(".json")
SCENARIOS = {
    "listing": r"""
docker images {n}
docker images {n}:1
docker image ls --no-trunc {n}
docker images --digests {n}
docker images -q {n}
docker images -q --no-trunc {n}
docker images --format '{{.Repository}} {{.Tag}} {{.ID}} {{.Digest}} {{.Size}} {{.SharedSize}} {{.UniqueSize}} {{.Containers}}' {n}
docker images --format json {n}
docker images --format 'table {{.Tag}}\t{{.Size}}' {n}
docker images --format '{{.Nope}}' {n}
docker images --format '{{.Tag' {n}
docker images -f reference={n}:2
docker images -f reference='{n}*' -q
docker images -f reference={n}:[12] --format '{{.Tag}}'
docker images -f label=kind=test {n} --format '{{.Tag}}'
docker images -f label=kind=no {n} --format '{{.Tag}}'
docker images -f label=kind -f label=empty= {n} --format '{{.Tag}}'
docker images -f before={n}:2 {n} --format '{{.Tag}}'
docker images -f since={n}:1 {n} --format '{{.Tag}}'
docker images -f before=nosuch {n}
docker images -f since=nosuch {n}
docker images -f dangling=true {n}
docker images -f dangling=false {n} --format '{{.Tag}}'
docker images -f dangling=x {n}
docker images -f until=2021-01-01 {n} --format '{{.Tag}}'
docker images -f until=2019-01-01 {n} --format '{{.Tag}}'
docker images -f until=x {n}
docker images -f nope=1 {n}
docker images -f x {n}
docker images -a {n} --format '{{.Tag}}'
docker images {n}:nope
docker images nosuch-{n}
docker images 'BAD NAME'
""",
    "inspect": r"""
docker image inspect {n}:1
docker image inspect {n}:2
docker inspect --type image {n}:1 -f '{{.Id}} {{.RepoTags}} {{.RepoDigests}} {{.Config.Cmd}} {{.Config.Labels}}'
docker image inspect {n}:1 -f '{{json .Config}}'
docker image inspect {n}:1 -f '{{json .RootFS}}'
docker image inspect {n}:1 -f '{{.Size}} {{.Architecture}} {{.Os}} {{.Author}} {{.Comment}} {{.Created}}'
docker image inspect nosuch-{n}
docker image inspect {n}:1 nosuch-{n} -f '{{.Id}}'
docker inspect nosuch-{n}
docker inspect --type image nosuch-{n}
docker image inspect
docker image inspect 'BAD NAME'
docker image inspect {n}:1 -f '{{.Nope}}'
docker image inspect --platform linux/amd64 {n}:1 -f '{{.Id}}'
docker image inspect --platform linux/arm64 {n}:1 -f '{{.Id}}'
docker history {n}:1
docker history --no-trunc {n}:1
docker history -q {n}:1
docker history -q --no-trunc {n}:1
docker history -H=false {n}:1
docker history --format '{{.ID}} {{.CreatedBy}} {{.Size}} {{.Comment}} {{.CreatedAt}}' {n}:1
docker history --format json {n}:1
docker history nosuch-{n}
docker history --platform linux/arm64 {n}:1
""",
    "names": r"""
docker tag {n}:1 {n}:new
docker tag {n}:1 {n}-b
docker tag nosuch-{n} x
docker tag {n}:1 'BAD'
docker tag {n}:1 {n}@sha256:0000000000000000000000000000000000000000000000000000000000000000
docker tag {n}:1 0000000000000000000000000000000000000000000000000000000000000000
docker tag {n}:1
docker tag '' x
docker tag {n}:1 ''
docker images {n}:new --format '{{.Repository}}:{{.Tag}}'
docker rmi {n}:new
docker rmi {n}:new
docker rmi nosuch-{n} {n}-b nosuch2-{n}
docker rmi -f nosuch-{n}
docker rmi
docker rmi 'BAD NAME'
docker rmi --platform linux/arm64 {n}:1
docker rmi --platform linux/arm64 --platform linux/amd64 {n}:1
docker rmi --platform bogus {n}:1
docker tag {n}:1 {n}:platform
docker rmi --platform linux/amd64 {n}:platform
docker create --name {n} {n}:2 /x
docker rmi {n}:2
docker rmi $(docker images -q --no-trunc {n}:2)
docker tag {n}:2 {n}:again
docker rmi $(docker images -q {n}:2)
docker rmi {n}:again
docker rmi -f {n}:2
docker images {n}
docker inspect {n} -f '{{.Config.Image}}'
docker rm {n}
docker rmi {n}:1
docker images {n}
docker image rm {n}:1
""",
    "archives": r"""
docker save {n}:1 -o one.tar
docker save {n}:1 {n}:2 -o two.tar
docker save nosuch-{n} -o x.tar
docker save {n}:1 > /dev/null; echo $?
docker save -o /nonexistent/x.tar {n}:1
docker save
docker save --platform linux/arm64 {n}:1 -o x.tar
docker rmi {n}:1 {n}:2
docker load -i two.tar
docker load -q -i two.tar
docker load < one.tar
docker load -i nosuch.tar
echo junk | docker load
docker load --platform linux/amd64 -i one.tar
docker load --platform linux/arm64 -i one.tar
docker load --platform bogus -i one.tar
tar xf one.tar manifest.json; docker load -i manifest.json
tar cf empty.tar -T /dev/null; docker load -i empty.tar
docker rmi {n}:2
""",
    "import": r"""
docker import files.tar {n}:imported
docker import -m message -c 'CMD ["a","b"]' -c 'ENV A=b' files.tar {n}:changed
docker image inspect {n}:changed -f '{{json .Config.Cmd}} {{json .Config.Env}} {{.Comment}} {{.Architecture}} {{.Os}}'
docker history {n}:changed --format '{{.CreatedBy}}|{{.Comment}}|{{.Size}}'
cat files.tar | docker import - {n}:stdin
docker import --platform linux/arm64 files.tar {n}:arm
docker image inspect {n}:arm -f '{{.Architecture}}'
docker import --platform bogus files.tar {n}:bad
docker import files.tar 'BAD NAME'
docker import files.tar {n}@sha256:0000000000000000000000000000000000000000000000000000000000000000
docker import nosuch.tar {n}:x
docker import -c 'FROM x' files.tar {n}:x
docker import -c 'RUN x' files.tar {n}:x
docker import -c 'NOPE x' files.tar {n}:x
docker import -c 'CMD [x' files.tar {n}:x
echo junk | docker import - {n}:junk
docker import
docker import http://127.0.0.1:1/x.tar {n}:url
docker images {n} --format '{{.Tag}} {{.Size}}' | sort
docker rmi {n}:imported {n}:changed {n}:stdin {n}:arm
""",
    "pruning": r"""
docker import -c 'LABEL corpus={n}' files.tar
docker image prune -f --filter label=corpus={n}
docker image prune -f --filter label=corpus={n}
docker image prune -af --filter label=corpus={n}
docker image prune -f --filter nope=1
docker image prune -f --filter until=x
docker image prune x
echo n | docker image prune
echo n | docker image prune -a
echo n | docker image prune --filter label=x
docker import -c 'LABEL corpus={n}' files.tar {n}:pruned
docker image prune -af --filter label=corpus={n} --filter label!=corpus
docker image prune -af --filter label=corpus={n} --filter until=2001-01-01
docker image prune -af --filter label=corpus={n}
""",
    "registries": r"""
docker pull 127.0.0.1:1/{n}
docker pull -q 127.0.0.1:1/{n}
docker pull 'BAD NAME'
docker pull {n}@sha256:12
docker pull -a 127.0.0.1:1/{n}:x
docker pull
docker pull a b
docker push 127.0.0.1:1/{n}
docker push -a 127.0.0.1:1/{n}
docker push -a 127.0.0.1:1/{n}:x
docker tag {n}:1 127.0.0.1:1/{n}:1
docker push 127.0.0.1:1/{n}:1
docker push -q 127.0.0.1:1/{n}:1
docker push 'BAD NAME'
docker push {n}@sha256:0000000000000000000000000000000000000000000000000000000000000000
docker push
docker rmi 127.0.0.1:1/{n}:1
docker search 127.0.0.1:1/x
docker search
docker search --limit 101 x
docker search --filter foo=bar x
docker search --filter stars=x x
docker search --filter is-official=x x
docker search --filter x x
docker search https://x/y
docker login 127.0.0.1:1 -u a -p b
docker logout 127.0.0.1:1
docker buildx imagetools
docker manifest inspect --insecure 127.0.0.1:1/{n}
docker manifest create {n}
docker manifest rm nosuch-{n}
""",
}
DIFFERENT = {
    "docker load --platform linux/arm64 -i one.tar": "Docker loads nothing, prints an empty line and calls that a success",
    "docker rmi {n}:1 {n}:2": "Docker goes on holding a layer that both images had once both were saved",
    "echo junk | docker import - {n}:junk": "ours also says where the archive ends",
    "echo junk | docker load": "ours also says where the archive ends",
    "tar xf one.tar manifest.json; docker load -i manifest.json": "Go's package name is not ours",
    "tar cf empty.tar -T /dev/null; docker load -i empty.tar": "Docker shows a path of its own; ours says that no image is in the archive",
    "docker import http://127.0.0.1:1/x.tar {n}:url": "ours says what it is about to fetch before it asks",
    "docker push 127.0.0.1:1/{n}:1": "ours prepares layers before it asks the registry",
    "docker image prune -f --filter label=corpus={n}": "our CLI also tells of the trash",
    "docker image prune -af --filter label=corpus={n}": "our CLI also tells of the trash",
    "docker manifest inspect --insecure 127.0.0.1:1/{n}": "corten has no `manifest`; the stock CLI's needs no engine",
    "docker manifest create {n}": "as above",
    "docker manifest rm nosuch-{n}": "as above",
    "docker buildx imagetools": "corten takes buildx's commands by itself, but edits no manifest lists",
}
"""Lines whose answers differ on purpose, and why. Everywhere: what storage driver is named, and its paths."""
_DRIVER = re.compile(r'"GraphDriver": \{.*?\n        \},', re.DOTALL)
_AGES = re.compile(r"\b\d+ (day|week|month|year)s? ago( *)")
_HINT = re.compile(r"^Hint: .*\n", re.MULTILINE)
_PARTS = [
    ({"etc/one": b"one\n" * 1000, "etc/two": b"two\n"}, "/bin/sh -c #(nop) ADD file:1 in /", ""),
    (None, "/bin/sh -c #(nop)  ENV A=b", ""),
    ({"etc/two": b"TWO\n", "srv/three": b"3" * 500_000}, "RUN /bin/sh -c echo 3 > /srv/three # buildkit", "buildkit.dockerfile.v0"),
    (None, 'CMD ["/x" "y"]', "buildkit.dockerfile.v0"),
]


def name_of(scenario: str) -> str:
    """As wide everywhere, so that columns are, too."""
    return f"corten-corpus-{scenario}"


def lines_of(scenario: str) -> list[str]:
    return SCENARIOS[scenario].strip().splitlines()


def prepare(cli: Cli) -> None:
    """Two images of fixed ids, and a tar to import."""
    (cli.folder / "files.tar").write_bytes(files_tar({"a": b"a" * 1234}))
    for tag, parts in (("1", _PARTS), ("2", _PARTS[:2])):
        (cli.folder / "image.tar").write_bytes(archive(cli.name, parts, tag))
        seen = cli.run("docker load -q -i image.tar")
        assert seen.status == 0, seen


def clean(cli: Cli) -> None:
    cli.run("docker rm -f {n}; docker rmi -f $(docker images -q {n}) $(docker images -q 127.0.0.1:1/{n})")


def seen(cli: Cli, line: str) -> Seen:
    found = cli.run(line)
    return Seen(_even(found.out, cli), _even(found.err, cli), found.status)


def _even(text: str, cli: Cli) -> str:
    text = _DRIVER.sub('"GraphDriver": {},', text)
    text = _AGES.sub("<age> ", _HINT.sub("", text)).replace(f"{cli.program}: ", "docker: ")
    return text.replace(str(cli.folder), "FOLDER")


def files_tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def archive(name: str, parts: list[Any], tag: str) -> bytes:
    """A docker-archive of fixed contents and times. Its layers are the scenario's own: Docker counts those of others."""
    layers = [files_tar({**files, "name": name.ljust(40).encode()}) for files, _, _ in parts if files is not None]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "author": "the corpus",
        "created": f"2020-0{tag}-02T03:04:05.678Z",
        "config": {
            "Cmd": ["/x", "y"],
            "Env": ["PATH=/bin", "A=b"],
            "Labels": {"kind": "test", "empty": ""},
            "ExposedPorts": {"80/tcp": {}},
            "Volumes": {"/data": {}},
            "User": "7:8",
            "WorkingDir": "/srv",
            "Entrypoint": ["/entry"],
            "StopSignal": "SIGINT",
            "Healthcheck": {"Test": ["CMD", "/check"], "Interval": 10_000_000_000},
            "OnBuild": ["RUN x"],
            "Shell": ["/bin/ash", "-c"],
        },
        "history": [
            {
                "created": f"2020-0{tag}-02T03:04:0{at}Z",
                "created_by": by,
                **({"comment": comment} if comment else {}),
                **({} if files is not None else {"empty_layer": True}),
            }
            for at, (files, by, comment) in enumerate(parts)
        ],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
    }
    raw = json.dumps(config).encode()
    id = hashlib.sha256(raw).hexdigest()
    names = [f"{at}.tar" for at in range(len(layers))]
    manifest = json.dumps([{"Config": f"{id}.json", "RepoTags": [f"{name}:{tag}"], "Layers": names}]).encode()
    files = {f"{id}.json": raw, **dict(zip(names, (gzip.compress(layer, mtime=0) for layer in layers), strict=True))}
    return files_tar({**files, "manifest.json": manifest})


def recorded(host: str, program: str, wanted: list[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for scenario in wanted or SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            cli = Cli(program, name_of(scenario), host, Path(folder))
            prepare(cli)
            yield scenario, [{"line": line, **seen(cli, line)._asdict()} for line in lines_of(scenario)]
            clean(cli)


if __name__ == "__main__":
    known: dict[str, Any] = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    known.update(recorded(sys.argv[1], sys.argv[2], sys.argv[3:]))
    EXPECTED.write_text(json.dumps({name: known[name] for name in SCENARIOS}, indent=1, ensure_ascii=False) + "\n")
