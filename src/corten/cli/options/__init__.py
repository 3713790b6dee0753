"""The small languages inside flags (`-p`, `-v`, `--mount`, `--gpus` …) as values of the Engine API. No I/O but the files that flags name.

Everything here raises ValueError with Docker's sentence.
"""
