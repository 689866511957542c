"""Provers, one a file, that search for certificates, and the independent checker that alone is believed."""
