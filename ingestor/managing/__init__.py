"""What is changed in a running installation by those who may: allowed, noted in the audit, then done."""
