// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// A family is a character set, and a name in it that nobody has.
type family struct {
	charset []string
	name    string
}

var families = []family{
	{[]string{"ISO_IR 100"}, "Grünwaldheim"},
	{[]string{"ISO_IR 101"}, "Żółkiewska"},
	{[]string{"ISO_IR 144"}, "Красногорский"},
	{[]string{"ISO_IR 126"}, "Παπαδημητρίου"},
	{[]string{"", "ISO 2022 IR 87"}, "山田崎太郎"},
	{[]string{"", "ISO 2022 IR 149"}, "김희중남궁"},
	{[]string{"GB18030"}, "王小东欧阳"},
	{[]string{"ISO_IR 192"}, "Müllerovičová"},
	{nil, "Grossmanntal"}, // none is declared
}

// What is seeded beside the name, where no character set counts.
const (
	seededWord = "QUERWALDHEIMER"
	seededUID  = "1.2.840.10008.5.1.4.1.1.2.20240301.4711"
	seededDay  = "20240229"
	seededUser = "querwaldheimer@klinik.example"
)

var seededTexts = []string{
	seededWord, seededUID, seededDay, seededUser, "29.02.2024", "2024-02-29", "29/2/2024",
	"2024_02_29",
}

// seededForms are the forms of all that is seeded.
var seededForms = sync.OnceValue(func() map[string]map[string][]byte {
	all := map[string]map[string][]byte{}
	for _, text := range seededTexts {
		all[text] = forms(text)
	}
	for _, f := range families {
		all[f.name] = forms(f.name)
	}
	return all
})

// A sibling is one example of a kind of fault.
type sibling struct {
	name  string
	put   func(ds *stream.DataSet, f family)
	stays []string // the options, or the base adit, that keep it by what they say
}

// A kind of fault, with what became of the instance, or of two patients' instances.
type kind struct {
	name     string
	verdict  verdict
	siblings []sibling
}

type verdict string

const (
	nothingStays verdict = "nothing of what is seeded stays"
	sameForAll   verdict = "what becomes of the attribute is the same for every patient"
	notSent      verdict = "the instance isn't sent"
)

// seed writes what is seeded into an attribute, as its VR has it.
func seed(ds *stream.DataSet, f family, tag dict.Tag, vr dict.VR) {
	switch {
	case vr == dict.SQ:
		var item stream.DataSet
		item.Set(dict.CodeValue, "4711")
		item.Set(dict.CodingSchemeDesignator, "99LOCAL")
		item.Set(dict.CodeMeaning, seededWord)
		ds.SetSequence(tag, &item)
	case vr == dict.UI:
		ds.SetVR(tag, vr, seededUID)
	case vr == dict.UR:
		ds.SetVR(tag, vr, "https://pacs.example/wado?studyUID="+seededUID+"&patientID="+seededWord)
	case vr.CharSet():
		ds.SetVR(tag, vr, "CT "+f.name+" "+seededWord)
	default:
		ds.Put(stream.Element{Tag: tag, VR: vr, Value: []byte(seededWord)})
	}
}

// attributes are siblings that are an attribute each.
func attributes(stays []string, tags ...dict.Tag) (all []sibling) {
	for _, tag := range tags {
		vr := dict.VROf(tag)
		if vr == 0 {
			vr = dict.OB
		}
		all = append(all, sibling{fmt.Sprint(tag, " ", tag.Keyword()), func(ds *stream.DataSet, f family) {
			seed(ds, f, tag,
				vr)
		}, stays})
	}
	return all
}

// raw are siblings of which each is an attribute with a value as it stands in the instance.
func raw(stays []string, vr dict.VR, value string, tags ...dict.Tag) (all []sibling) {
	for _, tag := range tags {
		put := func(ds *stream.DataSet, _ family) {
			ds.Put(stream.Element{Tag: tag, VR: vr, Value: pad([]byte(value))})
		}
		all = append(all, sibling{fmt.Sprintf("%s as %s %.40q", tag, vr, value), put, stays})
	}
	return all
}

// ofDictionary are the attributes of the dictionary that a test chooses.
func ofDictionary(stays []string, choose func(e dict.Entry) bool) []sibling {
	var tags []dict.Tag
	for tag, mask := range dict.All() {
		if e, _ := dict.Lookup(tag); mask == 0xFFFFFFFF && tag.Group() >= 8 && choose(e) {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return attributes(stays, tags...)
}

// identifying are the names of sequences that say by code who or where somebody was, and why.
var identifying = regexp.MustCompile(
	`Issuer|Assigning|Performer|Physician.*Ident|Institution|Department|Facility|PersonIdentification|RequestingService|` +
		`Diagnos(is|es)CodeSeq|Reason.*(Procedure|Visit|Service).*Seq|Operator|AuthorIdent|Evaluator|Owner|GroupCodeSeq|DocumentingO|Insurance`,
)

// kinds are the kinds of faults that were found, each with siblings. What is no attribute has tests of its own:
// guessable dates by value TestGuessableDates; bits of
// overlays TestOverlaysInPixels; claims TestClaims, TestBrokenRules; (0028,0303) TestTemporal; contradicting rules
// TestProfileErrors, TestUnfitOverrides,
// TestOneAnswerOfPrivate; large headers TestLargeHeader; explanations TestExplainTellsAll; character sets
// TestUndeclared; validity TestValidity, TestPairs; keys TestDerivations.
func kinds() []kind {
	dated := func(tag dict.Tag, value string) sibling {
		return sibling{
			fmt.Sprint(tag.Keyword(), " ", value), func(ds *stream.DataSet, _ family) { ds.Set(tag, value) }, nil,
		}
	}
	item := func(name string, tag dict.Tag, put func(item *stream.DataSet, f family)) sibling {
		return sibling{name, func(ds *stream.DataSet, f family) {
			var item stream.DataSet
			put(&item, f)
			ds.SetSequence(tag, &item)
		}, nil}
	}
	image := func(name, class string, put func(ds *stream.DataSet)) sibling {
		return sibling{name, func(ds *stream.DataSet, _ family) {
			ds.Set(dict.SOPClassUID, class)
			ds.Remove(dict.BurnedInAnnotation)
			put(ds)
		}, nil}
	}
	says := func(class, burned string) sibling {
		return image(fmt.Sprintf("%s, Burned In Annotation %q", dict.UIDName(class), burned), class,
			func(ds *stream.DataSet) {
				ds.Put(stream.Element{Tag: dict.BurnedInAnnotation, VR: dict.CS, Value: pad([]byte(burned))})
			})
	}
	typed := func(value string) sibling {
		return image("Image Type "+value, dict.CTImageStorage, func(ds *stream.DataSet) {
			ds.Put(stream.Element{Tag: dict.ImageType, VR: dict.CS, Value: pad([]byte(value))})
		})
	}
	text := func(value string) []sibling {
		return raw([]string{"adit"}, dict.LO, value, dict.StudyDescription, dict.SeriesDescription)
	}
	return []kind{
		{"dates that others know, or guess", sameForAll, []sibling{
			dated(dict.LastMenstrualDate, "19000101"), dated(dict.FrameAcquisitionDateTime, "18991230"),
			dated(dict.DateOfSecondaryCapture, "99991231"),
			dated(dict.ScheduledProcedureStepStartDate, "20990101"), dated(dict.DateOfLastCalibration, "20230612"),
			dated(dict.CalibrationDate, "20230612"),
			dated(dict.SourceStrengthReferenceDate, "20230612"), dated(dict.ProductExpirationDateTime, "20290612"),
			dated(dict.ContextGroupVersion, "20220612"),
			dated(dict.AttributeModificationDateTime, "20240612101112"), dated(dict.PatientBirthDate, "19720612"),
			dated(dict.ExpiryDate, "20290612"),
		}},
		{"UIDs below the standard's root", nothingStays, slices.Concat(
			attributes([]string{"retain-uids"}, dict.FrameOfReferenceUID, dict.ReferencedSOPInstanceUID,
				dict.IrradiationEventUID, dict.TransactionUID, dict.DimensionOrganizationUID,
				dict.ConceptualVolumeUID, dict.TrackingUID, dict.FiducialUID),
			attributes([]string{"retain-uids", "retain-device-identity"}, dict.DeviceUID),
			raw([]string{"retain-uids"}, dict.UN, seededUID, dict.FrameOfReferenceUID, dict.SpecimenUID),
		)},
		{"dates of another calendar", nothingStays, attributes(
			nil, dict.PatientBirthDateInAlternativeCalendar, dict.PatientDeathDateInAlternativeCalendar,
			dict.PatientAlternativeCalendar, dict.PatientBirthName, dict.PatientMotherBirthName,
		)},
		{"images that show text", notSent, []sibling{
			image("label of a slide", dict.VLWholeSlideMicroscopyImageStorage, func(ds *stream.DataSet) {
				ds.Set(dict.ImageType, "ORIGINAL", "PRIMARY", "LABEL", "NONE")
				ds.Set(dict.BurnedInAnnotation, "NO")
			}),
			image("overview of a slide", dict.VLWholeSlideMicroscopyImageStorage, func(ds *stream.DataSet) {
				ds.Set(dict.ImageType, "ORIGINAL", "PRIMARY", "OVERVIEW", "NONE")
				ds.Set(dict.SpecimenLabelInImage, "YES")
			}),
			says(dict.HardcopyGrayscaleImageStorage, ""), says(dict.HardcopyColorImageStorage, ""),
			says(dict.OphthalmicPhotography8BitImageStorage, ""),
			says(dict.OphthalmicPhotography16BitImageStorage, ""), says(dict.VLMicroscopicImageStorage, ""),
			says(dict.VLPhotographicImageStorage, ""),
			says(dict.UltrasoundMultiFrameImageStorage, ""), says(dict.SecondaryCaptureImageStorage, ""),
			says(dict.VideoEndoscopicImageStorage, ""),
			says(dict.OphthalmicTomographyImageStorage, ""),
		}},
		{"burned-in text that isn't plainly denied", notSent, []sibling{
			says(dict.CTImageStorage, "Yes"), says(dict.CTImageStorage, "yes"), says(dict.CTImageStorage, "Y"),
			says(dict.CTImageStorage, `NO\YES`),
			says(dict.CTImageStorage, "no"), says(dict.CTImageStorage, `\NO`), says(dict.MRImageStorage, "NEIN"),
			says(dict.MRImageStorage, "0"),
			typed(`DERIVED\SECONDARY\SCREENSAVE`), typed(`DERIVED\SECONDARY\screen save`),
			typed(`DERIVED\SECONDARY\SCREEN SAVE`), typed(`DERIVED\SECONDARY\Screen_Shot`),
			image("Recognizable Visual Features yes", dict.CTImageStorage,
				func(ds *stream.DataSet) { ds.Set(dict.RecognizableVisualFeatures, "yes") }),
		}},
		{"addresses", nothingStays, append(ofDictionary(nil, func(e dict.Entry) bool {
			return e.VR == dict.UR &&
				e.Keyword != "URNCodeValue"
		}), attributes(
			nil, dict.NTPSourceAddress, dict.ContactDisplayName, dict.HL7InstanceIdentifier, dict.CodingSchemeName,
			dict.StorageMediaFileSetID,
		)...)},
		{"labels and comments that people type", nothingStays, append(attributes(
			[]string{"adit"}, dict.AcquisitionProtocolName, dict.ContentLabel, dict.DocumentTitle, dict.SegmentLabel,
			dict.ROIName, dict.BeamName, dict.ContentDescription, dict.DisplaySetLabel,
		), attributes(nil, dict.CommentsOnTheScheduledProcedureStep, dict.ImageComments)...)},
		{"institutions, persons and reasons by code", nothingStays, ofDictionary(
			[]string{"retain-institution-identity", "clean-descriptors"},
			func(e dict.Entry) bool { return e.VR == dict.SQ && identifying.MatchString(e.Keyword) },
		)},
		{"whose authority gives out numbers", nothingStays, append(ofDictionary(
			nil,
			func(e dict.Entry) bool { return e.VR != dict.SQ && strings.Contains(e.Keyword, "AssigningAuthority") },
		), attributes(nil, dict.LocalNamespaceEntityID, dict.UniversalEntityID, dict.UniversalEntityIDType,
			dict.IssuerOfPatientID)...)},
		{"what an earlier de-identification or a signature left", nothingStays, append(
			attributes(
				nil, dict.EncryptedContent, dict.Signature, dict.CertificateOfSigner, dict.MAC, dict.DataElementsSigned,
				dict.PrivateDataElementDescription, dict.DeidentificationMethod,
			),
			sibling{
				"CertifiedTimestamp",
				func(ds *stream.DataSet, f family) { seed(ds, f, dict.CertifiedTimestamp, dict.OB) },
				[]string{"full-dates"},
			},
			item("encrypted", dict.EncryptedAttributesSequence, func(i *stream.DataSet, f family) {
				seed(i, f,
					dict.EncryptedContent, dict.OB)
			}),
			item("signed", dict.DigitalSignaturesSequence, func(i *stream.DataSet, f family) {
				seed(i, f,
					dict.CertificateOfSigner, dict.OB)
			}),
			item("before a correction", dict.OriginalAttributesSequence, func(i *stream.DataSet, f family) {
				var was stream.DataSet
				seed(&was, f, dict.PatientName, dict.PN)
				i.SetSequence(dict.ModifiedAttributesSequence, &was)
			}),
		)},
		{"what nobody reads any more", nothingStays, append(
			ofDictionary(nil, func(e dict.Entry) bool { return e.Keyword == "" }), // (0008,0202) and its like
			raw(
				nil, dict.LO, seededWord, 0x00203101, 0x002031FE,
				0x00280402, 0x00280412, 0x00280803, 0x10000011, 0x10100004,
				0x50022500, 0x60021500, 0x00101099, 0x00400999, 0x00041130, 0x7F020010,
			)...,
		)},
		{"names and dates among words", nothingStays, slices.Concat(
			attributes([]string{"adit"}, dict.StudyDescription, dict.ProtocolName, dict.RequestedProcedureDescription),
			text("CT "+seededDay), text("CT 29.02.2024T"), text("CT 2024-02-29T10:11"), text("CT 29/2/2024mm"),
			text("CT 2024_02_29"), text("CT 29 Feb 2024"),
			text("Thorax "+seededUser), text("CT https://pacs.example/"+seededUID), text("CT "+seededUID),
		)},
		{"text where a number or a time is meant", nothingStays, slices.Concat(
			raw(nil, dict.DS, seededWord, dict.SliceThickness, dict.KVP),
			raw(nil, dict.IS, seededWord, dict.InstanceNumber),
			raw(nil, dict.TM, seededWord, dict.StudyTime, dict.AcquisitionTime),
			raw(nil, dict.AS, seededWord, dict.PatientAge), raw(nil, dict.UI, seededWord, dict.FrameOfReferenceUID),
			raw(nil,
				dict.AE, seededWord+" 2345", dict.StationAETitle),
			raw(nil, dict.US, seededWord, dict.Rows), raw(nil, dict.FD, seededWord, dict.DiffusionBValue),
			raw(nil, dict.LO,
				seededWord, dict.SliceThickness, dict.EchoTime),
			raw(nil, dict.UN, seededWord, dict.SliceThickness, dict.StudyTime), raw(nil, dict.PN, seededWord,
				dict.SliceThickness),
			raw(nil, dict.DA, seededWord, dict.StudyDate), raw(nil, dict.DT, seededWord, dict.AcquisitionDateTime),
		)},
	}
}

// kindProfiles are the built-in profiles, and the basic one with each option.
func kindProfiles(t testing.TB) (names []string, profiles []*deid.Profile) {
	for _, name := range deid.BuiltinProfiles() {
		p, ok := deid.BuiltinProfile(name)
		require.True(t, ok)
		names, profiles = append(names, name), append(profiles, p)
	}
	for _, c := range tableColumns {
		if c.option != "" {
			names, profiles = append(names, c.option), append(profiles, loadProfile(t, c.option))
		}
	}
	return names, profiles
}

// kindEncodings are those in which the siblings come.
var kindEncodings = append(slices.Clone(everyEncoding), dict.JPEGBaseline8Bit)

// depths are where a sibling stands.
var depths = []struct {
	name string
	wrap func(ds *stream.DataSet) *stream.DataSet
}{
	{"at the top", func(ds *stream.DataSet) *stream.DataSet { return ds }},
	{"in an item", within(dict.ReferencedImageSequence)},
	{"in functional groups", within(dict.PerFrameFunctionalGroupsSequence, dict.CTAcquisitionDetailsSequence)},
	{"three deep", within(chain...)},
	{"in a private sequence", func(ds *stream.DataSet) *stream.DataSet {
		return privateSequence(0x00090010, "ACME 1.0",
			ds)
	}},
	{"in a safe private sequence", func(ds *stream.DataSet) *stream.DataSet {
		return privateSequence(0x7E010010,
			"HOLOGIC, Inc.", ds)
	}},
	{"behind the pixel data", func(ds *stream.DataSet) *stream.DataSet {
		return privateSequence(0x7FE10010, "ACME 1.0",
			ds)
	}},
	{"behind the pixel data, in what the standard has there", within(0xFFFCFFFB)},
	// 64 items take more than smallHeader
	{"behind a header that is too large", func(ds *stream.DataSet) *stream.DataSet {
		var filler, outer stream.DataSet
		filler.Set(dict.SliceThickness, "1")
		outer.SetSequence(
			dict.PerFrameFunctionalGroupsSequence, append(slices.Repeat([]*stream.DataSet{&filler}, 64), ds)...,
		)
		return &outer
	}},
}

// smallHeader is what a header may have at the last of the depths.
const smallHeader = 900

func within(sequences ...dict.Tag) func(ds *stream.DataSet) *stream.DataSet {
	return func(ds *stream.DataSet) *stream.DataSet {
		for _, tag := range slices.Backward(sequences) {
			outer := &stream.DataSet{}
			outer.Put(stream.Element{Tag: tag, VR: dict.SQ, Items: []*stream.DataSet{ds}})
			ds = outer
		}
		return ds
	}
}

func privateSequence(creator dict.Tag, name string, ds *stream.DataSet) *stream.DataSet {
	outer := &stream.DataSet{}
	outer.SetVR(creator, dict.LO, name)
	outer.Put(
		stream.Element{Tag: creator&0xFFFF0000 | creator&0xFF<<8 | 0x10, VR: dict.SQ, Items: []*stream.DataSet{ds}},
	)
	return outer
}

// kindObject makes an instance with a sibling at a depth, and gives it encoded.
func kindObject(t testing.TB, s sibling, f family, depth int, encoding, patient string,
	decides bool,
) (ds *stream.DataSet, in []byte, syntax string) {
	t.Helper()
	base := func(ds *stream.DataSet) {
		for tag, v := range map[dict.Tag]string{
			dict.SOPClassUID: dict.CTImageStorage, dict.SOPInstanceUID: "1.2.3.4", dict.StudyInstanceUID: "1.2.3",
			dict.PatientID: patient, dict.PatientName: "Nobody^Jane",
			dict.BurnedInAnnotation: "NO", dict.Modality: "CT",
		} {
			if !ds.Has(tag) && !(tag == dict.BurnedInAnnotation && decides) {
				ds.Set(tag, v)
			}
		}
	}
	ds = &stream.DataSet{}
	s.put(ds, f)
	ds = depths[depth].wrap(ds)
	base(ds)
	if f.charset != nil {
		require.NoError(t, ds.SetCharset(f.charset...))
	}
	syntax = encoding
	if encoding == asUN {
		ds, syntax = allUN(t, ds), dict.ExplicitVRLittleEndian
	}
	if encoding == dict.JPEGBaseline8Bit {
		b := encode(t, ds, dict.ExplicitVRLittleEndian)
		return ds, withFragments(t, ds, b), syntax
	}
	ds.SetBytes(dict.PixelData, dict.OW, bytes.Repeat([]byte{0x91}, 64))
	return ds, encode(t, ds, syntax), syntax
}

// withFragments puts encapsulated pixel data where it belongs in an encoded data set.
func withFragments(t testing.TB, ds *stream.DataSet, b []byte) []byte {
	t.Helper()
	var before stream.DataSet
	for e := range ds.All() {
		if e.Tag < dict.PixelData {
			before.Put(e)
		}
	}
	n := len(encode(t, &before, dict.ExplicitVRLittleEndian))
	pixels := "\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x08\x00\x00\x00\xff\xd8\xff\xfe\x00\x02\xff\xd9\xfe\xff\xdd\xe0\x00\x00\x00\x00"
	return slices.Concat(b[:n], []byte(pixels), b[n:])
}

// rewriteSmall is rewrite, of an instance that passes piece by piece behind a header of smallHeader bytes.
func rewriteSmall(t testing.TB, s *deid.Session, in []byte, syntax string) ([]byte, error) {
	o, err := stream.Open(bytes.NewReader(in), syntax, stream.Limits{Header: smallHeader})
	require.NoError(t, err)
	defer o.Close()
	first, more := o.Body()
	require.True(t, more && first.Tag < dict.PixelData)
	if _, err := s.Rewrite(o); err != nil {
		return nil, err
	}
	return io.ReadAll(o)
}

// TestKinds holds the engine against siblings of every kind of fault that was found: under each built-in profile at
// every depth, and under the basic
// one with each option, in every encoding and character set (depths of options, encodings and character sets in turn,
// so that each sibling meets all of them).
func TestKinds(t *testing.T) {
	names, profiles := kindProfiles(t)
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			require.GreaterOrEqual(t, len(k.siblings), 3)
			for i, s := range k.siblings {
				for j, p := range profiles {
					if slices.ContainsFunc(s.stays, func(option string) bool {
						return names[j] == option ||
							slices.Contains(p.Definition().Options, option)
					}) {
						continue
					}
					for d := range depths {
						if k.verdict == notSent && d > 0 {
							break // what is nested decides nothing
						}
						if j < len(deid.BuiltinProfiles()) || (i+j+d)%3 == 0 || k.verdict == notSent {
							encoding, f := kindEncodings[(i+j+d)%len(kindEncodings)], families[(i+2*j+d)%len(families)]
							if d == len(depths)-1 && encoding == asUN {
								encoding = dict.ExplicitVRLittleEndian // a sequence that is one long value isn't sent
							}
							if fault := k.verdict.judge(t, s, p, d, encoding, f); fault != "" {
								t.Errorf(
									"%s, %s, profile %s, in %s and %v: %s", s.name,
									depths[d].name, names[j], encoding, f.charset, fault,
								)
							}
						}
					}
				}
			}
		})
	}
}

// judge tells what is wrong with what becomes of a sibling.
func (v verdict) judge(t testing.TB, s sibling, p *deid.Profile, depth int, encoding string, f family) string {
	var dates [2][]string
	for n := range dates {
		ds, in, syntax := kindObject(t, s, f, depth, encoding, fmt.Sprint("PID-", n), v == notSent)
		session := sessionFor(t, p, proofKey(1), ds)
		var out []byte
		var err error
		if depth == len(depths)-1 {
			out, err = rewriteSmall(t, session, in, syntax)
		} else {
			out, _, err = rewrite(session, in, syntax)
		}
		_, refused := errors.AsType[*deid.RefusedError](err)
		_, unsafe := errors.AsType[*deid.UnsafeError](err)
		switch {
		case v == notSent && (refused || unsafe):
			return ""
		case v == notSent:
			return fmt.Sprintf("sent (%v)", err)
		case err != nil:
			return err.Error()
		case v == nothingStays:
			return seededIn(out, parse(t, out, syntax), f)
		}
		dates[n] = datesOf(parse(t, out, syntax))
	}
	if !slices.Equal(dates[0], dates[1]) {
		return fmt.Sprintf("%q and %q of two patients", dates[0], dates[1])
	}
	return ""
}

// seededIn tells what of that which is seeded is left, in whatever form.
func seededIn(out []byte, ds *stream.DataSet, f family) string {
	for _, secret := range append(seededTexts, f.name) {
		for form, b := range seededForms()[secret] {
			if bytes.Contains(out, b) {
				return secret + " as " + form
			}
		}
	}
	var found string
	walk(ds, func(_ []dict.Tag, e stream.Element, in *stream.DataSet) {
		for _, secret := range []string{seededWord, f.name, seededUID} {
			if strings.Contains(in.String(e.Tag), secret) || bytes.Contains(e.Value, []byte(secret)) {
				found = fmt.Sprintf("%s in %s", secret, e.Tag)
			}
		}
	})
	return found
}

// datesOf returns all dates of an instance.
func datesOf(ds *stream.DataSet) (all []string) {
	walk(ds, func(_ []dict.Tag, e stream.Element, in *stream.DataSet) {
		if vr := dict.VROf(e.Tag); vr == dict.DA || vr == dict.DT || e.VR == dict.DA || e.VR == dict.DT {
			all = append(all, fmt.Sprint(e.Tag, in.String(e.Tag)))
		}
	})
	return all
}

// TestWriteCorpus writes the seeded corpus, and each sibling at one depth, in one encoding and one character set, as
// files into the folder that
// ADIT_WRITE_CORPUS names: what the browser's module is held against (TestSameAsServer of wasm).
func TestWriteCorpus(t *testing.T) {
	dir := os.Getenv("ADIT_WRITE_CORPUS")
	if dir == "" {
		dir = t.TempDir()
	}
	n := 0
	write := func(ds *stream.DataSet, syntax string, data []byte) {
		n++
		meta := stream.FileMeta{
			MediaStorageSOPClassUID:    ds.String(dict.SOPClassUID),
			MediaStorageSOPInstanceUID: ds.String(dict.SOPInstanceUID), TransferSyntaxUID: syntax,
		}
		require.NoError(t,
			os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.dcm", n)), append(meta.AppendTo(nil), data...),
				0o600),
		)
	}
	for _, x := range seededCorpus(t) {
		write(x.before, x.syntax, x.in)
	}
	for _, k := range kinds() {
		for i, s := range k.siblings {
			depth := i % len(depths)
			if k.verdict == notSent {
				depth = 0
			}
			ds, in, syntax := kindObject(
				t, s, families[i%len(families)], depth, kindEncodings[(n+i)%len(kindEncodings)],
				"PID-1", k.verdict == notSent,
			)
			write(ds, syntax, in)
		}
	}
	require.Greater(t, n, 200)
}
