"""Model files: a fitted model in one .npz file, versioned, never pickled, written whole or not at all.

A file is a zip archive, nothing compressed: `manifest.json`, and a .npy member for every array that the manifest names. The
manifest is a tree of plain values; what may stand where is said by the records (`fields` has their alphabet), and only the
classes that have a record are ever made. What is read is believed after its types, sizes and ranges were compared with what the
rest of the file implies.

What is kept: of a divergence and of dual functions, every number that was learned, as these cost minutes to learn again. Of a
sampler, its training rows and what was chosen (rungs, codes, seeds); scores, neighbours and distances follow from these
by the code that `fit` runs, so loaded and fitted samplers do the same bits, and a file stays small and outlives that code.

`container` reads and writes archives; `fields`, `parameters`, `generators` and `records_*` say what is in them; `codec` puts both
together; `versions` brings old files up to date; `saved` has the two methods of every class that can be kept.
"""
