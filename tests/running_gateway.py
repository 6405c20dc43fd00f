"""A gateway for our own feed: faults and paces as arguments, listening when it is made."""

from __future__ import annotations

import gateways
from gateways import KEY

__all__ = ["KEY", "RunningGateway"]


class RunningGateway(gateways.RunningGateway):
    """Started, and killed with its block: without a chance to say goodbye."""

    def __init__(self, *arguments: object, port: int = 0, protocol: str = "lsg") -> None:
        super().__init__("--protocol", protocol, *map(str, arguments), port=port)
        self.wait_until_listening()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> RunningGateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
