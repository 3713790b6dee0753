"""Jobs done by forked workers."""

import os

from corten.errors import EngineError, Invalid
from corten.monitor.launch.jobs import Jobs
from corten.monitor.loop import Loop
from corten.monitor.values import JsonObject


def work(job: JsonObject) -> None:
    if job["what"] == "fail":
        raise Invalid("no", reason="because")
    if job["what"] == "die":
        os._exit(3)


def run(*jobs: str) -> list[str]:
    """Each job's outcome by reason, in the order in which they ended."""
    loop = Loop()
    pool = Jobs(loop, work, lambda: None)
    outcomes: list[str] = []

    def done(error: EngineError | None) -> None:
        outcomes.append(error.reason if error else "fine")

    for job in jobs:
        pool.add({"what": job}, done)
    while len(outcomes) < len(jobs):
        loop.run_once(1.0)
    pool.close()
    loop.run_once(0)
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return outcomes


def test_outcomes() -> None:
    assert run("nothing") == ["fine"]
    assert run("fail") == ["because"]
    assert run("die") == ["worker-died"]


def test_more_jobs_than_workers() -> None:
    assert sorted(run(*["nothing"] * 30, *["fail"] * 5, *["die"] * 20)) == ["because"] * 5 + ["fine"] * 30 + ["worker-died"] * 20
