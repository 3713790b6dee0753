"""How a command ends when it does not succeed: what is printed, and the exit status."""

ENGINE_FAILED = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
SIGNAL_OFFSET = 128


class Failure(Exception):
    """`message` goes to stderr as it is; an empty one prints nothing."""

    def __init__(self, message: str = "", status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class SetupFailure(Failure):
    """A command that starts programs (run, create, exec) failed before the program ran: shown with its name and a pointer to its help."""

    def __init__(self, message: str, status: int = ENGINE_FAILED) -> None:
        super().__init__(message, status)
