# SPDX-License-Identifier: AGPL-3.0-or-later
"""Prints keys.json: what derives from a project's key, by the layout in DESIGN.md alone.

python3 keys.py > keys.json, once. Never again with another result: objects that were sent carry these values.
"""

import hashlib
import hmac
import json

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def derive(key, label, text, generation=0):
    message = generation.to_bytes(4, "big") + label.encode("ascii") + b"\0" + text.encode("utf-8")
    return hmac.new(key, message, hashlib.sha256).digest()


def token(mac):
    n, out = int.from_bytes(mac[:16], "big"), ""
    for _ in range(14):
        n, digit = divmod(n, 36)
        out += ALPHABET[digit]
    return out


def uid(key, generation, original):
    b = bytearray(derive(key, "uid", original, generation)[:16])
    b[6] = b[6] & 0x0F | 0x80
    b[8] = b[8] & 0x3F | 0x80
    return "2.25." + str(int.from_bytes(b, "big"))


def of_patient(key):
    return {
        "patientKey": key.hex(),
        "dateOffset": int.from_bytes(derive(key, "date", "")[:8], "big") % 669 - 730,
        "uids": [
            {"generation": g, "uid": original, "becomes": uid(key, g, original)}
            for original in ("1.2.3.3", "1.2.840.10008.1.2.3.4", "2.25.329800735698586629295641978511506172918")
            for g in (0, 1, 2, 4294967295)
        ],
        "values": [{"text": text, "becomes": token(derive(key, "value", text))} for text in ("A-99", "Städtisches Klinikum", "幻影")],
    }


def patient(key, patient_id, issuer, study):
    stripped = patient_id.strip(" \0")
    identity = stripped + "\x1f" + issuer.strip(" \0") if stripped else "\x1f\x1f" + study
    return {
        "projectKey": key.hex(), "patientID": patient_id, "issuer": issuer, "studyInstanceUID": study, "identity": identity,
        "pseudonym": token(derive(key, "pseudonym", identity)),
        **of_patient(derive(key, "patient", identity)),
    }


def upload(key, pseudonym):
    return {"projectKey": key.hex(), "pseudonym": pseudonym, **of_patient(derive(key, "upload", pseudonym))}


KEYS = bytes(range(1, 33)), bytes(range(255, 223, -1))

print(json.dumps({
    "patients": [
        patient(key, *who) for key in KEYS for who in (
            ("P-4711", "HOSP", "1.2.3.1"),
            ("P-4711", "", "1.2.3.1"),
            (" P-4711 ", " HOSP\0", "1.2.3.2"),
            ("Müller 7", "Klinikum Süd", "1.2.3.1"),
            ("幻影-1", "", "1.2.3.1"),
            ("", "HOSP", "1.2.3.1"),
            ("  ", "", "1.2.3.2"),
        )
    ],
    "uploads": [upload(key, pseudonym) for key in KEYS for pseudonym in ("S1", "SUBJ-001", "Größe 7", "P-4711")],
}, indent=1, ensure_ascii=False))
