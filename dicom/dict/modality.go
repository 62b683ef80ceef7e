// SPDX-License-Identifier: AGPL-3.0-or-later

package dict

import (
	"slices"
	"strings"
)

// byModality lists, per value of Modality (0008,0060), the storage SOP classes that its series hold in practice.
var byModality = map[string][]string{
	"CR": {ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation, DigitalXRayImageStorageForProcessing},
	"DX": {DigitalXRayImageStorageForPresentation, DigitalXRayImageStorageForProcessing, ComputedRadiographyImageStorage},
	"MG": {
		DigitalMammographyXRayImageStorageForPresentation, DigitalMammographyXRayImageStorageForProcessing,
		BreastTomosynthesisImageStorage, BreastProjectionXRayImageStorageForPresentation,
		BreastProjectionXRayImageStorageForProcessing,
		ComputedRadiographyImageStorage, CTImageStorage,
		DigitalXRayImageStorageForPresentation, MammographyCADSRStorage,
	},
	"IO": {DigitalIntraOralXRayImageStorageForPresentation, DigitalIntraOralXRayImageStorageForProcessing, DigitalXRayImageStorageForPresentation},
	"PX": {DigitalXRayImageStorageForPresentation, DigitalXRayImageStorageForProcessing, ComputedRadiographyImageStorage},
	"CT": {
		CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage, XRay3DAngiographicImageStorage,
		XRay3DCraniofacialImageStorage, CTDefinedProcedureProtocolStorage, CTPerformedProcedureProtocolStorage,
	},
	"MR": {
		MRImageStorage, EnhancedMRImageStorage, EnhancedMRColorImageStorage, LegacyConvertedEnhancedMRImageStorage,
		MRSpectroscopyStorage, TractographyResultsStorage, ParametricMapStorage,
	},
	"US": {
		UltrasoundImageStorage, UltrasoundMultiFrameImageStorage, EnhancedUSVolumeStorage,
		UltrasoundImageStorageRetired, UltrasoundMultiFrameImageStorageRetired, SimplifiedAdultEchoSRStorage,
	},
	"IVUS": {UltrasoundMultiFrameImageStorage, UltrasoundImageStorage},
	"BDUS": {UltrasoundImageStorage, UltrasoundMultiFrameImageStorage},
	"NM":   {NuclearMedicineImageStorage, NuclearMedicineImageStorageRetired},
	"PT":   {PositronEmissionTomographyImageStorage, EnhancedPETImageStorage, LegacyConvertedEnhancedPETImageStorage, StandalonePETCurveStorage},
	"XA": {
		XRayAngiographicImageStorage, EnhancedXAImageStorage,
		XRay3DAngiographicImageStorage, XRayAngiographicBiPlaneImageStorage,
		XRayRadiofluoroscopicImageStorage, XADefinedProcedureProtocolStorage, XAPerformedProcedureProtocolStorage,
	},
	"RF": {
		XRayRadiofluoroscopicImageStorage, EnhancedXRFImageStorage, XRayAngiographicImageStorage,
		DigitalXRayImageStorageForPresentation, ComputedRadiographyImageStorage,
	},
	"IVOCT":    {IntravascularOpticalCoherenceTomographyImageStorageForPresentation, IntravascularOpticalCoherenceTomographyImageStorageForProcessing},
	"BMD":      {DigitalXRayImageStorageForPresentation, ComputedRadiographyImageStorage},
	"RTIMAGE":  {RTImageStorage, EnhancedRTImageStorage, EnhancedContinuousRTImageStorage},
	"RTDOSE":   {RTDoseStorage},
	"RTSTRUCT": {RTStructureSetStorage},
	"RTPLAN":   {RTPlanStorage, RTIonPlanStorage},
	"RTRECORD": {RTBeamsTreatmentRecordStorage, RTBrachyTreatmentRecordStorage, RTTreatmentSummaryRecordStorage, RTIonBeamsTreatmentRecordStorage},
	"RTINTENT": {RTPhysicianIntentStorage},
	"RTSEGANN": {RTSegmentAnnotationStorage},
	"RTRAD":    {RTRadiationSetStorage, CArmPhotonElectronRadiationStorage, TomotherapeuticRadiationStorage, RoboticArmRadiationStorage},
	"PLAN":     {CTDefinedProcedureProtocolStorage, XADefinedProcedureProtocolStorage, RTPhysicianIntentStorage},
	"ECG":      {TwelveLeadECGWaveformStorage, GeneralECGWaveformStorage, AmbulatoryECGWaveformStorage, General32bitECGWaveformStorage},
	"HD":       {HemodynamicWaveformStorage},
	"EPS":      {CardiacElectrophysiologyWaveformStorage},
	"EEG":      {RoutineScalpElectroencephalogramWaveformStorage, SleepElectroencephalogramWaveformStorage},
	"EMG":      {ElectromyogramWaveformStorage},
	"EOG":      {ElectrooculogramWaveformStorage},
	"RESP":     {RespiratoryWaveformStorage, MultichannelRespiratoryWaveformStorage},
	"AU":       {BasicVoiceAudioWaveformStorage, GeneralAudioWaveformStorage, AudioSRStorageTrial},
	"ES":       {VLEndoscopicImageStorage, VideoEndoscopicImageStorage},
	"GM":       {VLMicroscopicImageStorage, VideoMicroscopicImageStorage, VLSlideCoordinatesMicroscopicImageStorage},
	"SM":       {VLWholeSlideMicroscopyImageStorage, VLSlideCoordinatesMicroscopicImageStorage, VLMicroscopicImageStorage},
	"CFM":      {ConfocalMicroscopyImageStorage, ConfocalMicroscopyTiledPyramidalImageStorage},
	"PA":       {PhotoacousticImageStorage},
	"XC":       {VLPhotographicImageStorage, VideoPhotographicImageStorage},
	"DMS":      {DermoscopicPhotographyImageStorage, VLPhotographicImageStorage},
	"OP": {
		OphthalmicPhotography8BitImageStorage, OphthalmicPhotography16BitImageStorage,
		WideFieldOphthalmicPhotographyStereographicProjectionImageStorage,
		WideFieldOphthalmicPhotography3DCoordinatesImageStorage,
		StereometricRelationshipStorage,
	},
	"OPT": {OphthalmicTomographyImageStorage, OphthalmicOpticalCoherenceTomographyEnFaceImageStorage, OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage},
	"OPM": {OphthalmicThicknessMapStorage, CornealTopographyMapStorage},
	"OPV": {OphthalmicVisualFieldStaticPerimetryMeasurementsStorage},
	"OAM": {OphthalmicAxialMeasurementsStorage},
	"IOL": {IntraocularLensCalculationsStorage},
	"LEN": {LensometryMeasurementsStorage},
	"AR":  {AutorefractionMeasurementsStorage},
	"KER": {KeratometryMeasurementsStorage},
	"SRF": {SubjectiveRefractionMeasurementsStorage},
	"VA":  {VisualAcuityMeasurementsStorage},
	"SR": {
		BasicTextSRStorage, EnhancedSRStorage, ComprehensiveSRStorage,
		Comprehensive3DSRStorage, ExtensibleSRStorage, ProcedureLogStorage,
		XRayRadiationDoseSRStorage, EnhancedXRayRadiationDoseSRStorage,
		RadiopharmaceuticalRadiationDoseSRStorage, PatientRadiationDoseSRStorage,
		MammographyCADSRStorage, ChestCADSRStorage, ColonCADSRStorage,
		ImplantationPlanSRStorage, AcquisitionContextSRStorage,
		SimplifiedAdultEchoSRStorage, PlannedImagingAgentAdministrationSRStorage,
		PerformedImagingAgentAdministrationSRStorage,
		KeyObjectSelectionDocumentStorage,
	},
	"KO": {KeyObjectSelectionDocumentStorage},
	"PR": {
		GrayscaleSoftcopyPresentationStateStorage, ColorSoftcopyPresentationStateStorage,
		PseudoColorSoftcopyPresentationStateStorage,
		BlendingSoftcopyPresentationStateStorage, XAXRFGrayscaleSoftcopyPresentationStateStorage,
		AdvancedBlendingPresentationStateStorage,
		GrayscalePlanarMPRVolumetricPresentationStateStorage, CompositingPlanarMPRVolumetricPresentationStateStorage,
		VolumeRenderingVolumetricPresentationStateStorage, SegmentedVolumeRenderingVolumetricPresentationStateStorage,
		MultipleVolumeRenderingVolumetricPresentationStateStorage,
	},
	"SEG":  {SegmentationStorage, SurfaceSegmentationStorage, LabelMapSegmentationStorage, HeightMapSegmentationStorage},
	"REG":  {SpatialRegistrationStorage, DeformableSpatialRegistrationStorage},
	"FID":  {SpatialFiducialsStorage},
	"RWV":  {RealWorldValueMappingStorage},
	"ANN":  {MicroscopyBulkSimpleAnnotationsStorage},
	"DOC":  {EncapsulatedPDFStorage, EncapsulatedCDAStorage},
	"M3D":  {EncapsulatedSTLStorage, EncapsulatedOBJStorage, EncapsulatedMTLStorage},
	"ASMT": {ContentAssessmentResultsStorage},
	"OT": {
		EncapsulatedPDFStorage, VLPhotographicImageStorage, VideoPhotographicImageStorage, ParametricMapStorage,
		ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation,
	},
}

// anyModality lists what turns up in series of every modality: screen shots, dose sheets, presentation states, raw
// data.
var anyModality = []string{
	SecondaryCaptureImageStorage, MultiFrameTrueColorSecondaryCaptureImageStorage,
	MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
	MultiFrameGrayscaleWordSecondaryCaptureImageStorage, MultiFrameSingleBitSecondaryCaptureImageStorage,
	GrayscaleSoftcopyPresentationStateStorage, RawDataStorage,
}

// StorageClassesOf lists the storage SOP classes that a series of the modality is likely to hold, the likeliest
// first. It serves where a PACS can't be asked at IMAGE level; an unknown modality gives those of any modality.
func StorageClassesOf(modality string) []string {
	list := slices.Clone(byModality[modality])
	for _, uid := range anyModality {
		if !slices.Contains(list, uid) {
			list = append(list, uid)
		}
	}
	return list
}

// IsClassOfModality reports whether a storage SOP class that is no image belongs to a modality by itself, as structured
// reports (SR) and presentation states (PR) do, whatever Modality (0008,0060) an instance of it has.
func IsClassOfModality(class, modality string) bool {
	if class == KeyObjectSelectionDocumentStorage { // listed with SR too, since it is stored in such series
		return modality == "KO"
	}
	return slices.Contains(byModality[modality], class) && !strings.Contains(UIDName(class), "Image")
}
