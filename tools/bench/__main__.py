"""The command: `python -m tools.bench`."""

import argparse
import subprocess
import tempfile
from pathlib import Path

import tools.bench
from tests.support.images import busybox_tar
from tools.bench.engine import Engine, private_corten, reference
from tools.bench.measure import Row, table
from tools.bench.rows import ROWS


def main() -> None:
    parser = argparse.ArgumentParser(description=tools.bench.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docker", metavar="HOST", help="a running Docker to compare with")
    parser.add_argument("--podman", metavar="HOST", help="a running `podman system service`")
    parser.add_argument("--rows", default="run,exec,burst,logs,load", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", help="where Corten's data lie meanwhile; use the file system of the other engines")
    options = parser.parse_args()
    others = [reference(name, host) for name, host in (("docker", options.docker), ("podman", options.podman)) if host]
    with private_corten(others[0] if others else None, options.folder) as corten:
        engines = [*others, corten]
        for engine in engines:
            provide_image(engine)
        rows: list[Row] = []
        for name in options.rows.split(","):
            print(f"… {name}", flush=True)
            rows += ROWS[name](engines, options.rounds)
            print(table(rows, [e.name for e in engines]), flush=True)


def provide_image(engine: Engine) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "root.tar"
        path.write_bytes(busybox_tar())
        subprocess.run(engine.cli("import", str(path), "bench/tiny"), stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
