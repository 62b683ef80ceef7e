# SPDX-License-Identifier: AGPL-3.0-or-later
"""Searches and retrieves through ADIT with dicomweb-client, under the paths of the standard."""

from checks import ae_title, check, held, same, token, tree, url
from dicomweb_client import DICOMwebClient
from pydicom import Dataset
from pydicom.encaps import generate_frames

client = DICOMwebClient(f"{url}/dicom-web/{ae_title}", headers={"Authorization": f"Bearer {token}"})
stored = held()
studies = tree(stored.values())
images = sorted((d.StudyInstanceUID, d.SeriesInstanceUID, d.SOPInstanceUID) for d in stored.values())


def of(*uids):
    return [d for d in stored.values() if (d.StudyInstanceUID, d.SeriesInstanceUID, d.SOPInstanceUID)[: len(uids)] == uids]


def search():
    patients = sorted({d.PatientID for d in stored.values()})
    found = client.search_for_studies(search_filters={"PatientID": "*"}, get_remaining=True, limit=1)
    assert {Dataset.from_json(s).StudyInstanceUID for s in found} >= set(studies), "pages are no list"
    one = client.search_for_studies(search_filters={"PatientID": patients[0]}, fields=["StudyDescription"])
    assert {Dataset.from_json(s).PatientID for s in one} == {patients[0]}
    for wanted in {d.Modality for d in stored.values()}:  # which dcmqrscp does not know of studies
        found = client.search_for_studies(search_filters={"PatientID": "PHANTOM-*", "ModalitiesInStudy": wanted})
        assert {Dataset.from_json(s).StudyInstanceUID for s in found} == {
            d.StudyInstanceUID for d in stored.values() if d.Modality == wanted
        }, wanted
    for study, series in studies.items():
        rows = client.search_for_series(study, search_filters={"Modality": of(study)[0].Modality})
        assert rows and {Dataset.from_json(s).SeriesInstanceUID for s in rows} <= set(series)
        rows = client.search_for_instances(study)
        assert {Dataset.from_json(i).SOPInstanceUID for i in rows} == {d.SOPInstanceUID for d in of(study)}


def retrieve():
    for study, series in studies.items():
        same(client.retrieve_study(study), of(study))
        same(list(client.iter_study(study)), of(study))
        for one in series:
            same(client.retrieve_series(study, one), of(study, one))
            same(list(client.iter_series(study, one)), of(study, one))
    for uids in images:
        same([client.retrieve_instance(*uids)], of(*uids))


def metadata():
    for study, series in studies.items():
        assert len(client.retrieve_study_metadata(study)) == len(of(study))
        for one in series:
            assert len(client.retrieve_series_metadata(study, one)) == len(of(study, one))
    for uids in images:
        assert Dataset.from_json(client.retrieve_instance_metadata(*uids), lambda *_: b"").SOPInstanceUID == uids[2]


def frames_of(data):
    count = int(data.get("NumberOfFrames", 1))
    if data.file_meta.TransferSyntaxUID.is_encapsulated:
        return list(generate_frames(data.PixelData, number_of_frames=count))
    size = data.Rows * data.Columns * data.SamplesPerPixel * data.BitsAllocated // 8
    return [data.PixelData[n * size : (n + 1) * size] for n in range(count)]


def frames():
    for uids in images:
        data = of(*uids)[0]
        if "PixelData" not in data:
            continue
        want = frames_of(data)
        numbers = list(range(1, len(want) + 1))
        assert client.retrieve_instance_frames(*uids, numbers) == want
        assert list(client.iter_instance_frames(*uids, numbers[::-1])) == want[::-1]


def bulkdata():
    for uids in images:
        data = of(*uids)[0]
        row = client.retrieve_instance_metadata(*uids)
        at = row.get("7FE00010", {}).get("BulkDataURI")
        assert (at is None) == ("PixelData" not in data)
        if at is None:
            continue
        got = list(client.retrieve_bulkdata(at))
        assert list(client.iter_bulkdata(at)) == got
        if data.file_meta.TransferSyntaxUID.is_encapsulated:
            assert got == frames_of(data)
        else:
            assert got == [data.PixelData]


check(search, retrieve, metadata, frames, bulkdata)
