"""Which content coding to answer with (RFC 9110, 12.5.3)."""

from functools import lru_cache

from l3book.api.negotiation import weight_of

IDENTITY = "identity"

_CACHED_HEADERS = 256


@lru_cache(_CACHED_HEADERS)
def coding_for(accept: str | None, codings: tuple[str, ...]) -> str:
    """Choose of `codings`, the preferred one first, or "identity"; `accept` is the Accept-Encoding, None without one.

    Who refuses everything there is gets "identity" all the same: an answer is worth more than a 406.
    """
    if accept is None:
        return IDENTITY
    weights = _weights(accept)
    rest = weights.get("*", 0.0)
    # Unless a client says that it likes plain bytes better, whatever it has bothered to name comes first.
    offered = [*((weights.get(coding, rest), coding) for coding in codings), (weights.get(IDENTITY, 0.0), IDENTITY)]
    # max() keeps the first of equals.
    weight, coding = max(offered, key=lambda pair: pair[0])
    return coding if weight > 0 else IDENTITY


def _weights(accept: str) -> dict[str, float]:
    """Codings and their weights. What is not written as it should be is passed over: other servers forgive it too."""
    weights: dict[str, float] = {}
    for element in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in element.split(";"))
        # An old name of the same coding.
        weights["gzip" if name == "x-gzip" else name] = weight_of(parameters)
    return weights
