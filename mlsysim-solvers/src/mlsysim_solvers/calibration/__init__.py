"""Fitting the few constants of a stack on published measurements, and measuring the machine at hand."""
