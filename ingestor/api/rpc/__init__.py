"""gRPC: events, their past, files and the live channel, for programs in any language. Asks as REST does."""
