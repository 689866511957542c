"""Garrod & Keating 2025: neural collapse in deep models despite their bias to low rank."""
