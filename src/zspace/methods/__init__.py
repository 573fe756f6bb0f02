"""Methods, one file for each paper: classes that take networks and yield the losses to minimise."""
