"""Thermal design power of GPUs in watts, by device: a ceiling, not what they draw.

Written by tools/build_gpu_tdp.py: change that, then run it again. Names and watts are those of `data/gpus.csv` of ML CO2
Impact (https://github.com/mlco2/impact at d0d3ee5, MIT licence; Lacoste et al. 2019, arXiv:1910.09700), which takes them
from the makers' data sheets and techpowerup.com; rows that are known to be wrong are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GPU_TDP_W: Final[Mapping[str, float]] = {
    "a100-sxm4-80gb": 400,
    "a10g": 150,
    "agx-xavier": 30,
    "amd-rx480": 150,
    "gigabyte-gtx-1660-oc": 120,
    "gtx-1080": 180,
    "gtx-1080-ti": 250,
    "gtx-titan-x": 250,
    "h100-nvl": 400,
    "h100-sxm": 700,
    "l4": 72,
    "l40s": 350,
    "quadro-k6000": 225,
    "quadro-p6000": 250,
    "rtx-2080": 215,
    "rtx-2080-ti": 250,
    "rtx-3080": 320,
    "rtx-3080-ti": 350,
    "rtx-3090": 350,
    "rtx-4090": 450,
    "rtx-8000": 260,
    "rtx-a5000": 230,
    "rtx-a6000": 300,
    "t4": 70,
    "tesla-k40c": 245,
    "tesla-k80": 300,
    "tesla-m40-24gb": 250,
    "tesla-p100": 250,
    "tesla-p40": 250,
    "tesla-v100-sxm2-32gb": 300,
    "titan-rtx": 280,
    "titan-v": 250,
    "titan-x-pascal": 250,
    "titan-xp": 250,
}
