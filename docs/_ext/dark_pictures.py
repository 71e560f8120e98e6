"""A picture `name.png` with a `name-dark.png` beside it is shown by the one or the other, as the reader's theme is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.transforms import SphinxTransform


class DarkPictures(SphinxTransform):
    default_priority = 400  # before Sphinx collects the files of images

    def apply(self, **kwargs: Any) -> None:
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for image in list(self.document.findall(nodes.image)):
            path = Path(image["uri"])
            dark = path.with_name(f"{path.stem}-dark{path.suffix}")
            if (folder / dark).exists():
                image["classes"].append("only-light")
                other = image.deepcopy()
                other["uri"] = dark.as_posix()
                other["classes"] = ["only-dark"]
                image.parent.insert(image.parent.index(image) + 1, other)


def setup(app: Any) -> dict[str, Any]:
    app.add_transform(DarkPictures)
    return {"parallel_read_safe": True}
