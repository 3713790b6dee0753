"""Containers through docker-py, whose sockets are read before their answers are over: each hijacked call in a loop of 50."""

import threading
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests.support.daemon import IMAGE

pytestmark = [
    pytest.mark.privileged,
    # docker-py leaves the sockets of streams that it has read to their end to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
LOOPS = 50


@pytest.fixture
def box(docker_py: docker.DockerClient, name: str) -> Iterator[Container]:
    container = docker_py.containers.run(IMAGE, ["sleep", "1000"], name=name, detach=True)
    yield container
    container.remove(force=True)


def test_exec_output_never_goes_missing(box: Container) -> None:
    for number in range(LOOPS):
        done: Any = box.exec_run(["sh", "-c", f"echo out{number}; echo err{number} >&2; exit {number % 7}"], demux=True)
        assert tuple(done) == (number % 7, (f"out{number}\n".encode(), f"err{number}\n".encode()))


def test_exec_with_a_terminal_or_a_socket(box: Container) -> None:
    for number in range(10):
        assert box.exec_run(["echo", str(number)], tty=True).output == f"{number}\r\n".encode()
    sock: Any = box.exec_run(["cat"], stdin=True, socket=True).output
    sock._sock.sendall(b"through\n")
    assert sock._sock.recv(100)[8:] == b"through\n"
    sock.close()


def test_run_gives_the_output(docker_py: docker.DockerClient) -> None:
    for number in range(LOOPS):
        assert docker_py.containers.run(IMAGE, ["echo", str(number)], remove=True) == f"{number}\n".encode()


def test_a_failing_run_is_an_error_with_its_output(docker_py: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.ContainerError) as caught:
        docker_py.containers.run(IMAGE, ["sh", "-c", "echo bad >&2; exit 9"], remove=True, stderr=True)
    assert caught.value.exit_status == 9
    assert "b'bad" in str(caught.value)


def test_attach_before_the_start(docker_py: docker.DockerClient, name: str) -> None:
    for number in range(LOOPS):
        container = docker_py.containers.create(IMAGE, ["echo", f"hello {number}"], name=name)
        stream = container.attach(stream=True, logs=True)
        container.start()
        assert b"".join(stream) == f"hello {number}\n".encode()
        assert container.wait() == {"StatusCode": 0}
        container.remove()


def test_logs_and_their_options(docker_py: docker.DockerClient, name: str) -> None:
    container = docker_py.containers.run(IMAGE, ["sh", "-c", "for i in 1 2 3; do echo $i; done"], name=name, detach=True)
    container.wait()
    try:
        assert container.logs() == b"1\n2\n3\n"
        assert container.logs(tail=1) == b"3\n"
        assert list(container.logs(stream=True)) == [b"1\n", b"2\n", b"3\n"]
        assert container.logs(stdout=False, stderr=True) == b""
    finally:
        container.remove()


def test_events(docker_py: docker.DockerClient, name: str) -> None:
    seen: list[str] = []
    listening = docker_py.events(decode=True, filters={"container": name})

    def listen() -> None:
        for event in listening:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    while not docker_py.info()["NEventsListener"]:
        pass
    docker_py.containers.run(IMAGE, ["true"], name=name, remove=True)
    thread.join(10)
    listening.close()
    assert seen[:2] == ["create", "start"] or seen[:3] == ["create", "attach", "start"]
    assert seen[-2:] == ["die", "destroy"]


def test_what_a_container_tells_of_itself(box: Container, name: str) -> None:
    assert box.status == "created" or box.status == "running"
    box.reload()
    assert (box.status, box.name, box.attrs["State"]["Running"]) == ("running", name, True)
    assert box.attrs["NetworkSettings"]["Networks"]["bridge"]["Gateway"]
    assert [process[-1] for process in box.top()["Processes"]] == ["sleep 1000"]
    box.rename(f"{name}-2")
    box.pause()
    box.unpause()
    box.stop(timeout=0)
    assert box.wait()["StatusCode"] == 137
    assert box.client
    assert box.client.containers.list(all=True, filters={"name": f"{name}-2"}) == [box]


def test_errors(docker_py: docker.DockerClient, box: Container, name: str) -> None:
    with pytest.raises(docker.errors.ImageNotFound, match="No such image: nosuchimage:latest"):
        docker_py.containers.create("nosuchimage")
    with pytest.raises(docker.errors.NotFound, match="No such container: nosuch"):
        docker_py.containers.get("nosuch")
    with pytest.raises(docker.errors.APIError, match="already in use by container"):
        docker_py.containers.create(IMAGE, name=name)
    box.stop(timeout=0)
    with pytest.raises(docker.errors.APIError, match="is not running"):
        box.exec_run("true")
