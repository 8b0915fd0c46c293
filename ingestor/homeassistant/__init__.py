"""How to talk to Home Assistant: frames, connection, reconnect, registry and history commands."""
