# SPDX-License-Identifier: AGPL-3.0-or-later
"""Searches and retrieves through ADIT with adit-client, as it is."""

from adit_client import AditClient
from checks import ae_title, check, held, pixels, refused, same, token, told, tree, url
from pydicom import Dataset

client = AditClient(server_url=url, auth_token=token)
poor = AditClient(server_url=url, auth_token=told["poor"])
stored = held()
studies = tree(stored.values())


def of(study, series=None, instance=None):
    return [
        d
        for d in stored.values()
        if d.StudyInstanceUID == study
        and series in (None, d.SeriesInstanceUID)
        and instance in (None, d.SOPInstanceUID)
    ]


def search():
    patients = {d.PatientID for d in stored.values()}
    found = [s for p in patients for s in client.search_for_studies(ae_title, {"PatientID": p})]
    assert {s.StudyInstanceUID for s in found} == set(studies)
    for study in found:
        want = studies[study.StudyInstanceUID]
        if ae_title == "QRSCP":  # Orthanc garbles the names of East Asia
            name = of(study.StudyInstanceUID)[0].PatientName.decode()
            assert str(study.PatientName) == str(name), f"{study.PatientName} and not {name}"
        count = study.get("NumberOfStudyRelatedInstances")  # which dcmqrscp does not tell
        assert count in (None, sum(map(len, want.values())))
        series = client.search_for_series(ae_title, study.StudyInstanceUID)
        assert {s.SeriesInstanceUID for s in series} == set(want)
        for one in series:
            images = client.search_for_images(ae_title, study.StudyInstanceUID, one.SeriesInstanceUID)
            assert {i.SOPInstanceUID for i in images} == want[one.SeriesInstanceUID]
    assert client.search_for_studies(ae_title, {"PatientID": "nobody"}) == []
    refused(404, lambda: client.search_for_studies("UNKNOWN", {"PatientID": "nobody"}))


def retrieve():
    for study, series in studies.items():
        same(client.retrieve_study(ae_title, study), of(study))
        same(list(client.iter_study(ae_title, study)), of(study))
        for one, images in series.items():
            same(client.retrieve_series(ae_title, study, one), of(study, one))
            same(list(client.iter_series(ae_title, study, one)), of(study, one))
            for image in images:
                same([client.retrieve_image(ae_title, study, one, image)], of(study, one, image))
    refused(404, lambda: client.retrieve_study(ae_title, "1.2.3"))


def metadata():
    def described(rows, want):
        assert {Dataset.from_json(r).SOPInstanceUID for r in rows} == {d.SOPInstanceUID for d in want}
        for row in rows:
            data = Dataset.from_json(row, lambda *_: b"")
            for element in of(data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID)[0]:
                if element.tag not in (0x00080005, 0x7FE00010):
                    assert data[element.tag].value == element.value, f"{element.tag} differs"

    for study, series in studies.items():
        described(client.retrieve_study_metadata(ae_title, study), of(study))
        for one, images in series.items():
            described(client.retrieve_series_metadata(ae_title, study, one), of(study, one))
            for image in images:
                row = client.retrieve_image_metadata(ae_title, study, one, image)
                described(row if isinstance(row, list) else [row], of(study, one, image))


def pseudonyms():
    named = AditClient(url, told["poor"], trial_protocol_id="TRIAL-1", trial_protocol_name="A trial")
    for study, series in studies.items():
        pseudonym = f"PERSON-{of(study)[0].PatientID[-1]}"
        # Reports are left out, and screen shots, in which anything may be written.
        left_out = [d for d in of(study) if d.Modality == "SR" or d.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"]
        want = [d for d in of(study) if d not in left_out]
        for d in left_out:
            uids = (ae_title, study, d.SeriesInstanceUID, d.SOPInstanceUID)
            refused(404, lambda: named.retrieve_image(*uids, pseudonym=pseudonym))
        if not want:
            refused(404, lambda: named.retrieve_study(ae_title, study, pseudonym=pseudonym))
            continue
        got = named.retrieve_study(ae_title, study, pseudonym=pseudonym)
        assert sorted(map(str, map(pixels, got))) == sorted(map(str, map(pixels, want))), "pixel data differs"
        apart = []
        for one in {d.SeriesInstanceUID for d in want}:
            apart += named.retrieve_series(ae_title, study, one, pseudonym=pseudonym)
            for image in series[one]:
                apart.append(named.retrieve_image(ae_title, study, one, image, pseudonym=pseudonym))
        for data in got + apart:
            assert (data.PatientID, data.PatientName) == (pseudonym, pseudonym)
            assert data.ClinicalTrialProtocolID == "TRIAL-1"
            assert data.ClinicalTrialProtocolName == "A trial"
        uids = {d.StudyInstanceUID for d in got + apart}
        assert len(uids) == 1 and uids.isdisjoint(studies), "one study has to stay one, and is called otherwise"
        assert {d.SOPInstanceUID for d in got} == {d.SOPInstanceUID for d in apart}
        rows = named.retrieve_study_metadata(ae_title, study, pseudonym=pseudonym)
        for row in rows + named.retrieve_series_metadata(ae_title, study, one, pseudonym=pseudonym):
            data = Dataset.from_json(row, lambda *_: b"")
            assert data.PatientID == pseudonym and data.StudyInstanceUID in uids
            assert data.ClinicalTrialProtocolID == "TRIAL-1"
        assert {Dataset.from_json(r, lambda *_: b"").SOPInstanceUID for r in rows} == {d.SOPInstanceUID for d in got}
    other = next(s for s in studies if of(s)[0].PatientID != of(study)[0].PatientID)
    refused(409, lambda: named.retrieve_study(ae_title, other, pseudonym=pseudonym))
    refused(400, lambda: poor.retrieve_study(ae_title, study, pseudonym="a*"))


def rights():
    study = next(iter(studies))
    series = next(iter(studies[study]))
    refused(403, lambda: poor.retrieve_study(ae_title, study))
    # They never send the pseudonym.
    refused(403, lambda: poor.iter_study(ae_title, study, pseudonym="PERSON-1"))
    refused(403, lambda: poor.iter_series(ae_title, study, series, pseudonym="PERSON-1"))
    refused(401, lambda: AditClient(url, "nonsense").retrieve_study(ae_title, study))


check(search, retrieve, metadata, pseudonyms, rights)
