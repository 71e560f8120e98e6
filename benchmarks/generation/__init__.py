"""The parts of `bench_generation.py`: single runs, the tables, the page, the literature's protocol."""
