"""From a model's shape and a workload to a table of operators."""
