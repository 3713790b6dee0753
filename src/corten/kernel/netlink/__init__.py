"""Netlink in the standard library: links, addresses, routes, neighbours and connection tracking, without an `ip` binary.

Requests are values (`Message`); `Netlink.run` sends a batch of them in one datagram. A socket belongs to the network namespace in
which it was opened, whatever its thread does afterwards (network_namespaces(7)).
"""
