# SPDX-License-Identifier: AGPL-3.0-or-later
"""Prints the SHA-256 of each frame of the files named, as pydicom tells them apart: {path: [sum, ...]}."""
import hashlib
import json
import sys
import warnings

from pydicom import dcmread
from pydicom.encaps import generate_pixel_data_frame
from pydicom.pixel_data_handlers.util import get_expected_length

warnings.simplefilter("ignore")


def swapped(data, width):
    return b"".join(data[i : i + width][::-1] for i in range(0, len(data), width))


def frames(ds):
    count = int(ds.get("NumberOfFrames", 1) or 1)
    if ds.file_meta.TransferSyntaxUID.is_compressed and "PixelData" in ds and ds["PixelData"].is_undefined_length:
        yield from generate_pixel_data_frame(ds.PixelData, count)
        return
    keyword, bits = next(
        (k, b) for k, b in (("PixelData", ds.get("BitsAllocated", 0)), ("FloatPixelData", 32), ("DoubleFloatPixelData", 64)) if k in ds
    )
    data = ds[keyword].value
    width = bits // 8 if bits > 8 else 2 if ds[keyword].VR == "OW" else 1
    if ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.2":
        data = swapped(data, width)
    if bits == 1:
        size = ds.Rows * ds.Columns * ds.get("SamplesPerPixel", 1)
        whole = int.from_bytes(data, "little")
        for n in range(count):
            yield (whole >> n * size & (1 << size) - 1).to_bytes((size + 7) // 8, "little")
        return
    if keyword == "PixelData":
        size = get_expected_length(ds) // count
    else:
        size = ds.Rows * ds.Columns * width
    for n in range(count):
        yield data[n * size : (n + 1) * size]


out = {}
for path in json.load(sys.stdin):
    try:
        ds = dcmread(path)
        if any(k in ds for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
            out[path] = [hashlib.sha256(f).hexdigest() for f in frames(ds)]
        else:
            out[path] = []
    except Exception as e:
        out[path] = [type(e).__name__ + ": " + str(e)]
json.dump(out, sys.stdout)
