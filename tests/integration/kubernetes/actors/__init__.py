"""Actors: they play controllers that are not at hand, against the real API server, by the rules that those keep.

Each rule says where it is written (a KEP, or the function of the project's source) and has a test that knows nothing of
cleanhours, so that an actor is not bent to what the adapter expects.
"""
