"""The table of DESIGN's speed goals: Corten beside Docker and podman, in one run, as ratios.

    make bench                                        # Corten alone (wall times only: no ratios)
    python -m tools.bench --docker unix:///run/docker.sock [--podman unix:///run/podman.sock] [--rows run,exec,burst]

Every round runs each engine once, in random order; medians are compared. The private `cortend` is started in the network
namespace of the reference engine, so that both pay the same for links and rules.
"""
