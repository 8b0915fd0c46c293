"""Webhooks: messages of the live channel, posted to registered addresses, signed, and tried again for days."""
