"""The relationships of a home as a graph that can be asked; built from what is kept, asks Home Assistant nothing."""
