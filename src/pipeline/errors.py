"""The errors that a command reports to its user, each kind with the exit code of the command."""

import errno

# What an operating system refuses for want of room or rights: nothing that a change of this project would mend.
ENVIRONMENT = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE),
}


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


def environment_error(error: OSError) -> ConfigError | None:
    """The error to report for a disk without room, a file without rights and the like; None for any other error."""
    if error.errno not in ENVIRONMENT:
        return None
    place = f"{error.filename}: " if error.filename else ""
    return ConfigError(f"{place}{error.strerror}. The champion is as it was: mend that and run it again")
