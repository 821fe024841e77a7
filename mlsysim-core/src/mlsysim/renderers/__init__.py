"""The formats that the core writes itself, and how it draws on a screen.

Nothing is imported here, so that a command that only prints a table loads no evaluation.
"""
