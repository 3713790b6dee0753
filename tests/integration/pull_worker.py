"""Pulls an image into a store until it is done or killed: `python -m tests.integration.pull_worker ROOT NAME`."""

import asyncio
import sys

from corten.engine.events import Events
from corten.engine.transfer.pull import Pulls
from corten.oci.reference import parse_reference
from corten.registry.hosts import RegistrySettings
from corten.store.opened import open_store


def main(root: str, name: str) -> None:
    store = open_store(root)
    asyncio.run(Pulls(store, RegistrySettings(certs_d=()), Events()).pull(parse_reference(name), lambda line: None))


if __name__ == "__main__":
    main(*sys.argv[1:])
