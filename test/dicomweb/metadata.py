# SPDX-License-Identifier: AGPL-3.0-or-later
"""Compares the metadata, frames and bulk data of instances with what dcm2json and pydicom make of their files."""

import base64
import json
import os
import struct
import subprocess
import warnings

import numpy as np
import pydicom
import requests
from checks import ae_title, check, token, told, url
from pydicom.encaps import generate_frames

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.simplefilter("ignore")
session = requests.Session()
session.headers["Authorization"] = f"Token {token}"
files = sorted(os.path.join(told["files"], name) for name in os.listdir(told["files"]))
binary = ("OB", "OW", "OD", "OF", "OL", "OV", "UN")


def place(data):
    uids = data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID
    return f"{url}/dicom-web/{ae_title}/studies/{{}}/series/{{}}/instances/{{}}".format(*uids)


def get(at, accept):
    answer = session.get(at, headers={"Accept": accept})
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text[:200]}"
    return answer


def number(value):
    """Numbers are equal if they are written in another way; what is no number stays."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def bytes_of(element, following):
    """The value of a binary element; None: it isn't here."""
    if "InlineBinary" in element:
        return base64.b64decode(element["InlineBinary"])
    if "BulkDataURI" in element and following:
        return get(element["BulkDataURI"], "*/*").content
    return None


def form(row, following=False):
    """Brings a data set into one form. What may be written in several ways is written in one."""
    out = {}
    for tag, element in row.items():
        vr = element["vr"]
        if tag in ("00080005", "00083002", "7FE00010", "7FE00008", "7FE00009") or tag.endswith("0000"):
            # The character set is UTF-8 in JSON whatever it was. AvailableTransferSyntaxUID is no attribute of the
            # instance. Pixel data is looked at apart, and group lengths are retired.
            continue
        if vr == "FL":  # of 32 bits: the shortest text that stands for it is not that of 64 bits
            out[tag] = [struct.unpack("<f", struct.pack("<f", v))[0] for v in element.get("Value", [])]
            continue
        if vr in binary:
            out[tag] = bytes_of(element, following)
            continue
        values = element.get("Value", [])
        if vr == "SQ":
            values = [form(item or {}, following) for item in values]
        elif vr == "PN":  # dcm2json writes a name without a letter as none
            values = [{k: v for k, v in (value or {}).items() if v.strip("^")} for value in values]
        elif vr in ("IS", "DS", "FD", "US", "SS", "UL", "SL", "SV", "UV"):
            values = [number(value) for value in values]  # dcm2json writes IS and DS as strings
        else:
            values = [value.rstrip(" \0") if isinstance(value, str) else value for value in values]
        while values and values[-1] in ("", None, {}) and vr != "SQ":
            values.pop()  # nothing is empty, and null, and left out
        out[tag] = [value if value not in ("", {}) or vr == "SQ" else None for value in values]
    return out


def different(got, want, path=""):
    """Where two data sets differ."""
    for tag in sorted(got.keys() | want.keys()):
        at = f"{path}/{tag}"
        if tag not in got or tag not in want:
            if (got.get(tag) or want.get(tag)) not in (None, [], b""):
                yield f"{at}: {'is missing' if tag not in got else 'is too much'}"
            continue
        a, b = got[tag], want[tag]
        if isinstance(a, list) and a and isinstance(a[0], dict) and isinstance(b, list) and len(a) == len(b):
            for n, (x, y) in enumerate(zip(a, b)):
                yield from different(x, y, f"{at}[{n}]")
        elif (a or None) != (b or None):
            yield f"{at}: {str(a)[:80]!r} and not {str(b)[:80]!r}"


# What ADIT gives otherwise, with the reason. An entry is the file or "*", and the tag.
known = {
    ("*", "FFFCFFFC"): "Data Set Trailing Padding says nothing. ADIT reads metadata up to the pixel data.",
    ("rtdose_rle.dcm", "300C0002"): "It is stored as UN, and stays so. pydicom makes it the sequence of its dictionary.",
    ("rtdose_rle_1frame.dcm", "300C0002"): "As above.",
}
seen = set()


def compared(want_of, at_least):
    wrong, count = [], 0
    for file in files:
        name = os.path.basename(file).partition("-")[2]
        data = pydicom.dcmread(file)
        answer = session.get(place(data) + "/metadata", headers={"Accept": "application/dicom+json"})
        if answer.status_code != 200:
            wrong.append(f"{name}: {answer.status_code} {answer.text[:300]}")
            continue
        row = answer.json()[0]
        assert all("vr" in element for element in row.values())
        want, without = want_of(file, data, row)
        if want is None:
            continue
        count += 1
        for one in different(form(row, True), form(want)):
            tag = one[1:9]
            if tag in without:
                continue
            entry = next((e for e in ((name, tag), ("*", tag)) if e in known), None)
            seen.add(entry)
            if entry is None:
                wrong.append(f"{name} {one}")
    assert not wrong, "\n".join([f"{len(wrong)} differences", *wrong[:60]])
    assert count >= at_least, f"only {count} were compared"


def as_dcm2json():
    def want(file, data, row):
        done = subprocess.run(["dcm2json", "-fc", file], capture_output=True)
        return (json.loads(done.stdout.decode("utf-8")) if done.returncode == 0 else None), ()

    compared(want, 30)  # it takes nothing that is compressed


def as_pydicom():
    def want(file, data, row):
        without, found = set(), {}
        for tag in row:
            # It knows many private attributes, of which implicit VR does not tell the VR.
            if int(tag[:4], 16) % 2 and row[tag]["vr"] == "UN":
                without.add(tag)
        for tag in data.keys():
            name = f"{tag:08X}"
            try:
                element = data[tag]
                found[name] = element.to_json_dict(None, 1 << 40)
            except Exception:
                without.add(name)  # it can't write what is wrong
        return found, without

    compared(want, 60)


def frames():
    compared_frames, within = 0, 0
    kinds = set()
    for file in files:
        data = pydicom.dcmread(file)
        name = next((n for n in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if n in data), None)
        if name is None or not data.get("Rows"):
            continue
        value = data[name].value
        count = data.get("NumberOfFrames") or 1
        if not isinstance(count, int):
            continue
        if data.file_meta.TransferSyntaxUID.is_encapsulated:
            want = list(generate_frames(value, number_of_frames=count))
        else:
            bits = data.Rows * data.Columns * data.get("SamplesPerPixel", 1) * data.BitsAllocated
            if data.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.2":  # given in little endian
                width = data.BitsAllocated // 8 or (2 if data[name].VR == "OW" else 1)
                value = np.frombuffer(value, f">u{width}").astype(f"<u{width}").tobytes()
            if data.BitsAllocated == 1 and count > 1 and bits % 8:  # frames begin within a byte
                within += 1
                bit = "".join(f"{byte:08b}"[::-1] for byte in value)
                want = [bit[n * bits : (n + 1) * bits] for n in range(count)]
                want = [bytes(int(f[at : at + 8][::-1], 2) for at in range(0, bits, 8)) for f in want]
            else:
                size = (bits + 7) // 8
                want = [value[n * size : (n + 1) * size] for n in range(count)]
        for n, frame in enumerate(want, 1):
            answer = session.get(
                f"{place(data)}/frames/{n}",
                headers={"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'},
            )
            assert answer.status_code == 200, f"{file} {data.file_meta.TransferSyntaxUID}: {answer.text[:200]}"
            boundary = b"\r\n--" + answer.headers["Content-Type"].split("boundary=")[1].strip('"').encode()
            part = (b"\r\n" + answer.content).split(boundary)[1].split(b"\r\n\r\n", 1)[1]
            assert part == frame, f"{file}: frame {n} has {len(part)} bytes and not {len(frame)}"
            compared_frames += 1
            kinds.add(name)
    assert compared_frames > 50 and within and len(kinds) == 3, f"{compared_frames}, {within} within a byte, {kinds}"


def known_differences():
    assert seen == known.keys(), f"is equal now: {known.keys() - seen}"


check(as_dcm2json, as_pydicom, known_differences, frames)
