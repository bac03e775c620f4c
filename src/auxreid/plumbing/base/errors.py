"""Errors a user can act on: each message names the place, what was found and what was allowed."""


class ConfigError(ValueError):
    """params.yaml, or a file derived from it, says something that cannot be run."""


class UsageError(ConfigError):
    """A command line names nothing that could be run; the exit code is 2, as of a wrong option."""


class DataError(ValueError):
    """A file that the user brought, or a stage wrote, is missing, broken or would falsify a result."""


class FullDiskError(OSError):
    """There is no room for a file."""
