"""Tar archives on this machine's side: packing what is sent, unpacking what comes from a container that nobody trusts."""
