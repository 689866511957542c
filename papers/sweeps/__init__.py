"""Sweeps: many configurations of an experiment, on processes or a cluster, into a folder of parts."""
