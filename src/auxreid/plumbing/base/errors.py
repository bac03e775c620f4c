"""Errors a user can act on: each message names the place, what was found and what was allowed."""


class ConfigError(ValueError):
    """params.yaml, or a file derived from it, says something that cannot be run."""


class DataError(ValueError):
    """A file that the user brought, or a stage wrote, is missing, broken or would falsify a result."""


class FullDiskError(OSError):
    """There is no room for a file."""
