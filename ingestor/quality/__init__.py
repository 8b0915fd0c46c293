"""Data quality: what is checked at the door (`rules`, `gate`), by hand (`trial`) and learned (`attributes`)."""
