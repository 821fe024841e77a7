"""Live sources of this distribution, one module each: what to ask, and how to read the answer. No input, no output."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlsysim.refreshing import Refresher

__all__ = ["built_in"]


def built_in() -> list[Refresher]:
    """Return the live sources of this distribution.

    Returns
    -------
    list of Refresher
    """
    from .azure import AzureRetail
    from .lambda_cloud import LambdaCloud
    from .owid import OwidCarbon
    from .uk_carbon import UkCarbon

    return [AzureRetail(), LambdaCloud(), OwidCarbon(), UkCarbon()]
