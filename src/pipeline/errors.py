"""What can go wrong for a person, each kind with the exit code of the command that meets it."""


class PipelineError(Exception):
    """A failure with a message for the person at the keyboard: what, where, what would be right, what to do."""

    exit_code = 1


class ConfigError(PipelineError):
    """A command, an option or a config file asks for something that cannot be."""

    exit_code = 2


class DataError(PipelineError):
    """The data is missing, is not the data that was promised, or breaks its contract too often."""

    exit_code = 3


class BundleError(PipelineError):
    """A bundle is missing, incomplete, changed, or does not give its own answers."""

    exit_code = 3


class RefusedError(PipelineError):
    """A model was trained and may not go out."""

    exit_code = 4
