"""Credentials as clients send them: the fields of Docker's auth config."""

import base64
import binascii
from collections.abc import Mapping

from corten.errors import Invalid
from corten.registry.auth import Credentials


def registry_credentials(fields: Mapping[str, str]) -> Credentials:
    """From `username`, `password`, `auth` (base64 of name:password), `identitytoken`, `registrytoken`, in any case of letters.

    Raises Invalid for an `auth` that is none.
    """
    known = {key.lower(): value for key, value in fields.items()}
    username, password = known.get("username", ""), known.get("password", "")
    if known.get("auth") and not username:
        try:
            username, _, password = base64.b64decode(known["auth"], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Invalid("invalid registry credentials: auth is not base64 of name:password", reason="bad-credentials") from error
    return Credentials(username, password, known.get("identitytoken", ""), known.get("registrytoken", ""))
