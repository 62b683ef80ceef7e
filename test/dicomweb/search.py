# SPDX-License-Identifier: AGPL-3.0-or-later
"""Searches a server through ADIT with adit-client, and prints what it finds: study, series and image counts by level."""

import json
import sys

from adit_client import AditClient

url, token, ae_title, patient = sys.argv[1:]
client = AditClient(server_url=url, auth_token=token)
studies = client.search_for_studies(ae_title, {"PatientID": patient})
found = []
for study in studies:
    series = client.search_for_series(ae_title, study.StudyInstanceUID)
    images = [
        image
        for one in series
        for image in client.search_for_images(ae_title, study.StudyInstanceUID, one.SeriesInstanceUID)
    ]
    found.append({
        "study": study.StudyInstanceUID,
        "name": str(study.PatientName),
        "modalities": list(study.ModalitiesInStudy) if study.ModalitiesInStudy else [],
        "series": sorted(one.SeriesInstanceUID for one in series),
        "images": sorted(image.SOPInstanceUID for image in images),
    })
nothing = client.search_for_studies(ae_title, {"PatientID": "nobody"})
try:
    client.search_for_studies("UNKNOWN", {"PatientID": patient})
    unknown = 200
except Exception as error:
    unknown = error.response.status_code
print(json.dumps({"found": found, "nothing": len(nothing), "unknown": unknown}))
