# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the programs of the tests share: what to do, what the server holds, and the list of checks."""

import hashlib
import json
import os
import sys
import traceback
import warnings
from io import BytesIO

import pydicom

warnings.filterwarnings("ignore", message="No bulk data URI handler")
told = json.load(sys.stdin)
url, token, ae_title = told["url"], told["token"], told["ae_title"]


def held():
    """The data sets of the server, by SOP Instance UID."""
    found = {}
    for name in os.listdir(told["files"]):
        data = pydicom.dcmread(os.path.join(told["files"], name))
        found[data.SOPInstanceUID] = data
    return found


def tree(sets):
    """SOP Instance UIDs by study and series."""
    found = {}
    for data in sets:
        series = found.setdefault(data.StudyInstanceUID, {}).setdefault(data.SeriesInstanceUID, set())
        series.add(data.SOPInstanceUID)
    return found


def pixels(data):
    """The sum of the pixel data of an instance."""
    return hashlib.sha256(data.PixelData).hexdigest() if "PixelData" in data else None


def same(got, want):
    """Says in which data set something differs from what the server holds."""
    assert sorted(d.SOPInstanceUID for d in got) == sorted(d.SOPInstanceUID for d in want), (
        f"{len(got)} instances, not {len(want)}"
    )
    by_uid = {d.SOPInstanceUID: d for d in want}
    for data in got:
        stored = by_uid[data.SOPInstanceUID]
        assert pixels(data) == pixels(stored), "pixel data differs"
        syntax = data.file_meta.TransferSyntaxUID
        if syntax == stored.file_meta.TransferSyntaxUID:
            for element in stored:
                assert data[element.tag] == element, f"{element.tag} differs"


def refused(status, call):
    """Asserts that a call is refused with a status."""
    try:
        result = call()
        if not isinstance(result, (list, dict, pydicom.Dataset)):
            list(result)
    except Exception as error:
        response = getattr(error, "response", None)
        assert response is not None, f"{error!r} is no answer"
        assert response.status_code == status, f"{response.status_code}: {response.text[:200]}"
        return
    raise AssertionError(f"is not refused, and should be with {status}")


def check(*checks):
    """Runs functions, and tells which of them failed how."""
    failed = False
    for one in checks:
        try:
            one()
        except Exception as error:
            failed = True
            mine = [f for f in traceback.extract_tb(error.__traceback__) if os.path.dirname(f.filename) == os.getcwd()]
            print(f"{one.__name__}: {type(error).__name__}: {error}", *traceback.format_list(mine[1:]), sep="\n", file=sys.stderr)
    if failed:
        sys.exit(1)
    json.dump([one.__name__ for one in checks], sys.stdout)


__all__ = ["BytesIO", "ae_title", "check", "held", "pixels", "refused", "same", "token", "told", "tree", "url"]
