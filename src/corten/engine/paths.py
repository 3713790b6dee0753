"""Where a container's files are.

data_root/containers/ID/    hostname hosts resolv.conf ID-json.log      (kept until the container is removed)
exec_root/containers/ID/    config.json exit.json                       (gone with a reboot)
exec_root/mounts/ID/        images and parts of volumes mounted for it  (while it runs)
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paths:
    data_root: str
    exec_root: str

    @property
    def database(self) -> str:
        return os.path.join(self.data_root, "corten.db")

    @property
    def containers(self) -> str:
        return os.path.join(self.data_root, "containers")

    @property
    def state_root(self) -> str:
        """The runtime's own state, by container."""
        return os.path.join(self.exec_root, "state")

    @property
    def bundles(self) -> str:
        return os.path.join(self.exec_root, "containers")

    @property
    def mounts(self) -> str:
        """Apart from bundles: what is removed as a tree must not have a user's files mounted in it."""
        return os.path.join(self.exec_root, "mounts")

    def container(self, container_id: str) -> str:
        return os.path.join(self.data_root, "containers", container_id)

    def log(self, container_id: str) -> str:
        return os.path.join(self.data_root, "containers", container_id, f"{container_id}-json.log")

    def bundle(self, container_id: str) -> str:
        return os.path.join(self.exec_root, "containers", container_id)
