"""Layer A: what is known of a data set that benchmarks draw from."""

from __future__ import annotations

import attrs

from .fields import fact

__all__ = ["Dataset"]


@attrs.frozen
class Dataset:
    """Lengths of the samples of a data set.

    Parameters
    ----------
    name, note : str
        Name and remark.
    input : float, token
        Mean length of an input after tokenisation; 0 where samples are no text.
    output : float, token
        Mean length of a reference answer.
    input_variation : float, ratio
        Standard deviation of the lengths of inputs over their mean.
    output_variation : float, ratio
        The same of answers.
    longest : float, token
        Length at which inputs are cut.
    passes : float, count
        Mean number of passes that the benchmark takes over a sample, each over a part of it.
    models : tuple of str
        Keys of models whose benchmark draws from it.
    aliases : tuple of str
        What people type.
    """

    name: str
    input: float = fact("token", default=0.0, tolerance=0.05, zero=True)
    output: float | None = fact("token", default=None, tolerance=0.05)
    input_variation: float | None = fact("1", default=None, tolerance=0.2, zero=True)
    output_variation: float | None = fact("1", default=None, tolerance=0.2, zero=True)
    longest: float | None = fact("token", default=None, tolerance=0.0)
    passes: float | None = fact("1", default=None, tolerance=0.05)
    models: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    note: str = ""
