"""The whole surface of the Engine API in one table: every operation of version 1.51, and those of dockerd's that its file omits.

A row is method, path, handler and, when it is not 1.24, the version that brought it. What is refused has a `Refusal` as handler; the
compatibility page is generated from this table. The owner of a handler module puts its functions into the rows here.
"""

from typing import Final

from corten.api.buildkit import handlers as buildkit
from corten.api.handlers import build, cachemounts, networks, volumes
from corten.api.handlers.cleanup import dry_runs, gc, protection, prunes, trash
from corten.api.handlers.container import commit, containers, exec, lifecycle, streams
from corten.api.handlers.container import files as container_files
from corten.api.handlers.container import stats as container_stats
from corten.api.handlers.image import archives, images, registry, verify
from corten.api.handlers.system import disk_usage, events, handshake, info
from corten.api.handlers.unsupported import NO_CLUSTER_VOLUMES, NO_SWARM_MODE, NOT_A_MANAGER, NOT_IN_SWARM, unbuilt
from corten.api.router import Route

_CHECKPOINT = unbuilt("checkpointing containers", "checkpoint-unbuilt", "pause the container")
_COMMIT = unbuilt("committing containers", "commit-unbuilt", "write what you did into a Dockerfile")
_PLUGINS = unbuilt("plugins", "plugins-unbuilt", "Corten's drivers are built in")

ROUTES: Final = (
    # System
    Route("GET", "/_ping", handshake.ping),
    Route("HEAD", "/_ping", handshake.ping),
    Route("GET", "/version", handshake.version),
    Route("GET", "/info", info.info),
    Route("GET", "/events", events.events),
    Route("POST", "/auth", registry.auth),
    Route("GET", "/system/df", disk_usage.disk_usage, (1, 25)),
    # Containers
    Route("GET", "/containers/json", containers.container_list),
    Route("POST", "/containers/create", containers.container_create),
    Route("POST", "/containers/prune", prunes.container_prune, (1, 25)),
    Route("GET", "/containers/{id}/json", containers.container_inspect),
    Route("GET", "/containers/{id}/top", streams.container_top),
    Route("GET", "/containers/{id}/logs", streams.container_logs),
    Route("GET", "/containers/{id}/changes", container_files.changes),
    Route("GET", "/containers/{id}/export", container_files.export),
    Route("GET", "/containers/{id}/stats", container_stats.container_stats),
    Route("GET", "/containers/{id}/attach/ws", streams.container_attach_ws),
    Route("POST", "/containers/{id}/attach", streams.container_attach),
    Route("POST", "/containers/{id}/resize", streams.container_resize),
    Route("POST", "/containers/{id}/start", lifecycle.container_start),
    Route("POST", "/containers/{id}/stop", lifecycle.container_stop),
    Route("POST", "/containers/{id}/restart", lifecycle.container_restart),
    Route("POST", "/containers/{id}/kill", lifecycle.container_kill),
    Route("POST", "/containers/{id}/update", containers.container_update),
    Route("POST", "/containers/{id}/rename", containers.container_rename),
    Route("POST", "/containers/{id}/pause", lifecycle.container_pause),
    Route("POST", "/containers/{id}/unpause", lifecycle.container_unpause),
    Route("POST", "/containers/{id}/wait", lifecycle.container_wait),
    Route("POST", "/containers/{id}/exec", exec.exec_create),
    Route("HEAD", "/containers/{id}/archive", container_files.archive_stat),
    Route("GET", "/containers/{id}/archive", container_files.archive_get),
    Route("PUT", "/containers/{id}/archive", container_files.archive_put),
    Route("GET", "/containers/{id}/checkpoints", _CHECKPOINT),
    Route("POST", "/containers/{id}/checkpoints", _CHECKPOINT),
    Route("DELETE", "/containers/{id}/checkpoints/{checkpoint}", _CHECKPOINT),
    Route("DELETE", "/containers/{id}", containers.container_remove),
    Route("GET", "/corten/containers/{id}/why", containers.container_why),
    # Exec
    Route("POST", "/exec/{id}/start", exec.exec_start),
    Route("POST", "/exec/{id}/resize", exec.exec_resize),
    Route("GET", "/exec/{id}/json", exec.exec_inspect),
    # Images
    Route("GET", "/images/json", images.image_list),
    Route("POST", "/images/create", archives.image_create),
    Route("GET", "/images/search", registry.search),
    Route("POST", "/images/prune", prunes.image_prune, (1, 25)),
    Route("GET", "/images/get", archives.image_get),
    Route("POST", "/images/load", archives.image_load),
    Route("GET", "/images/{name}/json", images.image_inspect),
    Route("GET", "/images/{name}/history", images.image_history),
    Route("GET", "/images/{name}/get", archives.image_get),
    Route("POST", "/images/{name}/push", registry.push),
    Route("POST", "/images/{name}/tag", images.image_tag),
    Route("DELETE", "/images/{name}", images.image_remove),
    Route("POST", "/commit", commit.commit),
    Route("GET", "/distribution/{name}/json", registry.distribution, (1, 30)),
    Route("GET", "/corten/images", protection.image_uses),
    Route("GET", "/corten/images/tree", archives.image_tree),
    Route("POST", "/corten/images/verify", verify.images_verify),
    # Build
    Route("POST", "/build", build.build),
    Route("POST", "/build/prune", prunes.build_prune, (1, 31)),
    Route("POST", "/build/cancel", build.cancel, (1, 31)),
    Route("POST", "/session", buildkit.session, (1, 31)),
    Route("POST", "/grpc", buildkit.grpc, (1, 38)),
    Route("GET", "/corten/caches", cachemounts.cache_list),
    Route("DELETE", "/corten/caches", cachemounts.cache_remove),
    Route("POST", "/corten/caches", cachemounts.cache_limit),
    # Volumes
    Route("GET", "/volumes", volumes.volume_list),
    Route("POST", "/volumes/create", volumes.volume_create),
    Route("POST", "/volumes/prune", prunes.volume_prune, (1, 25)),
    Route("GET", "/volumes/{name}", volumes.volume_inspect),
    Route("PUT", "/volumes/{name}", NO_CLUSTER_VOLUMES, (1, 42)),
    Route("DELETE", "/volumes/{name}", volumes.volume_remove),
    Route("GET", "/corten/volumes", protection.volume_protections),
    Route("GET", "/corten/volumes/{name}", protection.volume_protection),
    Route("POST", "/corten/volumes/{name}/protect", protection.volume_protect),
    Route("POST", "/corten/volumes/{name}/unprotect", protection.volume_unprotect),
    # Clean-up
    Route("POST", "/corten/dry-run/prune", dry_runs.dry_run_prune),
    Route("POST", "/corten/dry-run/images/remove", dry_runs.dry_run_removal),
    Route("POST", "/corten/gc", gc.gc_run),
    Route("GET", "/corten/trash", trash.trash_list),
    Route("POST", "/corten/trash/empty", trash.trash_empty),
    Route("POST", "/corten/trash/{id}/restore", trash.trash_restore),
    # Networks
    Route("GET", "/networks", networks.network_list),
    Route("GET", "/networks/", networks.network_list),
    Route("POST", "/networks/create", networks.network_create),
    Route("POST", "/networks/prune", prunes.network_prune, (1, 25)),
    Route("GET", "/networks/{id}", networks.network_inspect),
    Route("DELETE", "/networks/{id}", networks.network_remove),
    Route("POST", "/networks/{id}/connect", networks.network_connect),
    Route("POST", "/networks/{id}/disconnect", networks.network_disconnect),
    # Plugins
    Route("GET", "/plugins", handshake.plugins),
    Route("GET", "/plugins/privileges", _PLUGINS),
    Route("POST", "/plugins/pull", _PLUGINS),
    Route("POST", "/plugins/create", _PLUGINS),
    Route("GET", "/plugins/{name}/json", handshake.plugin_inspect),
    Route("DELETE", "/plugins/{name}", _PLUGINS),
    Route("POST", "/plugins/{name}/enable", _PLUGINS),
    Route("POST", "/plugins/{name}/disable", _PLUGINS),
    Route("POST", "/plugins/{name}/upgrade", _PLUGINS, (1, 26)),
    Route("POST", "/plugins/{name}/push", _PLUGINS),
    Route("POST", "/plugins/{name}/set", _PLUGINS),
    # Swarm: answered as a Docker node that is in no swarm
    Route("GET", "/swarm", NOT_A_MANAGER),
    Route("POST", "/swarm/init", NO_SWARM_MODE),
    Route("POST", "/swarm/join", NO_SWARM_MODE),
    Route("POST", "/swarm/leave", NOT_IN_SWARM),
    Route("POST", "/swarm/update", NOT_A_MANAGER),
    Route("GET", "/swarm/unlockkey", NOT_A_MANAGER),
    Route("POST", "/swarm/unlock", NOT_A_MANAGER),
    Route("GET", "/nodes", NOT_A_MANAGER),
    Route("GET", "/nodes/{id}", NOT_A_MANAGER),
    Route("DELETE", "/nodes/{id}", NOT_A_MANAGER),
    Route("POST", "/nodes/{id}/update", NOT_A_MANAGER),
    Route("GET", "/services", NOT_A_MANAGER),
    Route("POST", "/services/create", NOT_A_MANAGER),
    Route("GET", "/services/{id}/logs", NOT_A_MANAGER),
    Route("GET", "/services/{id}", NOT_A_MANAGER),
    Route("DELETE", "/services/{id}", NOT_A_MANAGER),
    Route("POST", "/services/{id}/update", NOT_A_MANAGER),
    Route("GET", "/tasks", NOT_A_MANAGER),
    Route("GET", "/tasks/{id}/logs", NOT_A_MANAGER),
    Route("GET", "/tasks/{id}", NOT_A_MANAGER),
    Route("GET", "/secrets", NOT_A_MANAGER),
    Route("POST", "/secrets/create", NOT_A_MANAGER),
    Route("GET", "/secrets/{id}", NOT_A_MANAGER),
    Route("DELETE", "/secrets/{id}", NOT_A_MANAGER),
    Route("POST", "/secrets/{id}/update", NOT_A_MANAGER),
    Route("GET", "/configs", NOT_A_MANAGER),
    Route("POST", "/configs/create", NOT_A_MANAGER),
    Route("GET", "/configs/{id}", NOT_A_MANAGER),
    Route("DELETE", "/configs/{id}", NOT_A_MANAGER),
    Route("POST", "/configs/{id}/update", NOT_A_MANAGER),
)
