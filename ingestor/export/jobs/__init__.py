"""Export jobs: a file made in slices that outlive their worker, in a folder of its own; knows no queue."""
