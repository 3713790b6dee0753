"""asyncio as the daemon needs it: without its TLS, whose libraries are four megabytes that an idle engine does not carry.

TLS connections have their own record layer (`corten.http.tls`), and registries are asked by another library; both import `ssl`
when they are first needed. To be imported before anything imports asyncio; afterwards it changes nothing.
"""

import sys

if "asyncio" not in sys.modules and "ssl" not in sys.modules:
    sys.modules["ssl"] = None  # type: ignore[assignment]  # an import of it fails, which asyncio is prepared for
    try:
        import asyncio  # noqa: F401
    finally:
        del sys.modules["ssl"]
