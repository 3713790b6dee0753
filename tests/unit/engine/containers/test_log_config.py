"""`--log-driver` and `--log-opt`: what is refused at create, in Docker's words where it has some, and what a log is kept by."""

import pytest

from corten.engine.containers.log_config import check_log_config, log_spec
from corten.engine.values.container import Container, ContainerConfig, HostConfig, LogConfig
from corten.errors import Invalid
from tests.unit.engine.containers.values import container


@pytest.mark.parametrize(
    ("driver", "options", "message"),
    [
        ("journald", {}, 'error looking up logging plugin journald: plugin "journald" not found'),
        ("json-file", {"x": "1"}, "unknown log opt 'x' for json-file log driver"),
        ("local", {"labels": "a"}, "unknown log opt 'labels' for log driver local"),
        ("none", {"max-file": "2"}, "unknown log opt 'max-file' for none log driver"),
        ("json-file", {"mode": "foo"}, "logger: logging mode not supported: foo"),
        ("json-file", {"max-buffer-size": "1m"}, "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
        ("json-file", {"mode": "non-blocking", "max-buffer-size": "foo"}, "error parsing option max-buffer-size: invalid size: 'foo'"),
        ("json-file", {"max-size": "foo"}, "invalid size: 'foo'"),
        ("local", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("local", {"compress": "x"}, 'compress: strconv.ParseBool: parsing "x": invalid syntax'),
        (
            "json-file",
            {"compress": "true", "max-file": "1"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        ("json-file", {"env-regex": "("}, "env-regex: error parsing regexp: missing ), unterminated subpattern at position 0: `(`"),
        ("json-file", {"tag": "{{.Foo}}"}, "log tag has no field Foo"),
        ("json-file", {"tag": "{{.ID"}, "log tag '{{.ID' is more than text and fields"),
    ],
)
def test_what_is_refused(driver: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_log_config(LogConfig(type=driver, config=options))
    assert caught.value.message == message


def test_what_a_log_is_kept_by() -> None:
    options = {
        "max-size": "1k",
        "max-file": "2",
        "compress": "true",
        "labels-regex": "^a",
        "env": "X",
        "tag": "{{.Name}}/{{ .DaemonName }}",
    }
    check_log_config(LogConfig(type="json-file", config=options))
    spec = log_spec(with_log(LogConfig(type="json-file", config=options)), "/log")
    assert spec == {
        "driver": "json-file",
        "path": "/log",
        "max_size": 1000,
        "max_file": 2,
        "compress": True,
        "attrs": {"ab": "1", "X": "2", "tag": "box/corten"},
    }
    assert log_spec(with_log(LogConfig(type="none")), "/log") is None


def with_log(log: LogConfig) -> Container:
    config = ContainerConfig(image="busybox", labels={"ab": "1", "b": "2"}, env=("X=2", "Y=3"))
    return container("box", config=config, host=HostConfig(log_config=log))
