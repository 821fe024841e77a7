"""Physics of mlsysim."""
