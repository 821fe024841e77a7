"""Sourced numbers for mlsysim."""
