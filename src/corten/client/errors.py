"""What goes wrong between a client and an engine."""


class ApiError(Exception):
    """The engine refused. `hint` is Corten's advice, when its answer has one; Docker's has none."""

    def __init__(self, status: int, message: str, *, reason: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        """As Docker's CLI shows it. A hint that the message does not hold already stands on a line of its own."""
        text = f"Error response from daemon: {self.message}"
        return f"{text}\nHint: {self.hint}" if self.hint and self.hint not in self.message else text


class CannotConnect(Exception):
    """No engine answers. The text is the whole sentence for the user."""


class BadEndpoint(Exception):
    """The address, context or TLS files that were named cannot be used."""
