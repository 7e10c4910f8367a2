"""Feeder beside its peers: the same weights, pictures and labels, in one run.

Imports nothing: every contender's start is timed, and must pay for its own imports alone.
"""
