"""The table of speed and memory: Corten beside Docker (and podman), in one run, as ratios.

    make bench DOCKER=unix:///run/docker.sock
    python -m tools.bench --docker unix:///run/docker.sock [--podman unix:///run/podman.sock] [--rows run,exec,burst]

Without `--docker` the engine behind DOCKER_HOST or /run/docker.sock is taken; with `--docker none` Corten is measured alone.
Every round runs each engine once, in random order; medians are compared. CPU time is the engine's, its containers' and the
CLI's together, from a cgroup of its own and from what the CLI's processes have used. The private `cortend` is started in the
network namespace of the reference engine, so that both pay the same for links and rules. Everything that is made carries the
prefix `bench-` and is removed at the end, and before the begin if an earlier run was cut off.
"""
