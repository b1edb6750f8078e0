"""GPU devices: what to say of a name that the table of thermal design power does not have."""

from __future__ import annotations

import difflib

from cleanhours_plugins.meters.gpu_tdp import GPU_TDP_W


def device_hint(name: object) -> str:
    """The nearest device of the table, else some of them."""
    close = difflib.get_close_matches(name.lower(), GPU_TDP_W, 1) if isinstance(name, str) else []
    return f"did you mean {close[0]!r}?" if close else f"such as {', '.join(list(GPU_TDP_W)[:3])}"
