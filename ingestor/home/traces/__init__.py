"""What automations and scripts did when they ran, kept beyond the five runs that Home Assistant remembers."""
