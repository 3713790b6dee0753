"""`make demo`: from nothing to a model that reads text off a picture in a container, with no image registry.

What it leaves behind: `.venv`, and a cache folder (Debian packages as a root file system, Python wheels) that it names.
"""
