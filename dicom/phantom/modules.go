// SPDX-License-Identifier: AGPL-3.0-or-later

package phantom

import (
	"fmt"
	"strconv"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// kind is what is fixed for a Kind.
type kind struct {
	modality, sopClass string
	bytes              int // per pixel; 0 without pixel data
	pixelVR            dict.VR
	multiFrame         bool
	attributes         func(ds *stream.DataSet, in *Instance)
}

var kinds = map[Kind]kind{
	CT:               {"CT", dict.CTImageStorage, 2, dict.OW, false, ct},
	MR:               {"MR", dict.MRImageStorage, 2, dict.OW, false, mr},
	Ultrasound:       {"US", dict.UltrasoundMultiFrameImageStorage, 1, dict.OB, true, ultrasound},
	MultiFrame:       {"OT", dict.MultiFrameGrayscaleWordSecondaryCaptureImageStorage, 2, dict.OW, true, multiFrameCapture},
	SecondaryCapture: {"OT", dict.SecondaryCaptureImageStorage, 1, dict.OB, false, secondaryCapture},
	Radiograph:       {"CR", dict.ComputedRadiographyImageStorage, 2, dict.OW, false, radiograph},
	Report:           {"SR", dict.BasicTextSRStorage, 0, 0, false, report},
	KeyObject:        {"KO", dict.KeyObjectSelectionDocumentStorage, 0, 0, false, keyObject},
}

func (k kind) writes(transferSyntaxUID string) bool {
	switch transferSyntaxUID {
	case dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian:
		return true
	case dict.RLELossless:
		return k.bytes == 1
	}
	return false
}

// Attributes returns a new data set with all attributes but pixel data.
func (in *Instance) Attributes() *stream.DataSet {
	se := in.series
	st := se.study
	ds := &stream.DataSet{}
	if len(st.Spec.Patient.CharacterSet) > 0 {
		ds.Set(dict.SpecificCharacterSet, st.Spec.Patient.CharacterSet...)
	}
	ds.Set(dict.SOPClassUID, in.SOPClassUID)
	ds.Set(dict.SOPInstanceUID, in.SOPInstanceUID)
	ds.Set(dict.InstanceNumber, strconv.Itoa(in.Number))
	st.patientAndStudy(ds)
	se.seriesAndEquipment(ds)
	k := kinds[se.Spec.Kind]
	if k.bytes > 0 {
		in.image(ds, k)
	}
	k.attributes(ds, in)
	return ds
}

func (st *Study) patientAndStudy(ds *stream.DataSet) {
	p := st.Spec.Patient
	ds.Set(dict.PatientName, p.Name)
	ds.Set(dict.PatientID, p.ID)
	ds.Set(dict.PatientBirthDate, p.BirthDate)
	ds.Set(dict.PatientSex, p.Sex)
	ds.Set(dict.StudyInstanceUID, st.StudyInstanceUID)
	ds.Set(dict.StudyDate, st.Spec.Date)
	ds.Set(dict.StudyTime, st.Spec.Time)
	ds.Set(dict.ReferringPhysicianName, "Phantom^Referrer")
	ds.Set(dict.StudyID, "1")
	ds.Set(dict.AccessionNumber, st.Spec.AccessionNumber)
	ds.Set(dict.StudyDescription, st.Spec.Description)
}

func (se *Series) seriesAndEquipment(ds *stream.DataSet) {
	ds.Set(dict.Modality, se.Modality)
	ds.Set(dict.SeriesInstanceUID, se.SeriesInstanceUID)
	ds.Set(dict.SeriesNumber, strconv.Itoa(se.Number))
	ds.Set(dict.SeriesDate, se.study.Spec.Date)
	ds.Set(dict.SeriesTime, se.study.Spec.Time)
	if se.Spec.Description != "" {
		ds.Set(dict.SeriesDescription, se.Spec.Description)
	}
	ds.Set(dict.ContentDate, se.study.Spec.Date)
	ds.Set(dict.ContentTime, se.study.Spec.Time)
	ds.Set(dict.Manufacturer, "ADIT")
	ds.Set(dict.InstitutionName, "Phantom Hospital")
	ds.Set(dict.ManufacturerModelName, "Phantom")
	ds.Set(dict.DeviceSerialNumber, "1")
	ds.Set(dict.SoftwareVersions, "1")
}

// image is the Image Pixel module (PS3.3 C.7.6.3) without its data.
func (in *Instance) image(ds *stream.DataSet, k kind) {
	sp := in.series.Spec
	ds.Set(dict.SamplesPerPixel, "1")
	ds.Set(dict.PhotometricInterpretation, "MONOCHROME2")
	ds.SetInt(dict.Rows, sp.Rows)
	ds.SetInt(dict.Columns, sp.Columns)
	bits, stored := 8, 8
	if k.bytes == 2 {
		bits, stored = 16, 12
	}
	ds.SetInt(dict.BitsAllocated, bits)
	ds.SetInt(dict.BitsStored, stored)
	ds.SetInt(dict.HighBit, stored-1)
	ds.SetInt(dict.PixelRepresentation, 0)
	if sp.Frames > 1 || k.multiFrame {
		ds.SetInt(dict.NumberOfFrames, sp.Frames)
	}
}

// plane is the Frame of Reference and Image Plane modules (PS3.3 C.7.4.1, C.7.6.2), slices of 2 mm.
func (in *Instance) plane(ds *stream.DataSet) {
	z := strconv.Itoa(2 * (in.Number - 1))
	ds.Set(dict.FrameOfReferenceUID, in.series.study.uid("frame of reference"))
	ds.Set(dict.PositionReferenceIndicator)
	ds.Set(dict.PatientPosition, "HFS")
	ds.Set(dict.PixelSpacing, "0.75", "0.75")
	ds.Set(dict.ImageOrientationPatient, "1", "0", "0", "0", "1", "0")
	ds.Set(dict.ImagePositionPatient, "-192", "-192", z)
	ds.Set(dict.SliceThickness, "2")
	ds.Set(dict.SliceLocation, z)
}

func ct(ds *stream.DataSet, in *Instance) {
	in.plane(ds)
	ds.Set(dict.ImageType, "ORIGINAL", "PRIMARY", "AXIAL")
	ds.Set(dict.AcquisitionNumber, "1")
	ds.Set(dict.BodyPartExamined, "ABDOMEN")
	ds.Set(dict.KVP, "120")
	ds.Set(dict.XRayTubeCurrent, "200")
	ds.Set(dict.ExposureTime, "500")
	ds.Set(dict.ConvolutionKernel, "STANDARD")
	ds.Set(dict.RescaleIntercept, "-1024")
	ds.Set(dict.RescaleSlope, "1")
	ds.Set(dict.RescaleType, "HU")
	ds.Set(dict.WindowCenter, "40")
	ds.Set(dict.WindowWidth, "400")
}

func mr(ds *stream.DataSet, in *Instance) {
	in.plane(ds)
	ds.Set(dict.ImageType, "ORIGINAL", "PRIMARY", "OTHER")
	ds.Set(dict.AcquisitionNumber, "1")
	ds.Set(dict.BodyPartExamined, "HEAD")
	ds.Set(dict.ScanningSequence, "SE")
	ds.Set(dict.SequenceVariant, "NONE")
	ds.Set(dict.ScanOptions)
	ds.Set(dict.MRAcquisitionType, "2D")
	ds.Set(dict.MagneticFieldStrength, "1.5")
	ds.Set(dict.RepetitionTime, "500")
	ds.Set(dict.EchoTime, "15")
	ds.Set(dict.EchoTrainLength, "1")
	ds.Set(dict.WindowCenter, "1000")
	ds.Set(dict.WindowWidth, "2000")
}

// cine is the Cine and Multi-frame modules (PS3.3 C.7.6.5, C.7.6.6), 25 frames a second.
func cine(ds *stream.DataSet) {
	ds.Set(dict.FrameTime, "40")
	ds.Set(dict.FrameIncrementPointer, "FrameTime")
}

func ultrasound(ds *stream.DataSet, _ *Instance) {
	cine(ds)
	ds.Set(dict.ImageType, "ORIGINAL", "PRIMARY")
	ds.Set(dict.PatientOrientation)
	ds.Set(dict.BodyPartExamined, "ABDOMEN")
	ds.Set(dict.LossyImageCompression, "00")
}

func multiFrameCapture(ds *stream.DataSet, _ *Instance) {
	cine(ds)
	capture(ds)
	ds.Set(dict.BurnedInAnnotation, "NO")
	ds.Set(dict.PresentationLUTShape, "IDENTITY")
	ds.Set(dict.RescaleIntercept, "0")
	ds.Set(dict.RescaleSlope, "1")
	ds.Set(dict.RescaleType, "US")
}

// radiograph is the CR Series and CR Image modules (PS3.3 C.8.1).
func radiograph(ds *stream.DataSet, in *Instance) {
	ds.Set(dict.ImageType, "ORIGINAL", "PRIMARY")
	ds.Set(dict.PatientOrientation)
	ds.Set(dict.BodyPartExamined, "CHEST")
	ds.Set(dict.ViewPosition, [...]string{"PA", "LL"}[(in.Number-1)%2])
	ds.Set(dict.PixelSpacing, "0.75", "0.75")
	ds.Set(dict.WindowCenter, "1000")
	ds.Set(dict.WindowWidth, "2000")
}

func secondaryCapture(ds *stream.DataSet, _ *Instance) { capture(ds) }

func capture(ds *stream.DataSet) {
	ds.Set(dict.BodyPartExamined, "ABDOMEN")
	ds.Set(dict.ConversionType, "SYN")
	ds.Set(dict.ImageType, "DERIVED", "SECONDARY")
	ds.Set(dict.PatientOrientation)
}

// report is the SR Document modules (PS3.3 C.17): a title and two paragraphs.
func report(ds *stream.DataSet, in *Instance) {
	ds.SetSequence(dict.ReferencedPerformedProcedureStepSequence)
	ds.SetSequence(dict.PerformedProcedureCodeSequence)
	ds.Set(dict.CompletionFlag, "COMPLETE")
	ds.Set(dict.VerificationFlag, "UNVERIFIED")
	ds.Set(dict.ValueType, "CONTAINER")
	ds.Set(dict.ContinuityOfContent, "SEPARATE")
	ds.SetSequence(dict.ConceptNameCodeSequence, code("LN", "18748-4", "Diagnostic imaging report"))
	ds.SetSequence(dict.ContentSequence,
		paragraph(
			"59776-5", "Procedure findings", fmt.Sprintf("Phantom report %d. A phantom has no findings.", in.Number),
		),
		paragraph("19005-8", "Imaging study impression", "An ellipse of soft tissue with a rim of bone."))
}

// keyObject is the modules of PS3.3 C.17.6: what is selected, once as evidence and once as content (TID 2010 of
// PS3.16).
func keyObject(ds *stream.DataSet, in *Instance) {
	ds.SetSequence(dict.ReferencedPerformedProcedureStepSequence)
	ds.SetSequence(dict.ReferencedRequestSequence)
	ds.Set(dict.ValueType, "CONTAINER")
	ds.Set(dict.ContinuityOfContent, "SEPARATE")
	ds.SetSequence(dict.ConceptNameCodeSequence, code("DCM", in.title.Code, in.title.Meaning))
	template := &stream.DataSet{}
	template.Set(dict.MappingResource, "DCMR")
	template.Set(dict.TemplateIdentifier, "2010")
	ds.SetSequence(dict.ContentTemplateSequence, template)

	content := make([]*stream.DataSet, len(in.selected))
	for i, s := range in.selected {
		content[i] = &stream.DataSet{}
		content[i].Set(dict.RelationshipType, "CONTAINS")
		content[i].Set(dict.ValueType, "IMAGE")
		if s.series.Spec.Kind >= Report {
			content[i].Set(dict.ValueType, "COMPOSITE")
		}
		content[i].SetSequence(dict.ReferencedSOPSequence, s.reference())
	}
	ds.SetSequence(dict.CurrentRequestedProcedureEvidenceSequence, evidence(in.selected)...)
	ds.SetSequence(dict.ContentSequence, content...)
}

// evidence lists instances by study and series.
func evidence(instances []*Instance) []*stream.DataSet {
	type group struct {
		item *stream.DataSet
		in   []*stream.DataSet
	}
	var studies []*Study
	byStudy, bySeries := map[*Study][]*Series{}, map[*Series]*group{}
	for _, in := range instances {
		se := in.series
		g, ok := bySeries[se]
		if !ok {
			if len(byStudy[se.study]) == 0 {
				studies = append(studies, se.study)
			}
			byStudy[se.study] = append(byStudy[se.study], se)
			g = &group{item: &stream.DataSet{}}
			g.item.Set(dict.SeriesInstanceUID, se.SeriesInstanceUID)
			bySeries[se] = g
		}
		g.in = append(g.in, in.reference())
	}
	items := make([]*stream.DataSet, len(studies))
	for i, st := range studies {
		var series []*stream.DataSet
		for _, se := range byStudy[st] {
			bySeries[se].item.SetSequence(dict.ReferencedSOPSequence, bySeries[se].in...)
			series = append(series, bySeries[se].item)
		}
		items[i] = &stream.DataSet{}
		items[i].SetSequence(dict.ReferencedSeriesSequence, series...)
		items[i].Set(dict.StudyInstanceUID, st.StudyInstanceUID)
	}
	return items
}

func (in *Instance) reference() *stream.DataSet {
	ds := &stream.DataSet{}
	ds.Set(dict.ReferencedSOPClassUID, in.SOPClassUID)
	ds.Set(dict.ReferencedSOPInstanceUID, in.SOPInstanceUID)
	return ds
}

func paragraph(value, meaning, text string) *stream.DataSet {
	ds := &stream.DataSet{}
	ds.Set(dict.RelationshipType, "CONTAINS")
	ds.Set(dict.ValueType, "TEXT")
	ds.SetSequence(dict.ConceptNameCodeSequence, code("LN", value, meaning))
	ds.Set(dict.TextValue, text)
	return ds
}

func code(scheme, value, meaning string) *stream.DataSet {
	ds := &stream.DataSet{}
	ds.Set(dict.CodeValue, value)
	ds.Set(dict.CodingSchemeDesignator, scheme)
	ds.Set(dict.CodeMeaning, meaning)
	return ds
}
