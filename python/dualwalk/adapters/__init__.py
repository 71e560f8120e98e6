"""dualwalk in other frameworks' own types: `adapters.torch`, `adapters.jax`, `adapters.dask`. Imported by nobody but the user."""
