"""The old search API (`GET /v1/search?q=&n=`), which Docker Hub and a few registries still answer. Blocking."""

from typing import Final
from urllib.parse import urlencode

import msgspec

from corten.errors import Invalid, Unavailable
from corten.registry.auth import Credentials
from corten.registry.hosts import DOCKER_HUB, RegistrySettings, own_endpoints
from corten.registry.retry import RetryPolicy
from corten.registry.transport import Answer, Transport, close_quietly

INDEX_HOST: Final = "index.docker.io"
LARGEST_ANSWER: Final = 4 << 20
_ONCE: Final = RetryPolicy(attempts=1)


class Hit(msgspec.Struct, frozen=True):
    name: str = ""
    description: str = ""
    star_count: int = 0
    is_official: bool = False


class _Answer(msgspec.Struct, frozen=True):
    results: list[Hit] = []


def search_registry(domain: str, term: str, limit: int, settings: RegistrySettings, credentials: Credentials | None) -> list[Hit]:
    """What the registry finds, in its order. Raises Unavailable, and Invalid for a registry that cannot be reached by its name."""
    basic = credentials.basic if credentials else None
    headers = {"Authorization": basic} if basic else {}
    transport = _hub(settings) if domain == DOCKER_HUB else _reached(domain, settings)
    try:
        answer = transport.request("GET", f"/v1/search?{urlencode({'q': term, 'n': limit})}", headers=headers)
        return _hits(answer)
    finally:
        transport.close()


def _hub(settings: RegistrySettings) -> Transport:
    return Transport(own_endpoints(DOCKER_HUB, settings, host=INDEX_HOST)[0], settings.proxies)


def _reached(domain: str, settings: RegistrySettings) -> Transport:
    """A transport to the first endpoint that answers at all: https, then http where that is allowed."""
    failures = []
    found = own_endpoints(domain, settings)
    for endpoint in found:
        transport = Transport(endpoint, settings.proxies, retry=_ONCE)
        try:
            close_quietly(transport.request("GET", "/v1/_ping"))
        except Unavailable as error:
            transport.close()
            failures.append(error.message)
        else:
            return Transport(endpoint, settings.proxies)
    attempts = ". ".join(f"{kind} attempt: {text}" for kind, text in zip(("HTTPS", "HTTP"), failures, strict=False))
    raise Invalid(
        f'invalid registry endpoint "{found[-1].url}/v1/". {attempts}',
        reason="no-registry",
        hint="a registry without TLS needs --insecure-registry",
    )


def _hits(answer: Answer) -> list[Hit]:
    try:
        if answer.status != 200:
            raise Unavailable(
                f"Unexpected status code {answer.status}",
                reason="search-refused",
                hint="most registries have no search: name the image, or list `GET /v2/_catalog`",
            )
        return msgspec.json.decode(answer.read(LARGEST_ANSWER), type=_Answer).results
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Unavailable(f"the registry's search answer cannot be read: {error}", reason="search-unreadable") from error
    finally:
        close_quietly(answer)
