"""Command lines for comparing our CLI with Docker's: what both send for `create`, and what they say when flags are wrong."""

import json
import shlex
from pathlib import Path
from typing import Any

FILES = {
    "env": "A=1\n# comment\n\nFOO\nB=x y # z\n  C=lead\n",
    "env-bad": "=x\n",
    "env-space": "A B=3\n",
    "labels": "l1=a\nl2\n#c\n",
    "seccomp.json": '{"defaultAction": "SCMP_ACT_ALLOW"}',
}
VARIABLES = {"FOO": "foo"}

CASES = r"""
img
img cmd --arg -x
--name foo img
-it img
-i img
-t -u 1:1 -w /x img
-a stdin -a STDOUT img
-i --attach stdout img
-t --attach stdin --attach stdout --attach stderr img
--rm -i img
--add-host a:1.2.3.4 --add-host b=::1 img
--add-host h:host-gateway img
--annotation a=b --annotation c --annotation a=d img
--blkio-weight 300 --blkio-weight-device /dev/sda:200 img
--cap-add NET_ADMIN --cap-add sys_admin --cap-drop ALL --cap-add CAP_NET_RAW img
--cap-add a --cap-add a --cap-add all img
--cgroup-parent /x --cgroupns host img
--cgroupns private img
--cpu-period 1000 --cpu-quota 2000 --cpu-rt-period 1 --cpu-rt-runtime 2 -c 10 --cpuset-cpus 0-1 --cpuset-mems 0 img
--cpus 0.5 img
--cpus 1e2 img
--cpus .5 img
--cpus=-1 img
--device /dev/null:/dev/x:r --device /dev/null:rw --device /dev/zero img
--device vendor.com/class=dev --device nvidia.com/gpu=all --device /dev/null img
--device-cgroup-rule 'c 1:3 rwm' --device-cgroup-rule 'a *:* rwm' img
--device-read-bps /dev/sda:1mb --device-read-iops /dev/sda:10 --device-write-bps /dev/sda:1g --device-write-iops /dev/sda:5 img
--dns 1.1.1.1 --dns-option ndots:1 --dns-search example.com --dns-search . img
--domainname d -h host img
--entrypoint '' img
--entrypoint /x img a b
-e A=1 -e FOO -e NOPE --env-file env img
-e A=1 -e B=1 -e A=2 img
-e FOO -e FOO=x -e 'A B=1' -e C= -e D=a=b img
--env-file env --env-file env img
--expose 80 --expose 90-92/udp img
--expose 80/tcp --expose 80 -p 80:80 img
--gpus all img
--gpus 2 img
--gpus device=0,1 img
--gpus '"device=0,1",capabilities=compute' img
--gpus count=1,driver=nvidia,options=a=b img
--gpus '"capabilities=compute,utility"' img
--gpus device=1,count=2 img
--group-add a --group-add 1 --group-add a img
--health-cmd 'curl x' --health-interval 5s --health-retries 3 --health-start-interval 1s --health-start-period 1m --health-timeout 1m30s img
--health-interval 5s img
--health-timeout 1h2m3.5s img
--no-healthcheck img
--init img
--init=false --read-only=false --privileged=false img
--ip 1.2.3.4 --ip6 ::1 --network foo img
--ip foo img
--ipc host --isolation x img
--ipc container:abc --pid container:abc --uts host --userns host img
--kernel-memory 1g img
-l a=b -l c -l FOO --label-file labels img
-l a=1 -l a=2 img
--link a:b --link c img
--link a:b --network foo img
--link-local-ip 169.254.1.1 --network foo img
--log-driver none img
--log-driver json-file --log-opt max-size=1m --log-opt foo img
--log-opt a=1 --log-opt a=2 img
--mac-address 92:d0:c6:0a:29:33 img
--mac-address 92:d0:c6:0a:29:33 --network n img
-m 1g --memory-reservation 512m --memory-swap -1 --memory-swappiness 50 img
-m 1.5g --memory-swap 2G --shm-size 1kb img
-m '1 g' img
-m 1gib img
--network host img
--network none img
--network bridge img
--network default img
--network container:x -h foo img
--net foo --net-alias z img
--network name=foo,alias=a,alias=b,ip=1.2.3.4,ip6=::1,mac-address=92:d0:c6:0a:29:33,link-local-ip=1.1.1.1,driver-opt=a=b,gw-priority=5 img
--network foo --network bar img
--network foo --network-alias z --network bar --ip 1.2.3.4 img
--network n --network-alias a --network name=m,alias=b img
--oom-kill-disable --oom-score-adj 100 img
--oom-score-adj=-0x10 img
--pid host --pids-limit -1 img
--platform linux/arm64 img
--platform linux img
--privileged -q --read-only img
-P -p 80 img
-p 8080:80/udp -p 127.0.0.1:90:90 -p [::1]:100:100 -p 127.0.0.1::70 img
-p 8000-8002:80-82 img
-p 8000-8002:80 img
-p 0:80 -p :81 -p 90-92 img
-p 80:80 -p 80:81 -p 81:80 -p 80:80 img
-p published=80,target=90 img
-p target=90,published=100-101,protocol=udp img
--restart always img
--restart on-failure:3 img
--restart unless-stopped:2 img
--restart no --rm img
--runtime x img
--security-opt no-new-privileges --security-opt apparmor=unconfined --security-opt label:disable img
--security-opt seccomp=unconfined img
--security-opt seccomp=seccomp.json img
--security-opt seccomp=builtin img
--security-opt systempaths=unconfined img
--stop-signal INT --stop-timeout 5 img
--stop-timeout 0 img
--stop-timeout=-1 img
--storage-opt size=1G img
--sysctl net.core.somaxconn=1 --sysctl kernel.msgmax=1 --sysctl fs.mqueue.a=1 img
--tmpfs /x --tmpfs /y:size=1,mode=755 img
--tmpfs /x:foo:bar img
--ulimit nofile=1:2 --ulimit nproc=3 --ulimit core=-1 --ulimit nproc=4 img
-v /a:/b -v /c:/d:ro,z -v vol:/e -v /anon -v rel/x:/y -v /a:/b img
-v ./x:/y -v ../z:/q img
-v a:b img
-v vol:/x:nocopy --volume-driver d --volumes-from x:ro --volumes-from y img
--mount type=volume,src=v,target=/x,volume-nocopy,volume-label=a=b,volume-driver=d,volume-opt=o=p,volume-subpath=s img
--mount type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=1777 img
--mount type=bind,source=/a,target=/b,bind-propagation=rslave,readonly,consistency=cached,bind-nonrecursive img
--mount type=bind,source=/a,target=/b,bind-recursive=readonly,ro,bind-propagation=rprivate img
--mount type=bind,source=/a,target=/b,bind-recursive=writable,ro img
--mount type=bind,source=./a,target=/b img
--mount target=/x img
--mount type=image,source=img,target=/b,image-subpath=x img
--mount 'type=bind,"source=/a,b",target=/c' img
--mount type=bind,source=/a,target=/b,ro=false img
--disable-content-trust img
--add-host a img
--add-host a:x img
-a foo img
--blkio-weight 70000 img
--blkio-weight-device /dev/sda:5 img
--cgroupns foo img
--cpus 1/3 img
--cpus x img
--cpus '' img
--detach-keys ctrl-a img
--device /dev/null:/dev/x:zz img
--device-cgroup-rule foo img
--device-read-bps sda:1mb img
--device-read-bps /dev/sda:x img
--dns foo img
--dns-search foo..bar img
-e '' img
-e = img
--env-file nofile img
--env-file env-bad img
--env-file env-space img
--expose 80:90 img
--expose foo img
--gpus all,foo=1 img
--gpus foo img
--gpus capabilities=a,capabilities=b img
--health-interval=-5s img
--health-retries=-1 img
--health-timeout 5 img
--health-timeout abc img
--no-healthcheck --health-cmd x img
-l '' img
-l =x img
--link a:b:c img
--log-driver none --log-opt a=b img
--mac-address foo img
-m abc img
-m 1x img
-m 1kbb img
-m 1.5.5 img
--memory-swappiness 101 img
--memory-swap x img
--network foo,alias=x img
--network foo=bar img
--network '' img
--network none --network-alias z img
--network default --network-alias a img
--network host --network n img
--network n --network n img
--network name=n,alias=b --network-alias a img
--network name=n,ip=1.1.1.1 --ip 2.2.2.2 img
--oom-score-adj abc img
--pid foo img
--pid container: img
--platform foo/bar/baz/x img
-p abc:def:g img
-p 99999:1 img
-p 80/foo img
-p '' img
-p a:b:c:d img
-p 8000-8002:80-81 img
--pull foo img
--restart on-failure:x img
--restart always:1:2 img
--restart always --rm img
--rm=maybe img
--security-opt foo img
--security-opt seccomp=nope.json img
--storage-opt size img
--sysctl a=b img
--ulimit foo img
--ulimit foo=1 img
--ulimit nofile=2:1 img
--ulimit nofile=x img
--ulimit nofile=1:2:3 img
--userns foo img
--uts foo img
-v '' img
--mount type=bind img
--mount type=tmpfs,dst=/x,tmpfs-mode=9 img
--mount type=bind,source=/a,target=/b,bind-recursive=readonly img
--mount type=bind,source=/a,target=/b,bind-recursive=foo img
--mount type=bind,source=/a,target=/b,volume-nocopy img
--mount type=volume,target=/b,bind-propagation=rprivate img
--mount type=volume,target=/b,tmpfs-size=1 img
--mount /x img
--mount type=bind,source=/a,target=/b,foo=1 img
--mount type=bind,source=/a,target=/b,foo img
--mount type=bind,source=/a,target=/b,readonly=x img
--foo img
-Z img
-itZ img
--name
--=
IMG
img@sha256:abc
''
"""


def lines(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line]


def words(case: str) -> list[str]:
    return ["create", *shlex.split(case)]


def write_files(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).write_text(content)


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """A JSON object as leaves by their paths; lists are leaves; Binds and Env, which Docker sends in no order, are sorted."""
    if isinstance(value, dict) and value:
        return {k: v for key, inner in value.items() for k, v in flat(inner, f"{path}/{key}").items()}
    if path.endswith(("/Binds", "/Env")) and isinstance(value, list):
        value = sorted(value)
    return {path: value}


def difference(body: Any, base: Any) -> dict[str, Any]:
    """What `body` has that `base` has not; None for what is missing."""
    ours, plain = flat(body), flat(base)
    changed = {path: value for path, value in ours.items() if path not in plain or plain[path] != value}
    return changed | {path: "(absent)" for path in plain if path not in ours}


def placeless(text: str, folder: Path) -> str:
    """`text` with the names of the folder and its parent taken out."""
    return text.replace(str(folder), "$CWD").replace(str(folder.parent), "$PARENT")


def loaded(raw: bytes, folder: Path) -> Any:
    return json.loads(placeless(raw.decode(), folder))


REQUESTS = r"""
pull foo
pull foo:1 --platform linux/arm64
pull -a foo
pull -q foo@sha256:0935e01a7e3d8881724c9443de86077addd4b4c49ce59acb47faf46aa3a717a1
pull ghcr.io/a/b
push foo
push foo:1
push -a foo
push --platform linux/amd64 foo
search foo --limit 3 --filter is-official=true
volume create
volume create v -d local -o a=b --label x=y
volume rm -f a
volume ls -f dangling=true
volume prune -f
volume prune -f -a
network create n
network create n -d macvlan --subnet 10.0.0.0/24 --gateway 10.0.0.1 --ip-range 10.0.0.0/25 --aux-address a=10.0.0.5 -o a=b --label a=b
network create n --subnet 10.0.0.0/24 --subnet fd00::/64 --ipv4=false --ipv6 --internal --attachable --config-only --scope x --ipam-opt x=y
network connect n c
network connect n c --ip 1.2.3.4 --alias a --alias b --link x:y --driver-opt a=b --gw-priority 3 --link-local-ip 1.1.1.1 --ip6 ::1
network disconnect -f n c
network rm a
network prune -f --filter until=24h
container prune -f --filter label=x
image prune -f
image prune -af
events --since 0 --until 1 -f type=container
import http://x/y foo:bar -m msg -c "CMD x" --platform linux/arm64
tag a b:c
rename a b
rm -f -v a
rm -l a/b
rmi -f --no-prune a
stop -t 3 -s INT a
restart -t 0 a
kill -s HUP a
kill a
pause a
unpause a
start a
update --memory 64m --memory-swap -1 --cpus 1.5 --restart on-failure:2 --pids-limit 5 a
commit a
commit -a me -m msg -c "CMD x" -p=false a foo:bar
ps
ps -a -s
ps -l
ps -n 3
ps -f name=a -f name=b -f status=running
images -a
images foo
images -f dangling=true
diff a
top a aux -o pid
system df
inspect --type container -s a
volume inspect a
network inspect a
image inspect a/b:c
"""
"""Commands whose last request is compared; what the engine answers does not matter."""


def last_request(requests: list[Any]) -> dict[str, Any]:
    """Method, path, query and JSON body of the last one."""
    if not requests:
        return {}
    last = requests[-1]
    body = json.loads(last.body) if last.headers.get("content-type", "").startswith("application/json") and last.body else None
    if last.path.endswith("/update") and body is not None:
        body = {key: value for key, value in body.items() if value}  # what is zero stays as it is
    if last.path == "/networks/create" and body is not None:
        body["IPAM"]["Config"].sort(key=lambda config: config["Subnet"])  # Docker's CLI sends them in the order of a Go map: any
    return {"method": last.method, "path": last.path, "query": last.query, "body": body}
