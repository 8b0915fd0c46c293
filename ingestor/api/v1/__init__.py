"""The routes below `/api/v1`: questions taken apart, asked below, and answered; no logic."""
