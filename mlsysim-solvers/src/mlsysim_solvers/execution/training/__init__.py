"""One step of a training layout: its layers, its schedule, its exchange and its memory."""
