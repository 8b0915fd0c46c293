"""A simulated home that speaks Home Assistant's protocols, for trying out and for load."""
