"""Calls on one container that are about its files, its figures, or a web socket."""
