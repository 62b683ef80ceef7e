// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestScanIsSilent: what the engine gives as it should makes the scan find nothing, on the seeded corpus, on phantoms
// and on foreign files, under each built-in profile. A scan that shouts at clean data is switched off.
func TestScanIsSilent(t *testing.T) {
	for _, name := range deid.BuiltinProfiles() {
		p, _ := deid.BuiltinProfile(name)
		t.Run(name, func(t *testing.T) {
			scanned := 0
			for _, x := range seededCorpus(t) {
				s, err := p.Session(deid.Subject{
					Key:       proofKey(3).OfPatient(deid.PatientIdentity(x.person.id, "", "")),
					Patient:   deid.PatientIdentity(x.person.id, "", ""),
					Pseudonym: x.person.pseudonym(), Scan: true,
				})
				require.NoError(t, err)
				_, _, err = rewrite(s, x.in, x.syntax)
				if name == "adit" { // it keeps short descriptions, in which the corpus has names
					require.True(t, heldBack(err))
					continue
				}
				require.NoError(t, err, "%s of %s", x.kind, x.person.id)
				scanned++
			}
			for _, f := range append(phantomFiles(t), pydicomFiles(t)...) {
				o, err := stream.Open(bytes.NewReader(f.data), f.syntax, stream.Limits{})
				require.NoError(t, err)
				h := o.Header()
				s, err := p.Session(deid.Subject{
					Key: proofKey(3).OfPatient(
						deid.PatientIdentity(h.Text(dict.PatientID), "", h.Text(dict.StudyInstanceUID)),
					),
					Patient:   deid.PatientIdentity(h.Text(dict.PatientID), "", h.Text(dict.StudyInstanceUID)),
					Pseudonym: proofPseudonym, Scan: true,
				})
				require.NoError(t, err)
				if _, err = s.Rewrite(o); err == nil {
					_, err = io.Copy(io.Discard, o)
					scanned++
				}
				if heldBack(err) {
					t.Errorf("%s: %v", f.name, err)
				}
			}
			require.Greater(t, scanned, 100)
		})
	}
}

// heldBack reports whether the scan has found something.
func heldBack(err error) bool {
	u, ok := errors.AsType[*deid.UnsafeError](err)
	return ok && u.Reason == deid.IdentifierLeft
}

// scanning begins a session that scans, for a person of the corpus.
func (p *person) scanning(t testing.TB, profile *deid.Profile) *deid.Session {
	t.Helper()
	s, err := profile.Session(deid.Subject{
		Key:     proofKey(3).OfPatient(deid.PatientIdentity(p.id, "", "")),
		Patient: deid.PatientIdentity(p.id, "", ""), Pseudonym: p.pseudonym(), Scan: true,
	})
	require.NoError(t, err)
	return s
}

// TestScanFindsBrokenRules: a rule that is broken on purpose is found, for names, numbers, addresses, dates, UIDs, and
// text that is cleaned. The long form tries every object of the corpus.
func TestScanFindsBrokenRules(t *testing.T) { brokenRules(t, 4) }

// brokenRules tries, for each rule, one of so many objects that it is about.
func brokenRules(t *testing.T, oneOf int) {
	t.Helper()
	for _, c := range []struct {
		tag  dict.Tag
		kind deid.Kind
	}{
		{dict.ReferringPhysicianName, deid.NameLeft},
		{dict.OperatorsName, deid.NameLeft},
		{dict.AccessionNumber, deid.NumberLeft},
		{dict.DeviceSerialNumber, deid.NumberLeft},
		{dict.StationName, deid.NumberLeft},
		{dict.InstitutionName, deid.AddressLeft},
		{dict.PatientAddress, deid.AddressLeft},
		{dict.PatientTelephoneNumbers, deid.AddressLeft},
		{dict.StudyDate, deid.DateLeft},
		{dict.AcquisitionDateTime, deid.DateLeft},
		{dict.PatientBirthDate, deid.DateLeft},
		{dict.StudyInstanceUID, deid.UIDLeft},
		{dict.FrameOfReferenceUID, deid.UIDLeft},
		{dict.StudyDescription, deid.WordLeft},
		{dict.ImageComments, deid.WordLeft},
		{dict.MedicalRecordLocator, deid.NumberLeft},
		{dict.Occupation, deid.WordLeft},
		{dict.OtherPatientIDsSequence, deid.ValueLeft},
		{dict.OperatorIdentificationSequence, deid.ValueLeft},
	} {
		for _, name := range []string{deid.DefaultProfile, "ps3.15-basic"} {
			p, _ := deid.BuiltinProfile(name)
			p = p.Broken(c.tag)
			met, tried := 0, 0
			for _, x := range seededCorpus(t) {
				if !x.before.Has(c.tag) {
					continue
				}
				if met++; met%oneOf != 1%oneOf {
					continue
				}
				_, _, err := rewrite(x.person.scanning(t, p), x.in, x.syntax)
				require.True(t, heldBack(err), "%s under %s, %s of %s: %v", c.tag, name, x.kind, x.person.id, err)
				kind := string(c.kind)
				if kind == string(deid.WordLeft) && name != deid.DefaultProfile {
					kind = "still holds"
				}
				require.ErrorContains(t, err, kind, "%s under %s", c.tag, name)
				require.ErrorContains(t, err, c.tag.String())
				for _, id := range x.person.identifiers() {
					require.NotContains(t, err.Error(), id, "an error holds no value")
				}
				tried++
			}
			if c.tag != dict.OperatorIdentificationSequence {
				require.NotZero(t, tried, c.tag)
			}
		}
	}
}

// TestScanFindsCopies: each identifier of the corpus, in each of the forms in which text may hide, is found where no
// rule looks: in text that the table doesn't list, in bytes, in a sequence, in a safe private attribute.
func TestScanFindsCopies(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	for i := range seededPatients {
		person := &seededPatients[i]
		var ct *instance
		for _, x := range seededCorpus(t) {
			if x.person.id == person.id && x.kind == "CT" {
				ct = x
				break
			}
		}
		uid := ct.before.String(dict.SeriesInstanceUID)
		s := person.scanning(t, p)
		for _, id := range append(person.identifiers(), uid) {
			written := forms(id)
			for shift := range 3 { // forms gives only what doesn't depend on what stands around
				written[fmt.Sprint("base64 at ", shift)] = []byte(
					base64.StdEncoding.EncodeToString([]byte("::"[:shift] + id + ";")),
				)
			}
			for name, b := range written {
				if len(b) < 10 && name != "UTF-8" {
					continue // of a few letters
				}
				for where, put := range map[string]func(ds *stream.DataSet){
					"bytes": func(ds *stream.DataSet) {
						ds.Put(stream.Element{Tag: dict.ICCProfile, VR: dict.OB, Value: pad(
							append([]byte("acsp\x00\x01\x02 "), append(b, 0, 3, 7)...),
						)})
					},
					"sequence": func(ds *stream.DataSet) {
						var item stream.DataSet
						item.Put(stream.Element{
							Tag: dict.ICCProfile, VR: dict.OB, Value: pad(append([]byte{1, 2, 3, 4}, b...)),
						})
						ds.SetSequence(dict.SharedFunctionalGroupsSequence, &item)
					},
					"text": func(ds *stream.DataSet) {
						if utf8Text(b) {
							require.NoError(t, ds.SetCharset("ISO_IR 192"))
							ds.Put(stream.Element{
								Tag: dict.PulseSequenceName, VR: dict.LO, Value: pad(append([]byte("a: "), b...)),
							})
						}
					},
				} {
					if len(b)-4*bytes.Count(b, []byte{0x1b}) < 9 && where != "text" {
						continue // of a few letters, whatever escapes to another set stand beside them
					}
					ds := parse(t, ct.in, ct.syntax)
					if where == "text" && !utf8Text(b) {
						continue
					}
					put(ds)
					_, _, err := rewrite(s, encode(t, ds, ct.syntax), ct.syntax)
					require.True(t, heldBack(err), "%q as %s in %s: %v", id, name, where, err)
				}
			}
		}
	}
}

func utf8Text(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsAny(b, "\x00\x1b")
}

// TestScanIsSilentByChance: what looks like the patient's, but stands in clean instances too, is no finding.
func TestScanIsSilentByChance(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	base := parse(t, seededCorpus(t)[0].in, seededPatients[0].syntax)
	study := base.String(dict.StudyDate)
	out, _, err := rewrite(
		sessionFor(t, p, proofKey(3), base), encode(t, base, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
	)
	require.NoError(t, err)
	shifted := parse(t, out, dict.ExplicitVRLittleEndian).String(dict.StudyDate)
	for name, set := range map[string]func(ds *stream.DataSet){
		"a date that another one is shifted to": func(ds *stream.DataSet) { ds.Set(dict.SeriesDate, shifted); ds.Set(dict.StudyDate, study) },
		"a name that is a word of the standard": func(ds *stream.DataSet) {
			ds.Set(dict.ReferringPhysicianName, "White^Long")
			ds.SetSequence(dict.AnatomicRegionSequence, code("1", "DCM", "White matter, long axis"))
		},
		"a patient called Kopf": func(ds *stream.DataSet) {
			ds.Set(dict.PatientName, "Kopf^Hand")
			ds.Set(dict.StudyDescription, "Kopf nativ")
		},
		"a short name within a word": func(ds *stream.DataSet) {
			ds.Set(dict.ReferringPhysicianName, "Tra^Ax")
			ds.Set(dict.SequenceName, "traverse")
		},
		"a firm's name": func(ds *stream.DataSet) {
			ds.Set(dict.OperatorsName, "Acmescan^Service")
			ds.Set(dict.Manufacturer, "ACMESCAN")
		},
		"an ID that is a time":  func(ds *stream.DataSet) { ds.Set(dict.AccessionNumber, "101112"); ds.Set(dict.StudyTime, "101112") },
		"an ID that is a count": func(ds *stream.DataSet) { ds.Set(dict.StudyID, "12"); ds.Set(dict.SeriesNumber, "12") },
		"an ID of a word":       func(ds *stream.DataSet) { ds.Set(dict.StationName, "AXIAL") },
		"a number within another": func(ds *stream.DataSet) {
			ds.Set(dict.AccessionNumber, "654321")
			ds.Set(dict.SequenceName, "76543210")
		},
		"no number": func(ds *stream.DataSet) {
			ds.Set(dict.DeviceSerialNumber, "000000")
			ds.Set(dict.SequenceName, "000000")
		},
		"a version like a UID": func(ds *stream.DataSet) {
			ds.Set(dict.StudyInstanceUID, "1.2.3.4")
			ds.Set(dict.SoftwareVersions, "1.2.3.4")
		},
		"a class like a UID": func(ds *stream.DataSet) {
			ds.Set(dict.FrameOfReferenceUID, "1.2.3.4.5.6.7.8")
			ds.Set(dict.CodingSchemeUID, "1.2.3.4.5.6.7.8")
		},
		"a placeholder": func(ds *stream.DataSet) {
			ds.Set(dict.PatientBirthDate, "19000101")
			ds.Set(dict.SequenceName, "1900-01-01")
		},
		"what says nothing already": func(ds *stream.DataSet) { ds.Set(dict.InstitutionName, "ANON"); ds.Set(dict.StructureSetLabel, "ANON") },
		"a department like a procedure": func(ds *stream.DataSet) {
			ds.Set(dict.InstitutionName, "Radiology Department")
			ds.Set(dict.PulseSequenceName, "Radiology Department")
		},
	} {
		ds := parse(t, encode(t, base, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
		set(ds)
		s, err := p.Session(deid.Subject{
			Key:       proofKey(3).OfPatient(deid.PatientIdentity(ds.String(dict.PatientID), "", "")),
			Patient:   deid.PatientIdentity(ds.String(dict.PatientID), "", ""),
			Pseudonym: proofPseudonym, Scan: true,
		})
		require.NoError(t, err)
		_, _, err = rewrite(s, encode(t, ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
		require.NoError(t, err, name)
	}
}

// TestScanHeedsTheProfile: what a profile keeps on purpose is no finding, wherever it stands.
func TestScanHeedsTheProfile(t *testing.T) {
	for name, profile := range map[string]string{
		"everything that can be retained": "options: [full-dates, retain-uids, retain-device-identity, retain-institution-identity, retain-patient-characteristics, " +
			"retain-safe-private, clean-descriptors]",
		"an accession number": "overrides: [{keyword: AccessionNumber, action: keep}, {keyword: StudyID, action: keep}, {keyword: RequestedProcedureID, action: keep}]",
		"a private block":     "overrides: [{tag: \"(0009,xx04)\", creator: ACME 1.0, action: keep}]",
	} {
		p, err := deid.LoadProfile([]byte("name: test\nversion: \"1\"\nbase: ps3.15-basic\n" + profile))
		require.NoError(t, err, name)
		for _, x := range seededCorpus(t) {
			if name == "a private block" && x.kind != "CT" {
				continue
			}
			_, _, err := rewrite(x.person.scanning(t, p), x.in, x.syntax)
			if name == "a private block" {
				require.True(t, heldBack(err), "it holds the patient's ID, whatever the profile says")
				continue
			}
			require.NoError(t, err, "%s: %s of %s", name, x.kind, x.person.id)
		}
	}
}

// TestScanOfTheDeidentified: an instance that came out of a profile goes through it again.
func TestScanOfTheDeidentified(t *testing.T) {
	for _, name := range deid.BuiltinProfiles() {
		p, _ := deid.BuiltinProfile(name)
		ds := aCT(t)
		b, _, err := rewrite(
			sessionFor(t, p, proofKey(1), ds), encode(t, ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
		)
		require.NoError(t, err)
		again := parse(t, b, dict.ExplicitVRLittleEndian)
		again.Set(dict.PatientID, "LOCAL-1")
		again.Set(dict.PatientName, "LOCAL-1")
		require.NoError(t, scanned(t, p, again), name)
	}
}
