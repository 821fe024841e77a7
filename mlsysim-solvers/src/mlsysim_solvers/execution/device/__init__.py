"""One device: ceilings, tiles and rooflines as time, and what is held as memory."""
