"""The FastAPI app: routes and handlers, no logic."""
