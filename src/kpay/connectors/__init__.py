"""Connectors: our code for a rail. One folder a rail behind one small interface."""
