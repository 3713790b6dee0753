"""How a container's output is kept: `--log-driver` and `--log-opt` as the monitor's LogSpec.

Rotation is on by default (10 files of 10 MB): a chatty container must not fill the disk, which Docker's default lets it.
"""

import re
from collections.abc import Mapping

from corten.engine.values.container import Container, LogConfig
from corten.errors import Invalid
from corten.ids import short_id
from corten.monitor.values import LogSpec, StdioSpec
from corten.units import parse_bool, parse_decimal_size, parse_size

DEFAULT_MAX_SIZE = 10_000_000
DEFAULT_MAX_FILE = 10
_ROTATION = frozenset(("max-size", "max-file", "compress", "mode", "max-buffer-size"))
LOG_OPTIONS: Mapping[str, frozenset[str]] = {
    "json-file": _ROTATION | {"labels", "labels-regex", "env", "env-regex", "tag"},
    "local": _ROTATION,
    "none": frozenset(),
}
_TAG_FIELD = re.compile(r"\{\{\s*\.(\w+)\s*\}\}")
_TAG_FIELDS = ("ID", "FullID", "Name", "ImageID", "ImageFullID", "ImageName", "DaemonName")


def check_log_config(log: LogConfig) -> None:
    """Raise Invalid for what no start could use. dockerd tells some of it only at the start."""
    if not log.type:
        return
    options = LOG_OPTIONS.get(log.type)
    if options is None:
        message = f'error looking up logging plugin {log.type}: plugin "{log.type}" not found'
        raise Invalid(message, reason="unknown-log-driver", hint=f"log drivers are {', '.join(LOG_OPTIONS)}")
    _check_mode(log.config)
    for name in log.config:
        if name not in options:
            what = f"log driver {log.type}" if log.type == "local" else f"{log.type} log driver"
            raise Invalid(f"unknown log opt '{name}' for {what}", reason="unknown-log-option")
    _max_size(log.config.get("max-size", "-1"))
    _count(log.config.get("max-file", str(DEFAULT_MAX_FILE)))
    _check_compress(log.config)
    for name in ("labels-regex", "env-regex"):
        _pattern(name, log.config.get(name, ""))
    _check_tag(log.config.get("tag", ""))


def _check_mode(options: Mapping[str, str]) -> None:
    """A log here never blocks its container, so both modes are kept; what they rule out is refused as dockerd does."""
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise Invalid(f"logger: logging mode not supported: {mode}", reason="bad-log-option")
    if "max-buffer-size" not in options:
        return
    if mode != "non-blocking":
        raise Invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'", reason="bad-log-option")
    try:
        parse_size(options["max-buffer-size"])
    except ValueError as error:
        raise Invalid(f"error parsing option max-buffer-size: {error}", reason="bad-log-option") from None


def _check_compress(options: Mapping[str, str]) -> None:
    """Only files that were rotated away are compressed."""
    if _boolean("compress", options.get("compress", "false")) and (options.get("max-file") == "1" or options.get("max-size") == "-1"):
        raise Invalid("compress cannot be true when max-file is less than 2 or max-size is not set", reason="bad-log-option")


def _check_tag(template: str) -> None:
    for name in _TAG_FIELD.findall(template):
        if name not in _TAG_FIELDS:
            raise Invalid(f"log tag has no field {name}", reason="bad-log-option", hint=f"fields are {', '.join(_TAG_FIELDS)}")
    if "{{" in _TAG_FIELD.sub("", template):
        raise Invalid(f"log tag {template!r} is more than text and fields", reason="bad-log-option", hint="{{.Name}}/{{.ID}} is one")


def stdio_spec(container: Container, log_path: str) -> StdioSpec:
    config = container.config
    return {
        "tty": config.tty,
        "open_stdin": config.open_stdin,
        "stdin_once": config.stdin_once,
        "log": log_spec(container, log_path),
    }


def log_spec(container: Container, log_path: str) -> LogSpec | None:
    """None when nothing is kept."""
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
    found = _chosen(labels, options.get("labels", ""), _pattern("labels-regex", options.get("labels-regex", "")))
    found |= _chosen(environment, options.get("env", ""), _pattern("env-regex", options.get("env-regex", "")))
    if options.get("tag"):
        found["tag"] = _tag(container, options["tag"])
    return found


def _chosen(values: Mapping[str, str], names: str, pattern: re.Pattern[str] | None) -> dict[str, str]:
    wanted = [name for name in names.split(",") if name in values]
    if pattern:
        wanted += [name for name in values if pattern.search(name)]
    return {name: values[name] for name in wanted}


def _pattern(option: str, text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise Invalid(f"{option}: error parsing regexp: {error}: `{text}`", reason="bad-log-option") from None


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
    return _TAG_FIELD.sub(lambda m: values.get(m[1], ""), template)
