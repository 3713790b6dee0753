"""The API as one callable for the HTTP server: finds the route, negotiates the version, turns errors into answers."""

import logging
from collections.abc import Sequence
from typing import Final

from corten import __version__
from corten.api.errors import error_response, failure
from corten.api.request import Request
from corten.api.router import Match, Route, Router, split_version
from corten.api.services import Services
from corten.api.versions import CURRENT, find_refusal, format_version, parse_version
from corten.errors import EngineError
from corten.http.request import ClientGone
from corten.http.request import Request as HttpRequest
from corten.http.response import Reply, Response

logger = logging.getLogger("corten.api")

COMMON_HEADERS: Final = (
    ("Api-Version", format_version(CURRENT)),
    ("Docker-Experimental", "false"),
    ("Ostype", "linux"),
    ("Server", f"Corten/{__version__} (linux)"),
)
"""Sent with every answer; clients negotiate on them. For `corten.http.server.Server(common_headers=...)`."""


class App:
    """`Server(App(services, ROUTES).handle, common_headers=COMMON_HEADERS)`."""

    def __init__(self, services: Services, routes: Sequence[Route]) -> None:
        self._services = services
        self._router = Router(routes)

    async def handle(self, http: HttpRequest) -> Reply:
        """Answers everything; raises nothing but ClientGone."""
        if target := http.redirect:
            return Response(301, headers=(("Location", target),))
        version_text, path = split_version(http.path)
        match = self._router.find(http.method, path)
        if match is None:
            return Response(200) if http.method == "OPTIONS" else failure(404, "page not found")
        version = parse_version(version_text) if version_text else CURRENT
        if refusal := find_refusal(version_text, version):
            return refusal
        return await self._call(match, Request(http, self._services, match.params, version))

    async def _call(self, match: Match, request: Request) -> Reply:
        try:
            return await match.route.handler(request)
        except EngineError as error:
            reply = error_response(error)
            if reply.status >= 500 and reply.status not in (501, 503):
                logger.warning("%s %s failed: %s", match.route.method, request.http.path, error.message)
            return reply
        except ClientGone:
            raise
        except Exception as error:  # the edge: a bug becomes an answer and a traceback in the log
            logger.exception("%s %s failed", match.route.method, request.http.path)
            return failure(500, str(error) or type(error).__name__)
