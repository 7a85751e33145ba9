"""The errors that a command reports to its user, each kind with the exit code of the command."""


class PipelineError(Exception):
    """An error with a message for the user: what failed, where, what would be valid, and what to do."""

    exit_code = 1


class ConfigError(PipelineError):
    """A command, an option or a config file asks for something impossible."""

    exit_code = 2


class DataError(PipelineError):
    """The data are missing, are not the expected files, break the contract too often, or cannot be trained on."""

    exit_code = 3


class BundleError(PipelineError):
    """A bundle is missing, incomplete or changed, or does not reproduce its golden predictions."""

    exit_code = 3


class RefusedError(PipelineError):
    """A model was trained and is not allowed to be promoted."""

    exit_code = 4
