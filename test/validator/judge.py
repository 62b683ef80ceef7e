# SPDX-License-Identifier: AGPL-3.0-or-later
"""Holds DICOM files against PS3.3 by dicom-validator, and shows kinds of errors that only the second folder has.

    python3 -m venv V
    V/bin/pip install dicom-validator==0.9.0
    V/bin/pip download --no-deps dicom-standard==0.1.0
    unzip dicom_standard-0.1.0-py3-none-any.whl -d S
    V/bin/python judge.py S/dicom_standard-0.1.0.data/data/standard ORIGINALS OUTPUTS

dicom-validator downloads the standard; dicom-standard has an edition of 2020 as JSON, which is made here into the tables that the other wants.
A kind is a class, a module, an attribute with the sequences around it, and what is wrong with it. Exits with 1 if there are new ones.
See docs/decisions/0031.
"""

import collections
import html
import json
import logging
import pathlib
import re
import sys
import warnings

import pydicom
from dicom_validator.spec_reader.condition import ConditionType
from dicom_validator.spec_reader.condition_parser import ConditionParser
from dicom_validator.spec_reader.serializer import DefinitionEncoder
from dicom_validator.validator.dicom_info import DicomInfo
from dicom_validator.validator.iod_validator import IODValidator

FUNCTIONAL_GROUPS = "macro "  # before the names of macros, among those of modules


def tables(folder):
    load = lambda name: json.loads((pathlib.Path(folder) / (name + ".json")).read_text())
    dictionary = {
        a["tag"]: {"name": a["name"], "vr": a["valueRepresentation"].replace(" or ", "/"), "vm": a["valueMultiplicity"], "prop": ""} for a in load("attributes")
    }
    parser, parsed = ConditionParser(dictionary), {}

    def condition(text):
        if text not in parsed:
            parsed[text] = parser.parse(text)
        return parsed[text]

    def entry(items, tag):
        return items.setdefault(tag, {"name": dictionary.get(tag, {}).get("name", tag), "type": "3"})

    modules = {}

    def attributes(rows, key, prefix):
        for row in rows:
            if "x" in row["path"].split(":", 1)[1].lower():  # repeating groups
                continue
            *around, last = [f"({t[:4]},{t[4:]})".upper() for t in row["path"].split(":")[1:]]
            items = modules.setdefault(prefix + row[key], {})
            for tag in around:
                items = entry(items, tag).setdefault("items", {})
            e = entry(items, last)
            e["type"] = row["type"] if row["type"] in ("1", "1C", "2", "2C") else "3"
            if e["type"] in ("1C", "2C", "3"):
                c = condition(re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", row["description"]))).strip())
                if c.type != ConditionType.UserDefined:
                    e["cond"] = c

    attributes(load("module_to_attributes"), "moduleId", "")
    attributes(load("macro_to_attributes"), "macroId", FUNCTIONAL_GROUPS)
    classes = {c["name"]: c["id"] for c in load("ciods")}
    iods = {s["id"]: {"title": s["ciod"] + " IOD", "id": classes.get(s["ciod"]), "modules": {}, "group_macros": {}} for s in load("sops")}

    def members(rows, key, into, prefix):
        for row in rows:
            ref = prefix + row[key]
            modules.setdefault(ref, {})
            e = {"ref": ref, "use": row["usage"]}
            if row["usage"] == "C":
                e["use"] = "C - " + (row["conditionalStatement"] or "")
                e["cond"] = condition(e["use"])
            for iod in iods.values():
                if iod["id"] == row["ciodId"]:
                    iod[into][row[key]] = e

    members(load("ciod_to_modules"), "moduleId", "modules", "")
    members(load("ciod_to_fg_macros"), "macroId", "group_macros", FUNCTIONAL_GROUPS)
    return DicomInfo(*(json.loads(json.dumps(t, cls=DefinitionEncoder)) for t in (dictionary, iods, modules)))


class Silent:
    def __getattr__(self, _):
        return lambda *args: None


def kinds(info, folder):
    found, files = collections.Counter(), 0
    for path in sorted(pathlib.Path(folder).rglob("*")):
        try:
            ds = pydicom.dcmread(path)
            result = IODValidator(ds, info, error_handler=Silent()).validate()
        except (pydicom.errors.InvalidDicomError, IsADirectoryError):
            continue
        except Exception as error:  # of files that are broken on purpose
            print(f"{path} could not be judged: {type(error).__name__}", file=sys.stderr)
            continue
        files += 1
        for module, errors in result.module_errors.items():
            for tag, error in errors.items():
                found[(pydicom.uid.UID(ds.get("SOPClassUID", "")).name, module, str(tag), error.code.name)] += 1
    return found, files


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    info = tables(sys.argv[1])
    (before, read), (after, written) = kinds(info, sys.argv[2]), kinds(info, sys.argv[3])
    print(f"{read} originals with {len(before)} kinds of errors, {written} outputs with {len(after)}")
    new = sorted(set(after) - set(before))
    for kind in new:
        print("new:", *kind, f"({after[kind]})")
    sys.exit(1 if new else 0)


main()
