// SPDX-License-Identifier: AGPL-3.0-or-later

package pixels

import (
	"slices"

	"github.com/adit-go/adit/dicom/dict"
)

// TextIn says how likely text stands in the images of a SOP class.
type TextIn uint8

// How likely text stands in the images of a class.
const (
	textLikely   TextIn = iota // refused unless Burned In Annotation is exactly NO; so is a class that nobody judged
	textUnlikely               // the image is values that were measured or computed: text only where the instance says so
	noImage                    // the class has no pixel data; an instance of it that has some is treated as textLikely
	slide                      // textLikely, and its labels and overviews show what is written on glass
	Document                   // the instance encapsulates a document or model
)

// judgement is what was decided for SOP classes, and why.
type judgement struct {
	text    TextIn
	why     string
	classes []string
}

// judgements holds each storage SOP class of PS3.6 once (TestEveryClassIsJudged). A class that isn't here, of the
// standard or not, is taken for one whose images are likely to show text.
var judgements = []judgement{
	{textLikely, "captured from a screen, or scanned from paper or film", []string{
		dict.SecondaryCaptureImageStorage, dict.MultiFrameSingleBitSecondaryCaptureImageStorage,
		dict.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
		dict.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
		dict.MultiFrameTrueColorSecondaryCaptureImageStorage,
	}},
	{textLikely, "what was printed on a film, with the name in its corner", []string{
		dict.HardcopyGrayscaleImageStorage, dict.HardcopyColorImageStorage,
	}},
	{textLikely, "ultrasound devices write name, date and institution into the picture", []string{
		dict.UltrasoundImageStorage, dict.UltrasoundImageStorageRetired, dict.UltrasoundMultiFrameImageStorage,
		dict.UltrasoundMultiFrameImageStorageRetired, dict.EnhancedUSVolumeStorage, dict.PhotoacousticImageStorage,
	}},
	{textLikely, "cameras see labels, wristbands and papers, and endoscopes write into the picture", []string{
		dict.VLEndoscopicImageStorage, dict.VideoEndoscopicImageStorage, dict.VLPhotographicImageStorage,
		dict.VideoPhotographicImageStorage, dict.DermoscopicPhotographyImageStorage, dict.VLImageStorageTrial,
		dict.VLMultiFrameImageStorageTrial,
	}},
	{textLikely, "microscopes write into the picture, and may see the label", []string{
		dict.VLMicroscopicImageStorage, dict.VideoMicroscopicImageStorage, dict.ConfocalMicroscopyImageStorage,
	}},
	{slide, "a slide has a label, and an instance may be its picture", []string{
		dict.VLSlideCoordinatesMicroscopicImageStorage, dict.VLWholeSlideMicroscopyImageStorage,
		dict.ConfocalMicroscopyTiledPyramidalImageStorage,
	}},
	{textLikely, "ophthalmic devices print name and date beside the eye, and send maps as the printed page", []string{
		dict.OphthalmicPhotography8BitImageStorage, dict.OphthalmicPhotography16BitImageStorage,
		dict.WideFieldOphthalmicPhotographyStereographicProjectionImageStorage,
		dict.WideFieldOphthalmicPhotography3DCoordinatesImageStorage, dict.OphthalmicTomographyImageStorage,
		dict.OphthalmicOpticalCoherenceTomographyEnFaceImageStorage,
		dict.OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage, dict.OphthalmicThicknessMapStorage,
		dict.CornealTopographyMapStorage,
	}},
	{textLikely, "cameras of industry, whose pictures carry the device's text", []string{
		dict.ThermographyImageStorage, dict.ThermographyMultiFrameImageStorage, dict.EddyCurrentImageStorage,
		dict.EddyCurrentMultiFrameImageStorage,
	}},
	{textLikely, "a bitmap over an image, with whatever text a reader drew", []string{dict.StandaloneOverlayStorage}},

	{textUnlikely, "X-rays of a detector: letters of lead say the side", []string{
		dict.ComputedRadiographyImageStorage, dict.DigitalXRayImageStorageForPresentation,
		dict.DigitalXRayImageStorageForProcessing, dict.DigitalMammographyXRayImageStorageForPresentation,
		dict.DigitalMammographyXRayImageStorageForProcessing, dict.DigitalIntraOralXRayImageStorageForPresentation,
		dict.DigitalIntraOralXRayImageStorageForProcessing, dict.BreastTomosynthesisImageStorage,
		dict.BreastProjectionXRayImageStorageForPresentation, dict.BreastProjectionXRayImageStorageForProcessing,
		dict.DICOSDigitalXRayImageStorageForPresentation,
		dict.DICOSDigitalXRayImageStorageForProcessing, dict.DICOS2DAITStorage,
	}},
	{textUnlikely, "X-rays of an intensifier or detector; captured screens say so in their Image Type", []string{
		dict.XRayAngiographicImageStorage, dict.EnhancedXAImageStorage, dict.XRayRadiofluoroscopicImageStorage,
		dict.EnhancedXRFImageStorage, dict.XRayAngiographicBiPlaneImageStorage, dict.XRay3DAngiographicImageStorage,
		dict.XRay3DCraniofacialImageStorage,
	}},
	{textUnlikely, "slices and volumes that a scanner computed; captured screens say so in their Image Type", []string{
		dict.CTImageStorage, dict.EnhancedCTImageStorage, dict.LegacyConvertedEnhancedCTImageStorage,
		dict.CTImageStorageForProcessing, dict.EnhancedCTImageStorageForProcessing,
		dict.LegacyConvertedEnhancedCTImageStorageForProcessing, dict.MRImageStorage, dict.EnhancedMRImageStorage,
		dict.EnhancedMRColorImageStorage, dict.LegacyConvertedEnhancedMRImageStorage,
		dict.PositronEmissionTomographyImageStorage,
		dict.EnhancedPETImageStorage, dict.LegacyConvertedEnhancedPETImageStorage, dict.NuclearMedicineImageStorage,
		dict.NuclearMedicineImageStorageRetired,
		dict.IntravascularOpticalCoherenceTomographyImageStorageForPresentation,
		dict.IntravascularOpticalCoherenceTomographyImageStorageForProcessing,
		dict.DICOSCTImageStorage, dict.DICOS3DAITStorage,
		dict.DICOSQuadrupoleResonanceStorage,
	}},
	{textUnlikely, "images of the beam, and dose as numbers", []string{
		dict.RTImageStorage, dict.EnhancedRTImageStorage, dict.EnhancedContinuousRTImageStorage, dict.RTDoseStorage,
	}},
	{textUnlikely, "pixels that an algorithm computed", []string{
		dict.SegmentationStorage, dict.LabelMapSegmentationStorage,
		dict.HeightMapSegmentationStorage, dict.ParametricMapStorage,
	}},

	{Document, "a document or model, whose content nobody looks into", []string{
		dict.EncapsulatedPDFStorage, dict.EncapsulatedCDAStorage,
		dict.EncapsulatedSTLStorage, dict.EncapsulatedOBJStorage,
		dict.EncapsulatedMTLStorage,
	}},

	{noImage, "says how others are to be shown; its text is in attributes", []string{
		dict.GrayscaleSoftcopyPresentationStateStorage, dict.ColorSoftcopyPresentationStateStorage,
		dict.PseudoColorSoftcopyPresentationStateStorage, dict.BlendingSoftcopyPresentationStateStorage,
		dict.XAXRFGrayscaleSoftcopyPresentationStateStorage, dict.GrayscalePlanarMPRVolumetricPresentationStateStorage,
		dict.CompositingPlanarMPRVolumetricPresentationStateStorage, dict.AdvancedBlendingPresentationStateStorage,
		dict.VolumeRenderingVolumetricPresentationStateStorage,
		dict.SegmentedVolumeRenderingVolumetricPresentationStateStorage,
		dict.MultipleVolumeRenderingVolumetricPresentationStateStorage,
		dict.VariableModalityLUTSoftcopyPresentationStateStorage, dict.WaveformPresentationStateStorage,
		dict.WaveformAcquisitionPresentationStateStorage,
		dict.BasicStructuredDisplayStorage, dict.HangingProtocolStorage,
		dict.ColorPaletteStorage, dict.StandaloneModalityLUTStorage, dict.StandaloneVOILUTStorage,
	}},
	{noImage, "a report or measurements; its text is in attributes", []string{
		dict.BasicTextSRStorage, dict.EnhancedSRStorage, dict.ComprehensiveSRStorage, dict.Comprehensive3DSRStorage,
		dict.ExtensibleSRStorage, dict.TextSRStorageTrial, dict.AudioSRStorageTrial, dict.DetailSRStorageTrial,
		dict.ComprehensiveSRStorageTrial, dict.ProcedureLogStorage, dict.MammographyCADSRStorage,
		dict.KeyObjectSelectionDocumentStorage, dict.ChestCADSRStorage, dict.XRayRadiationDoseSRStorage,
		dict.EnhancedXRayRadiationDoseSRStorage, dict.RadiopharmaceuticalRadiationDoseSRStorage, dict.ColonCADSRStorage,
		dict.ImplantationPlanSRStorage, dict.AcquisitionContextSRStorage, dict.SimplifiedAdultEchoSRStorage,
		dict.PatientRadiationDoseSRStorage, dict.PlannedImagingAgentAdministrationSRStorage,
		dict.PerformedImagingAgentAdministrationSRStorage,
		dict.WaveformAnnotationSRStorage, dict.LensometryMeasurementsStorage,
		dict.AutorefractionMeasurementsStorage, dict.KeratometryMeasurementsStorage,
		dict.SubjectiveRefractionMeasurementsStorage, dict.VisualAcuityMeasurementsStorage,
		dict.SpectaclePrescriptionReportStorage, dict.OphthalmicAxialMeasurementsStorage,
		dict.IntraocularLensCalculationsStorage, dict.MacularGridThicknessAndVolumeReportStorage,
		dict.OphthalmicVisualFieldStaticPerimetryMeasurementsStorage, dict.ContentAssessmentResultsStorage,
		dict.DICOSThreatDetectionReportStorage, dict.InventoryStorage,
	}},
	{noImage, "signals over time; what is spoken in them is not looked at", []string{
		dict.TwelveLeadECGWaveformStorage, dict.GeneralECGWaveformStorage, dict.AmbulatoryECGWaveformStorage,
		dict.General32bitECGWaveformStorage, dict.HemodynamicWaveformStorage,
		dict.CardiacElectrophysiologyWaveformStorage,
		dict.BasicVoiceAudioWaveformStorage, dict.GeneralAudioWaveformStorage, dict.ArterialPulseWaveformStorage,
		dict.RespiratoryWaveformStorage, dict.MultichannelRespiratoryWaveformStorage,
		dict.RoutineScalpElectroencephalogramWaveformStorage, dict.ElectromyogramWaveformStorage,
		dict.ElectrooculogramWaveformStorage,
		dict.SleepElectroencephalogramWaveformStorage, dict.BodyPositionWaveformStorage,
		dict.WaveformStorageTrial, dict.UltrasoundWaveformStorage,
		dict.StandaloneCurveStorage, dict.StandalonePETCurveStorage,
		dict.MRSpectroscopyStorage,
	}},
	{noImage, "plans, structures and records of treatment", []string{
		dict.RTStructureSetStorage, dict.RTPlanStorage, dict.RTIonPlanStorage, dict.RTBeamsTreatmentRecordStorage,
		dict.RTBrachyTreatmentRecordStorage, dict.RTTreatmentSummaryRecordStorage,
		dict.RTIonBeamsTreatmentRecordStorage,
		dict.RTPhysicianIntentStorage, dict.RTSegmentAnnotationStorage, dict.RTRadiationSetStorage,
		dict.CArmPhotonElectronRadiationStorage, dict.TomotherapeuticRadiationStorage, dict.RoboticArmRadiationStorage,
		dict.RTRadiationRecordSetStorage, dict.RTRadiationSalvageRecordStorage,
		dict.TomotherapeuticRadiationRecordStorage,
		dict.CArmPhotonElectronRadiationRecordStorage, dict.RoboticRadiationRecordStorage,
		dict.RTRadiationSetDeliveryInstructionStorage, dict.RTTreatmentPreparationStorage,
		dict.RTPatientPositionAcquisitionInstructionStorage, dict.RTBeamsDeliveryInstructionStorage,
		dict.RTBeamsDeliveryInstructionStorageTrial, dict.RTBrachyApplicationSetupDeliveryInstructionStorage,
	}},
	{noImage, "protocols of examinations", []string{
		dict.CTDefinedProcedureProtocolStorage, dict.CTPerformedProcedureProtocolStorage, dict.ProtocolApprovalStorage,
		dict.XADefinedProcedureProtocolStorage, dict.XAPerformedProcedureProtocolStorage,
	}},
	{noImage, "geometry: surfaces, points, tracts, registrations, implants", []string{
		dict.SpatialRegistrationStorage, dict.SpatialFiducialsStorage, dict.DeformableSpatialRegistrationStorage,
		dict.SurfaceSegmentationStorage, dict.TractographyResultsStorage, dict.RealWorldValueMappingStorage,
		dict.SurfaceScanMeshStorage, dict.SurfaceScanPointCloudStorage, dict.StereometricRelationshipStorage,
		dict.MicroscopyBulkSimpleAnnotationsStorage,
		dict.GenericImplantTemplateStorage, dict.ImplantAssemblyTemplateStorage,
		dict.ImplantTemplateGroupStorage,
	}},
	{noImage, "raw data in private attributes, of which only safe ones stay", []string{dict.RawDataStorage}},
}

// textOf says what was decided for a SOP class.
func textOf(class string) TextIn {
	for i := range judgements {
		if slices.Contains(judgements[i].classes, class) {
			return judgements[i].text
		}
	}
	return textLikely
}
