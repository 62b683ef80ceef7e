# SPDX-License-Identifier: AGPL-3.0-or-later
"""Writes instances that pydicom's files lack into a folder: pixel data of floating point, and frames of one bit that
begin within a byte."""

import os
import sys

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

rows, columns, frames = 5, 7, 3
rng = np.random.default_rng(4715)


def write(number, name, sop_class, bits, value):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = f"2.25.4715.3.{number}"
    data = FileDataset(name, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = f"2.25.4715.1.{number}", f"2.25.4715.2.{number}"
    data.PatientID, data.PatientName, data.Modality = "PHANTOM-900", "Phantom^Made", "OT"
    data.StudyDate, data.StudyTime, data.StudyID = "20240101", "120000", ""
    data.AccessionNumber = data.ReferringPhysicianName = data.PatientBirthDate = data.PatientSex = ""
    data.SeriesNumber, data.InstanceNumber = 1, 1
    data.Rows, data.Columns, data.NumberOfFrames = rows, columns, frames
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = bits
    if bits < 32:
        data.BitsStored, data.HighBit, data.PixelRepresentation = bits, bits - 1, 0
    setattr(data, name, value)
    if name == "PixelData":
        data[name].VR = "OB"
    data.save_as(os.path.join(sys.argv[1], f"made-{number}.dcm"), enforce_file_format=True)


numbers = rng.normal(size=rows * columns * frames)
write(1, "FloatPixelData", "1.2.840.10008.5.1.4.1.1.30", 32, numbers.astype("<f4").tobytes())
write(2, "DoubleFloatPixelData", "1.2.840.10008.5.1.4.1.1.30", 64, numbers.astype("<f8").tobytes())
bits = np.packbits(rng.integers(0, 2, rows * columns * frames, dtype=np.uint8), bitorder="little").tobytes()
write(3, "PixelData", "1.2.840.10008.5.1.4.1.1.66.4", 1, bits + b"\0" * (len(bits) % 2))
