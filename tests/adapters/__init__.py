"""Tests of the adapters: each module skips where its framework is not installed."""
