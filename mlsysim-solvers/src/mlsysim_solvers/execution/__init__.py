"""From a table of operators to time and memory: of one device, of a training layout, of requests in flight."""
