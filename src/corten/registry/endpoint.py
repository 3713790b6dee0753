"""One place that answers for a registry."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base URL that speaks the distribution API (`url` + `/v2/...`; with `whole_path` the URL stands in for `/v2`, too).

    `verify` False accepts any certificate. `headers` go to this host only.
    """

    url: str
    verify: bool = True
    ca_files: tuple[str, ...] = ()
    client_cert: tuple[str, str] | None = None
    can_push: bool = True
    can_pull: bool = True
    whole_path: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    credentials: bool = True  # send the user's credentials: to the registry and its hosts.toml, not to a plain mirror

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def address(self, path: str) -> str:
        """The URL of an absolute path of the API; a whole URL is itself."""
        if "://" in path:
            return path
        return self.url + (path.removeprefix("/v2") if self.whole_path else path)
