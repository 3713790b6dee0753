"""How a container's output is kept: `--log-driver` and `--log-opt` as the monitor's LogSpec.

Rotation is on by default (10 files of 10 MB): a chatty container must not fill the disk, which Docker's default lets it.
"""

import re
from collections.abc import Mapping

from corten.engine.values.container import Container
from corten.errors import Invalid
from corten.ids import short_id
from corten.monitor.values import LogSpec, StdioSpec
from corten.units import parse_bool, parse_decimal_size

DEFAULT_MAX_SIZE = 10_000_000
DEFAULT_MAX_FILE = 10


def stdio_spec(container: Container, log_path: str) -> StdioSpec:
    config = container.config
    return {
        "tty": config.tty,
        "open_stdin": config.open_stdin,
        "stdin_once": config.stdin_once,
        "log": log_spec(container, log_path),
    }


def log_spec(container: Container, log_path: str) -> LogSpec | None:
    """None when nothing is kept. Raises Invalid for wrong values of options: `create` asks, so that no start must."""
    log = container.host.log_config
    if log.type == "none":
        return None
    spec: LogSpec = {
        "driver": "local" if log.type == "local" else "json-file",
        "path": log_path,
        "max_size": _max_size(log.config["max-size"]) if "max-size" in log.config else DEFAULT_MAX_SIZE,
        "max_file": _count(log.config.get("max-file", str(DEFAULT_MAX_FILE))),
        "compress": _boolean("compress", log.config.get("compress", "false")),
    }
    attributes = _attributes(container, log.config)
    if attributes:
        spec["attrs"] = attributes
    return spec


def _max_size(text: str) -> int:
    """By powers of 1000, as Docker reads it; -1 is "no limit"."""
    if text == "-1":
        return -1
    try:
        return parse_decimal_size(text)
    except ValueError as error:
        raise Invalid(str(error), reason="bad-log-option") from None


def _boolean(option: str, text: str) -> bool:
    try:
        return parse_bool(text)
    except ValueError as error:
        raise Invalid(f"{option}: {error}", reason="bad-log-option") from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise Invalid("max-file cannot be less than 1", reason="bad-log-option")
    return int(text)


def _attributes(container: Container, options: Mapping[str, str]) -> dict[str, str]:
    """What each line of the log repeats: chosen labels, chosen environment, and the tag when one is asked for."""
    labels = container.config.labels
    environment = dict(entry.partition("=")[::2] for entry in container.config.env)
    found = _chosen(labels, options.get("labels", ""), options.get("labels-regex", ""))
    found |= _chosen(environment, options.get("env", ""), options.get("env-regex", ""))
    if options.get("tag"):
        found["tag"] = _tag(container, options["tag"])
    return found


def _chosen(values: Mapping[str, str], names: str, pattern: str) -> dict[str, str]:
    wanted = [name for name in names.split(",") if name in values]
    if pattern:
        wanted += [name for name in values if re.search(pattern, name)]
    return {name: values[name] for name in wanted}


def _tag(container: Container, template: str) -> str:
    """The placeholders of Docker's log tags that make sense here, e.g. `{{.Name}}/{{.ID}}`."""
    values = {
        "ID": short_id(container.id),
        "FullID": container.id,
        "Name": container.name,
        "ImageID": short_id(container.image_id),
        "ImageFullID": container.image_id,
        "ImageName": container.image_ref,
        "DaemonName": "corten",
    }
    return re.sub(r"\{\{\s*\.(\w+)\s*\}\}", lambda m: values.get(m[1], ""), template)
