"""`build --resource`: several limits of RUN steps in one value, as the parameters of POST /build."""

from corten.cli.kinds import Kind, csv_fields, integer
from corten.cli.options.quantities import parse_swap
from corten.units import parse_size

_SIZES = {"memory": "memory", "memory-swap": "memswap"}
_NUMBERS = {"cpu-period": "cpuperiod", "cpu-quota": "cpuquota", "cpu-shares": "cpushares"}
_TEXTS = {"cpuset-cpus": "cpusetcpus", "cpuset-mems": "cpusetmems"}
KEYS = (*_SIZES, *_NUMBERS, *_TEXTS)


def parse_resource(text: str) -> dict[str, str]:
    """`memory=2g,cpu-quota=50000,…`. Raises ValueError."""
    found: dict[str, str] = {}
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        if key in _SIZES:
            found[_SIZES[key]] = str(parse_swap(value) if key == "memory-swap" else parse_size(value))
        elif key in _NUMBERS:
            found[_NUMBERS[key]] = str(integer(64)(value))
        elif key in _TEXTS:
            found[_TEXTS[key]] = value
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}': one of {', '.join(KEYS)}")
    return found


RESOURCE = Kind("list", parse_resource, repeats=True)
