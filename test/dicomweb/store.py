# SPDX-License-Identifier: AGPL-3.0-or-later
"""Stores the files of a folder through ADIT with adit-client and dicomweb-client, and prints what each says of it."""

import json
import sys
from pathlib import Path

from adit_client import AditClient
from dicomweb_client import DICOMwebClient
from dicomweb_client.session_utils import create_session
from pydicom import dcmread

url, token, ae_title, folder, plain_title = sys.argv[1:]
images = [dcmread(path) for path in sorted(Path(folder).iterdir())]
bare = [dcmread(path) for path in sorted(Path(folder).iterdir())]
for image in bare:
    image.preamble = None


def counts(answer):
    return {
        "stored": len(answer.get("ReferencedSOPSequence") or []),
        "failed": len(answer.get("FailedSOPSequence") or []),
    }


client = AditClient(server_url=url, auth_token=token)
session = create_session()
session.headers["Authorization"] = f"Token {token}"
plain = DICOMwebClient(url=f"{url}/dicom-web/{plain_title}", session=session)
print(json.dumps({
    "one": counts(client.store_images(ae_title, images[:1])),
    "bare": counts(client.store_images(ae_title, bare[:1])),
    "all": counts(client.store_images(ae_title, images)),
    "none": counts(client.store_images(ae_title, [])),
    "plain": counts(plain.store_instances(images)),
    "study": counts(plain.store_instances(images, images[0].StudyInstanceUID)),
}))
