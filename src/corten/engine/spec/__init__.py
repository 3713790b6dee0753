"""From the engine's containers to OCI runtime specs.

`build_spec(container, placement)` gives the config.json of a start, `build_exec(container, request, placement)` the process of an
exec, `linux_resources(resources)` what `update` sends, `check_options(config, host, machine)` refuses at create what cannot work.
"""

from corten.engine.spec.build import ExecRequest, build_exec, build_spec, cgroups_path
from corten.engine.spec.checks import check_options
from corten.engine.spec.limits import discard_unsupported
from corten.engine.spec.placement import IdMap, Machine, Placement
from corten.engine.spec.resources import linux_resources
from corten.engine.spec.users import ResolvedUser, resolve_user

__all__ = [
    "ExecRequest",
    "IdMap",
    "Machine",
    "Placement",
    "ResolvedUser",
    "build_exec",
    "build_spec",
    "cgroups_path",
    "check_options",
    "discard_unsupported",
    "linux_resources",
    "resolve_user",
]
