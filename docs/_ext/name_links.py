"""Code in backticks that names something public, such as `DualSampler` or `metrics.evaluate`, links to its reference."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

_NAME = re.compile(r"(?:dw\.|dualwalk\.)?([A-Za-z_][\w.]*)(\(.*\))?")


class NameLinks(SphinxPostTransform):
    default_priority = 500

    def run(self, **kwargs: Any) -> None:
        objects = self.env.get_domain("py").objects  # type: ignore[attr-defined]
        for literal in list(self.document.findall(nodes.literal)):
            if isinstance(literal.parent, nodes.reference | nodes.title | nodes.term):
                continue
            text = literal.astext()
            match = _NAME.fullmatch(text)
            if match is None:
                continue
            # A bare word such as `walk` may be an argument: only what cannot be mistaken is a link.
            plain = match[1] == text and text.islower() and "_" not in text.strip("_") and "." not in text
            found = objects.get(f"dualwalk.{match[1]}") or objects.get(f"dualwalk.metrics.{match[1]}")
            if found is None or plain:
                continue
            reference = make_refnode(self.app.builder, self.env.docname, found.docname, found.node_id, literal.deepcopy())
            literal.replace_self(reference)


def setup(app: Any) -> dict[str, Any]:
    app.add_post_transform(NameLinks)
    return {"parallel_read_safe": True}
