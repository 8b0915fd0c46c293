"""The weather outside: who tells it, how seldom they are asked, and what is kept of their answers."""
