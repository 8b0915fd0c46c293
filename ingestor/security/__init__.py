"""Who may do what: keys, principals, and the one decision that every transport asks for."""
