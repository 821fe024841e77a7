"""Formats in which a model is served where nobody says otherwise: those of the weights that its lab publishes."""

from __future__ import annotations

from collections.abc import Container

from ..records.precision import bytes_per_element

__all__ = ["published_formats"]


def published_formats(published: str, multiplied: Container[str], wide: str) -> tuple[str, str]:
    """Return the formats of arithmetic and of stored weights of a model that is published in few bits.

    Parameters
    ----------
    published : str
        Format of the published weights; empty for that of most models, 16 bits.
    multiplied : container of str
        Formats that the device multiplies.
    wide : str
        Format of 16 bits that the device multiplies, or what it has instead.

    Returns
    -------
    precision, weights : str
        Weights are empty where they are those of arithmetic. Weights of 8 bits are multiplied as they are where the
        device does so; fewer bits are unpacked on the way, since inputs of layers keep 16.
    """
    if not published:
        return wide, ""
    if published in multiplied and bytes_per_element(published) >= 1:
        return published, ""
    return wide, published
