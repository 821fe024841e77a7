"""Requests in flight: passes of an engine, queues, copies and pools of workers."""
