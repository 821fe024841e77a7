"""From a table of operators to times: ceilings, tiles, rooflines, memory."""
