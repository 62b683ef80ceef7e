// SPDX-License-Identifier: AGPL-3.0-or-later

package main

// laterUIDs were registered after the edition that the source holds (PS3.6 2022a). Scanners and PACS
// already send them, and a storage class that is not listed is not proposed.
//
// Each was checked against PS3.6 table A-1 as pydicom 3 carries it (src/pydicom/_uid_dict.py). Six are newer than that:
// the CT classes "For Processing", the waveform presentation states and Ultrasound Waveform. For them at least two
// other registries made from PS3.6 2026 agree.
var laterUIDs = []uidRow{
	{uid: "1.2.840.10008.1.2.4.100.1", name: "Fragmentable MPEG2 Main Profile / Main Level", kind: "Transfer Syntax", keyword: "MPEG2MPMLF"},
	{uid: "1.2.840.10008.1.2.4.101.1", name: "Fragmentable MPEG2 Main Profile / High Level", kind: "Transfer Syntax", keyword: "MPEG2MPHLF"},
	{uid: "1.2.840.10008.1.2.4.102.1", name: "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", kind: "Transfer Syntax", keyword: "MPEG4HP41F"},
	{uid: "1.2.840.10008.1.2.4.103.1", name: "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", kind: "Transfer Syntax", keyword: "MPEG4HP41BDF"},
	{uid: "1.2.840.10008.1.2.4.104.1", name: "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", kind: "Transfer Syntax", keyword: "MPEG4HP422DF"},
	{uid: "1.2.840.10008.1.2.4.105.1", name: "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", kind: "Transfer Syntax", keyword: "MPEG4HP423DF"},
	{uid: "1.2.840.10008.1.2.4.106.1", name: "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", kind: "Transfer Syntax", keyword: "MPEG4HP42STEREOF"},
	{uid: "1.2.840.10008.1.2.4.110", name: "JPEG XL Lossless", kind: "Transfer Syntax", keyword: "JPEGXLLossless"},
	{uid: "1.2.840.10008.1.2.4.111", name: "JPEG XL JPEG Recompression", kind: "Transfer Syntax", keyword: "JPEGXLJPEGRecompression"},
	{uid: "1.2.840.10008.1.2.4.112", name: "JPEG XL", kind: "Transfer Syntax", keyword: "JPEGXL"},
	{uid: "1.2.840.10008.1.2.4.201", name: "High-Throughput JPEG 2000 Image Compression (Lossless Only)", kind: "Transfer Syntax", keyword: "HTJ2KLossless"},
	{uid: "1.2.840.10008.1.2.4.202", name: "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)", kind: "Transfer Syntax", keyword: "HTJ2KLosslessRPCL"},
	{uid: "1.2.840.10008.1.2.4.203", name: "High-Throughput JPEG 2000 Image Compression", kind: "Transfer Syntax", keyword: "HTJ2K"},
	{uid: "1.2.840.10008.1.2.4.204", name: "JPIP HTJ2K Referenced", kind: "Transfer Syntax", keyword: "JPIPHTJ2KReferenced"},
	{uid: "1.2.840.10008.1.2.4.205", name: "JPIP HTJ2K Referenced Deflate", kind: "Transfer Syntax", keyword: "JPIPHTJ2KReferencedDeflate"},
	{uid: "1.2.840.10008.1.2.8.1", name: "Deflated Image Frame Compression", kind: "Transfer Syntax", keyword: "DeflatedImageFrameCompression"},

	{uid: "1.2.840.10008.5.1.4.1.1.2.3", name: "CT Image Storage - For Processing", kind: "SOP Class", keyword: "CTImageStorageForProcessing"},
	{uid: "1.2.840.10008.5.1.4.1.1.2.4", name: "Enhanced CT Image Storage - For Processing", kind: "SOP Class", keyword: "EnhancedCTImageStorageForProcessing"},
	{uid: "1.2.840.10008.5.1.4.1.1.2.5", name: "Legacy Converted Enhanced CT Image Storage - For Processing", kind: "SOP Class", keyword: "LegacyConvertedEnhancedCTImageStorageForProcessing"},
	{uid: "1.2.840.10008.5.1.4.1.1.6.3", name: "Photoacoustic Image Storage", kind: "SOP Class", keyword: "PhotoacousticImageStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.9.1.4", name: "General 32-bit ECG Waveform Storage", kind: "SOP Class", keyword: "General32bitECGWaveformStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.9.100.1", name: "Waveform Presentation State Storage", kind: "SOP Class", keyword: "WaveformPresentationStateStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.9.100.2", name: "Waveform Acquisition Presentation State Storage", kind: "SOP Class", keyword: "WaveformAcquisitionPresentationStateStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.11.12", name: "Variable Modality LUT Softcopy Presentation State Storage", kind: "SOP Class", keyword: "VariableModalityLUTSoftcopyPresentationStateStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.66.7", name: "Label Map Segmentation Storage", kind: "SOP Class", keyword: "LabelMapSegmentationStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.66.8", name: "Height Map Segmentation Storage", kind: "SOP Class", keyword: "HeightMapSegmentationStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.77.1.8", name: "Confocal Microscopy Image Storage", kind: "SOP Class", keyword: "ConfocalMicroscopyImageStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.77.1.9", name: "Confocal Microscopy Tiled Pyramidal Image Storage", kind: "SOP Class", keyword: "ConfocalMicroscopyTiledPyramidalImageStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.88.77", name: "Waveform Annotation SR Storage", kind: "SOP Class", keyword: "WaveformAnnotationSRStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.201.1", name: "Inventory Storage", kind: "SOP Class", keyword: "InventoryStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.201.1.1", name: "Storage Management SOP Instance", kind: "Well-known SOP Instance", keyword: "StorageManagementInstance"},
	{uid: "1.2.840.10008.5.1.4.1.1.201.2", name: "Inventory - FIND", kind: "SOP Class", keyword: "InventoryFind"},
	{uid: "1.2.840.10008.5.1.4.1.1.201.3", name: "Inventory - MOVE", kind: "SOP Class", keyword: "InventoryMove"},
	{uid: "1.2.840.10008.5.1.4.1.1.201.4", name: "Inventory - GET", kind: "SOP Class", keyword: "InventoryGet"},
	{uid: "1.2.840.10008.5.1.4.1.1.201.5", name: "Inventory Creation", kind: "SOP Class", keyword: "InventoryCreation"},
	{uid: "1.2.840.10008.5.1.4.1.1.201.6", name: "Repository Query", kind: "SOP Class", keyword: "RepositoryQuery"},
	{uid: "1.2.840.10008.5.1.4.1.1.481.23", name: "Enhanced RT Image Storage", kind: "SOP Class", keyword: "EnhancedRTImageStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.481.24", name: "Enhanced Continuous RT Image Storage", kind: "SOP Class", keyword: "EnhancedContinuousRTImageStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.481.25", name: "RT Patient Position Acquisition Instruction Storage", kind: "SOP Class", keyword: "RTPatientPositionAcquisitionInstructionStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.601.3", name: "Thermography Image Storage", kind: "SOP Class", keyword: "ThermographyImageStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.601.4", name: "Thermography Multi-frame Image Storage", kind: "SOP Class", keyword: "ThermographyMultiFrameImageStorage"},
	{uid: "1.2.840.10008.5.1.4.1.1.601.5", name: "Ultrasound Waveform Storage", kind: "SOP Class", keyword: "UltrasoundWaveformStorage"},
}
