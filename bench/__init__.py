"""Benchmarks: one command each, `python -m bench <name>`. They print medians and ratios of one run, assert nothing."""
