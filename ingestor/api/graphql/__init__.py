"""GraphQL: what REST reads and the live channel tells, as one graph. Asks as REST does, and adds no rule of access."""
