"""What a client may raise; all are L3BookErrors."""

from l3book._core import L3BookError


class ClientError(L3BookError):
    """Base of what clients raise; itself, when a closed client is used."""


class ConnectionLostError(ClientError):
    """The server cannot be reached, or was lost and did not come back within the budget."""


class RefusedError(ClientError):
    """It will be refused again: a wrong, revoked or missing key, another protocol, or a certificate not trusted."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
        """Of the handshake's HTTP answer (401, 403, …), or the close code (4401, 1007, …); 0: there was neither."""


class SubscriptionError(ClientError):
    """The server refused a subscription."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{detail} ({code})")
        self.code = code
        """As the server tells it: `unknown_instrument`, `already_subscribed`, …"""


class ReplayError(ClientError):
    """The server refused what was asked of a replay."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{detail} ({code})")
        self.code = code
        """As the server tells it: `not_recorded`, `no_replay`, …"""
