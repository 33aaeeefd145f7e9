"""Tag a whole corpus: read, compute, write in parts, go on after a stop, sum up."""
