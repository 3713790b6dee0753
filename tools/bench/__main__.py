"""The command: `python -m tools.bench`."""

import argparse
import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import tools.bench
from tools.bench.account import accounted
from tools.bench.engine import private_corten, reference
from tools.bench.image import provided
from tools.bench.measure import Row, load_average, table
from tools.bench.rows import ROWS, Bench

SOCKET = Path("/run/docker.sock")


def main() -> None:
    options = arguments()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed Corten is compiled
    if shutil.which("docker") is None:
        raise SystemExit("the stock docker CLI is needed: it is what both engines are called with")
    with ExitStack() as stack:
        others = [reference(name, host) for name, host in (("docker", options.docker), ("podman", options.podman)) if host != "none"]
        engines = [*others, stack.enter_context(private_corten(others[0] if others else None, options.folder))]
        bench = Bench(engines, {e.name: stack.enter_context(accounted(e)) for e in engines}, options.rounds, options.containers)
        for engine in engines:
            stack.enter_context(provided(engine))
        measure(bench, options.rows.split(","), options.json)


def measure(bench: Bench, wanted: list[str], path: str | None) -> None:
    names = [e.name for e in bench.engines]
    rows: list[Row] = []
    for name in wanted:
        print(f"… {name} (load {load_average():.1f})", flush=True)
        new = ROWS[name](bench)
        print(table(new, names), flush=True)
        rows += new
    print(f"\n{table(rows, names)}")
    if path:
        Path(path).write_text(json.dumps([row.as_json() for row in rows], indent=1))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=tools.bench.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docker", metavar="HOST", default=default_host(), help="a running Docker to compare with, or none")
    parser.add_argument("--podman", metavar="HOST", default="none", help="a running `podman system service`")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"of {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--containers", type=int, default=300, help="how many the burst starts")
    parser.add_argument("--folder", help="where Corten's data lie meanwhile; use the file system of the other engines")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    if unknown := set(options.rows.split(",")) - set(ROWS):
        parser.error(f"no such rows: {', '.join(sorted(unknown))}")
    return options


def default_host() -> str:
    host = os.environ.get("DOCKER_HOST", "")
    return host if host.startswith("unix://") else f"unix://{SOCKET}" if SOCKET.exists() else "none"


if __name__ == "__main__":
    main()
