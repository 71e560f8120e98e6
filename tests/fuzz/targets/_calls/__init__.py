"""Bytes as one call of a kernel: its arguments as they should be, and then one or two of them as they should not."""
