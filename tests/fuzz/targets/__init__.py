"""A module a target; names that begin with an underscore are shared by some."""
