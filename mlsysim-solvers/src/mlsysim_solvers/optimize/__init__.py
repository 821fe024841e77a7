"""The best layout for a training job: exact search with bounds that never exceed the truth."""
