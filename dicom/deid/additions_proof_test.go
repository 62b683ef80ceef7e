// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// judgement is a row of additions.txt.
type judgement struct {
	tag, keyword, action string
	options              []string
	reason               string
}

// readAdditions reads additions.txt, of which the engine holds what doesn't stay.
func readAdditions(t testing.TB) []judgement {
	b, err := os.ReadFile("internal/table/additions.txt")
	require.NoError(t, err)
	var all []judgement
	reason := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if r, ok := strings.CutPrefix(line, "= "); ok {
			reason = r
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		require.GreaterOrEqual(t, len(f), 3, line)
		all = append(all, judgement{f[0], f[1], f[2], f[3:], reason})
	}
	return all
}

// additionSample makes an attribute of additions.txt.
func additionSample(t testing.TB, e dict.Entry) stream.Element {
	if e.VR == dict.AT {
		return stream.Element{Tag: e.Tag, VR: e.VR, Value: []byte{8, 0, 0x18, 0}}
	}
	return sample(t, e.Tag, vrOf(t, e.Tag), single)
}

// mustBeJudged reports whether an attribute may say who somebody is, in text or as a date: these don't stay unless
// somebody said so.
func mustBeJudged(vr dict.VR) bool {
	switch vr {
	case dict.UR, dict.UC, dict.UT, dict.LT, dict.ST, dict.LO, dict.SH, dict.PN, dict.AE, dict.AS, dict.DA,
		dict.DT, dict.TM:
		return true
	}
	return false
}

// TestJudged: each attribute of the dictionary with text or a date is a row of Table E.1-1, or judged in additions.txt,
// once and with a reason. Groups below 0008 are of messages, files and directories, and never stay.
func TestJudged(t *testing.T) {
	listed := map[dict.Tag]bool{}
	for _, r := range readTable(t) {
		if tag, ok := r.tag(); ok {
			listed[tag] = true
		}
	}
	judged := map[string]bool{}
	for _, j := range readAdditions(t) {
		require.False(t, judged[j.tag], "%s is judged twice", j.tag)
		require.NotEmpty(t, j.reason, j.tag)
		require.Contains(t, []string{"X", "Z", "D", "K", "C"}, j.action, j.tag)
		judged[j.tag] = true
		if j.keyword == "-" {
			continue
		}
		e, ok := dict.ByKeyword(j.keyword)
		require.True(t, ok && e.Tag.String() == j.tag, "%s is not %s", j.keyword, j.tag)
		require.False(t, listed[e.Tag], "%s %s is a row of Table E.1-1", j.tag, j.keyword)
	}
	for tag := range dict.All() {
		e, _ := dict.Lookup(tag)
		switch {
		case e.Tag.Group() < 8, listed[e.Tag], judged[e.Tag.String()]:
		case e.Tag>>24 == 0x50, e.Tag>>24 == 0x60: // rows of the table that stand for all tags of these groups
		case judged[pattern(e)]:
		case mustBeJudged(e.VR), e.Keyword == "" && e.VR == dict.OB: // OB stands for a VR that PS3.6 doesn't tell
			t.Errorf("nobody judged %s %s (%s): say in additions.txt whether it stays, and why", e.Tag, e.Keyword, e.VR)
		}
	}
}

// pattern returns the row of a repeating group.
func pattern(e dict.Entry) string {
	switch {
	case !e.Retired:
	case e.Keyword == "":
		return e.Tag.String()
	case e.Tag>>8 == 0x002031, e.Tag>>8 == 0x002804, e.Tag>>8 == 0x002808:
		return fmt.Sprintf("(%04X,%02Xxx)", e.Tag.Group(), uint8(e.Tag>>8))
	case e.Tag>>16 == 0x1000, e.Tag>>16 == 0x1010:
		return fmt.Sprintf("(%04X,xxxx)", e.Tag.Group())
	case e.Tag>>24 == 0x7F:
		return "(7Fxx,xxxx)"
	}
	return ""
}

// TestBeyondTable names attributes that Table E.1-1 forgets. The default profile, the basic one and that of the
// original leave nothing of them, at top level and in an item, before and behind the pixel data.
func TestBeyondTable(t *testing.T) {
	const secret = "Meierschmidt"
	coded := func(tag dict.Tag) func(*stream.DataSet) {
		return func(ds *stream.DataSet) {
			var item stream.DataSet
			item.Set(dict.CodeValue, "4711")
			item.Set(dict.CodingSchemeDesignator, "99LOCAL")
			item.Set(dict.CodeMeaning, secret)
			ds.SetSequence(tag, &item)
		}
	}
	text := func(tag dict.Tag) func(*stream.DataSet) {
		return func(ds *stream.DataSet) { ds.Set(tag, secret) }
	}
	raw := func(tag dict.Tag, vr dict.VR) func(*stream.DataSet) {
		return func(ds *stream.DataSet) { ds.Put(stream.Element{Tag: tag, VR: vr, Value: []byte(secret)}) }
	}
	issuer := func(tag dict.Tag) func(*stream.DataSet) {
		return func(ds *stream.DataSet) {
			var item stream.DataSet
			item.Set(dict.LocalNamespaceEntityID, secret)
			item.Set(dict.UniversalEntityID, secret)
			item.Set(dict.UniversalEntityIDType, "DNS")
			ds.SetSequence(tag, &item)
		}
	}
	encrypted := func(ds *stream.DataSet) {
		var item stream.DataSet
		item.Set(dict.EncryptedContentTransferSyntaxUID, dict.ExplicitVRLittleEndian)
		item.Put(stream.Element{Tag: dict.EncryptedContent, VR: dict.OB, Value: []byte(secret)})
		ds.SetSequence(dict.EncryptedAttributesSequence, &item)
	}
	private := func(ds *stream.DataSet) {
		var item, definition stream.DataSet
		definition.Set(dict.PrivateDataElementName, secret)
		item.Set(dict.PrivateCreatorReference, secret)
		item.SetSequence(dict.PrivateDataElementDefinitionSequence, &definition)
		ds.SetSequence(dict.PrivateDataElementCharacteristicsSequence, &item)
	}
	for name, put := range map[string]func(*stream.DataSet){
		"birth date of another calendar": text(dict.PatientBirthDateInAlternativeCalendar),
		"death date of another calendar": text(dict.PatientDeathDateInAlternativeCalendar),
		"the other calendar":             raw(dict.PatientAlternativeCalendar, dict.CS),
		"Retrieve URL":                   text(dict.RetrieveURL),
		"Retrieve URI":                   text(dict.RetrieveURI),
		"Pixel Data Provider URL":        text(dict.PixelDataProviderURL),
		"Storage URL":                    text(dict.StorageURL),
		"Contact URI":                    text(dict.ContactURI),
		"Coding Scheme URL":              text(dict.CodingSchemeURL),
		"relative URI":                   text(dict.RelativeURIReferenceWithinEncapsulatedDocument),
		"Contact Display Name":           text(dict.ContactDisplayName),
		"comments on the scheduled step": text(dict.CommentsOnTheScheduledProcedureStep),
		"NTP Source Address":             text(dict.NTPSourceAddress),
		"HL7 Instance Identifier":        text(dict.HL7InstanceIdentifier),
		"Document Title":                 text(dict.DocumentTitle),
		"issuer of accession number":     issuer(dict.IssuerOfAccessionNumberSequence),
		"issuer of patient ID":           issuer(dict.IssuerOfPatientIDQualifiersSequence),
		"order placer":                   issuer(dict.OrderPlacerIdentifierSequence),
		"order filler":                   issuer(dict.OrderFillerIdentifierSequence),
		"assigning facility":             issuer(dict.AssigningFacilitySequence),
		"assigning jurisdiction":         coded(dict.AssigningJurisdictionCodeSequence),
		"assigning agency":               coded(dict.AssigningAgencyOrDepartmentCodeSequence),
		"universal ID elsewhere":         text(dict.UniversalEntityID),
		"local ID elsewhere":             text(dict.LocalNamespaceEntityID),
		"human performer":                coded(dict.HumanPerformerCodeSequence),
		"requesting service":             coded(dict.RequestingServiceCodeSequence),
		"responsible group":              coded(dict.ResponsibleGroupCodeSequence),
		"requesting physician":           coded(dict.RequestingPhysicianIdentificationSequence),
		"discharge diagnosis":            coded(dict.DischargeDiagnosisCodeSequence),
		"interpretation diagnosis":       coded(dict.InterpretationDiagnosisCodeSequence),
		"RT diagnosis":                   coded(dict.RTDiagnosisCodeSequence),
		"Encrypted Attributes Sequence":  encrypted,
		"Encrypted Content alone":        raw(dict.EncryptedContent, dict.OB),
		"signature alone":                raw(dict.Signature, dict.OB),
		"private definitions":            private,
		"(0020,31xx)":                    raw(0x002031AB, dict.CS),
		"(0020,3402)":                    raw(dict.ModifiedImageID, dict.CS),
		"(0028,04x2)":                    raw(0x00280412, dict.LO),
		"(0028,0400)":                    raw(dict.TransformLabel, dict.LO),
		"(0028,08x0)":                    raw(0x00280820, dict.CS),
		"(1000,xxx0)":                    raw(0x10000120, dict.US),
		"(1010,xxxx)":                    raw(0x10101234, dict.US),
		"(7F02,0010)":                    raw(0x7F020010, dict.OW),
		"(5002,2500)":                    raw(0x50022500, dict.LO),
		"(6012,1500)":                    raw(0x60121500, dict.LO),
		"(7FE0,0030)":                    raw(dict.CoefficientsSDHN, dict.OW),
		"(7FE2,0010)":                    raw(0x7FE20010, dict.OW),
	} {
		for _, syntax := range []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian} {
			for _, profile := range deid.BuiltinProfiles() {
				t.Run(name+" "+profile+" "+syntax, func(t *testing.T) {
					var ds, item stream.DataSet
					put(&item)
					put(&ds)
					ds.SetSequence(dict.SharedFunctionalGroupsSequence, &item)
					ds.Set(dict.SOPClassUID, dict.CTImageStorage)
					ds.Set(dict.SOPInstanceUID, "1.2.3")
					ds.Set(dict.PatientID, "PID-1")
					ds.SetBytes(dict.PixelData, dict.OW, make([]byte, 64))
					p, _ := deid.BuiltinProfile(profile)
					b, _, err := rewrite(sessionFor(t, p, proofKey(1), &ds), encode(t, &ds, syntax), syntax)
					require.NoError(t, err)
					require.False(t, bytes.Contains(b, []byte(secret)))
					require.True(t, parse(t, b, syntax).Has(dict.PixelData))
				})
			}
		}
	}
}

// TestAdditions holds the engine against each row of additions.txt: under the basic profile with and without the row's
// option, under the default, and under that of the original.
func TestAdditions(t *testing.T) {
	rows := slices.DeleteFunc(readAdditions(t), func(j judgement) bool { return j.keyword == "-" })
	var ds stream.DataSet
	cases := map[dict.Tag]judgement{}
	for _, j := range rows {
		e, _ := dict.ByKeyword(j.keyword)
		cases[e.Tag] = j
		ds.Put(additionSample(t, e))
	}
	own := []dict.Tag{dict.DeidentificationMethod}
	ds.Set(dict.SOPClassUID, dict.CTImageStorage)
	ds.Set(dict.SOPInstanceUID, "1.2.3")
	ds.Set(dict.PatientID, "PID-1")
	judge := func(t *testing.T, p *deid.Profile, options ...string) {
		b, _, err := rewrite(
			sessionFor(t, p, proofKey(1), &ds),
			encode(t, &ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
		)
		require.NoError(t, err)
		out := parse(t, b, dict.ExplicitVRLittleEndian)
		for tag, j := range cases {
			if slices.Contains(own, tag) {
				continue
			}
			action := j.action
			for _, o := range j.options {
				if option, letter, _ := strings.Cut(o, "="); slices.Contains(options, option) {
					action = letter
				}
			}
			before, _ := ds.Get(tag)
			after, there := out.Get(tag)
			said := strings.TrimRight(string(after.Value), " \x00")
			what := fmt.Sprintf("%s %s: %s: %q", tag, tag.Keyword(), action, said)
			switch action {
			case "X":
				require.False(t, there, what)
			case "Z":
				require.True(t, there && len(after.Value) == 0 && len(after.Items) == 0, what)
			case "D":
				require.True(t, there && said != "" && !strings.Contains(said, mark(tag)) &&
					!bytes.Equal(before.Value, after.Value), what)
			case "C":
				if len(before.Items) > 0 {
					require.True(t, len(after.Items) > 0 && !strings.Contains(string(encode(t, after.Items[0],
						dict.ExplicitVRLittleEndian)), mark(tag)), what)
					continue
				}
				require.Equal(t, "CT", said, what)
			case "K":
				require.Equal(t, before.Value, after.Value, what)
			}
		}
	}
	judge(t, loadProfile(t))
	for _, c := range tableColumns {
		if c.option != "" {
			judge(t, loadProfile(t, c.option), c.option)
		}
	}
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	judge(t, p, "modified-dates", "retain-patient-characteristics", "clean-descriptors", "retain-safe-private")

	// Under the original's base, short descriptions stay and identifiers are hashed, as of the table's own rows.
	p, _ = deid.BuiltinProfile("adit")
	b, _, err := rewrite(
		sessionFor(t, p, proofKey(1), &ds), encode(t, &ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
	)
	require.NoError(t, err)
	out := parse(t, b, dict.ExplicitVRLittleEndian)
	require.Contains(t, out.String(dict.AcquisitionProtocolName), mark(dict.AcquisitionProtocolName))
	require.Regexp(t, "^[A-Z0-9]{14}$", out.String(dict.DeviceID))
	for tag, j := range cases {
		e, _ := out.Get(tag)
		short := e.VR == dict.LO || e.VR == dict.SH || e.VR == dict.CS
		if j.action == "K" || j.action == "C" || slices.Contains(own, tag) ||
			short && slices.Contains(j.options, "clean-descriptors=C") {
			continue
		}
		require.NotContains(t, string(e.Value), mark(tag), "%s %s", tag, tag.Keyword())
	}
}

// TestAdditionsAreExplained: a report names the addition and its reason.
func TestAdditionsAreExplained(t *testing.T) {
	var ds stream.DataSet
	ds.Set(dict.SOPClassUID, dict.CTImageStorage)
	ds.Set(dict.SOPInstanceUID, "1.2.3")
	ds.Set(dict.PatientID, "PID-1")
	ds.Set(dict.RetrieveURL, "http://pacs.example/wado")
	ds.Put(stream.Element{Tag: 0x00203102, VR: dict.CS, Value: []byte("ABCD")})
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	in := encode(t, &ds, dict.ExplicitVRLittleEndian)
	o, err := stream.Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, stream.Limits{})
	require.NoError(t, err)
	defer o.Close()
	list, _, err := sessionFor(t, p, proofKey(1), &ds).Explain(o)
	require.NoError(t, err)
	why := map[string]string{}
	for _, x := range list {
		why[x.Path] = x.Rule
	}
	require.Contains(t, why["(0008,1190)"], "added to Table E.1-1: X. Addresses")
	require.Contains(t, why["(0020,3102)"], "added to Table E.1-1: X. Repeating groups")
}

// TestAdditionsInTheDocs: docs/deidentification.md shows additions.txt as it is
// (go test ./dicom/deid -run AdditionsInTheDocs -update writes it).
func TestAdditionsInTheDocs(t *testing.T) {
	var b strings.Builder
	b.WriteString("| Why | What: action, and what it becomes under an option |\n|---|---|\n")
	last := ""
	for _, j := range readAdditions(t) {
		if j.reason != last {
			if last != "" {
				b.WriteString(" |\n")
			}
			last = j.reason
			fmt.Fprintf(&b, "| %s | ", j.reason)
		} else {
			b.WriteString(", ")
		}
		name := j.tag
		if j.keyword != "-" {
			name = j.tag + " " + j.keyword
		}
		fmt.Fprintf(&b, "%s %s", name, strings.Join(append([]string{j.action}, j.options...), " "))
	}
	b.WriteString(" |\n")
	const path, begin, end = "../../docs/deidentification.md", "<!-- additions: begin -->\n", "<!-- additions: end -->"
	doc, err := os.ReadFile(path)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(doc), begin)
	require.True(t, ok)
	was, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if *updateDocs {
		require.NoError(t, os.WriteFile(path, []byte(head+begin+b.String()+end+tail), 0o600))
		return
	}
	require.Equal(t, was, b.String(),
		"docs/deidentification.md shows other additions: go test ./dicom/deid -run AdditionsInTheDocs -update")
}
