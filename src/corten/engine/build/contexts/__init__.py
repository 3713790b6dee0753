"""Contexts that are read where they lie: how a client names one, and what is remembered of it."""
