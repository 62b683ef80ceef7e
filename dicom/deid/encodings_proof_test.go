// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// everyEncoding are those that one instance must come out of with the same content.
var everyEncoding = []string{
	dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian,
	dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian, asUN,
}

// outcomes returns what becomes of one instance in each encoding, as text without VRs: "refused" where it isn't sent.
func outcomes(t testing.TB, p *deid.Profile, ds *stream.DataSet) map[string]string {
	all := map[string]string{}
	for _, encoding := range everyEncoding {
		in, syntax := ds, encoding
		switch encoding {
		case asUN:
			in, syntax = allUN(t, ds), dict.ExplicitVRLittleEndian
		case dict.ExplicitVRBigEndian:
			in = swapped(ds)
		}
		b, _, err := rewrite(sessionFor(t, p, proofKey(1), ds), encode(t, in, syntax), syntax)
		if err != nil {
			all[encoding] = "refused"
			continue
		}
		var text strings.Builder
		dump(t, &text, parse(t, b, syntax), syntax == dict.ExplicitVRBigEndian, "")
		all[encoding] = text.String()
	}
	return all
}

// allUN returns a data set with its private elements, and some of the others, as UN.
func allUN(t testing.TB, ds *stream.DataSet) *stream.DataSet {
	var out stream.DataSet
	for e := range ds.All() {
		if !e.Tag.IsPrivateCreator() && e.Tag.Group() > 8 {
			e = undefinedVR(t, e)
		}
		out.Put(e)
	}
	return &out
}

// swapped returns a data set with its numbers in the other byte order.
func swapped(ds *stream.DataSet) *stream.DataSet {
	var out stream.DataSet
	for e := range ds.All() {
		e.Value = swap(e.Value, e.VR)
		items := make([]*stream.DataSet, len(e.Items))
		for i, item := range e.Items {
			items[i] = swapped(item)
		}
		e.Items = items
		out.Put(e)
	}
	return &out
}

func swap(value []byte, vr dict.VR) []byte {
	v, w := slices.Clone(value), vr.Width()
	for i := 0; i+w <= len(v); i += w {
		slices.Reverse(v[i : i+w])
	}
	return v
}

// dump writes a data set as text: values little endian, sequences whatever VR they came in.
func dump(t testing.TB, to *strings.Builder, ds *stream.DataSet, big bool, indent string) {
	for e := range ds.All() {
		if e.Tag.IsGroupLength() {
			continue
		}
		items := e.Items
		if e.VR == dict.UN && len(e.Value) >= 8 && string(e.Value[:4]) == "\xfe\xff\x00\xe0" {
			items = itemsOf(t, stream.Element{Tag: dict.SharedFunctionalGroupsSequence, VR: dict.UN, Value: e.Value})
		}
		if len(items) > 0 {
			fmt.Fprintf(to, "%s%s sequence\n", indent, e.Tag)
			for _, item := range items {
				dump(t, to, item, big && e.VR != dict.UN, indent+"  ")
			}
			continue
		}
		v := e.Value
		if big {
			v = swap(v, e.VR)
		}
		fmt.Fprintf(to, "%s%s %q\n", indent, e.Tag, strings.TrimRight(string(v), " \x00"))
	}
}

// TestOneAnswerOfPrivate: what becomes of a private attribute doesn't depend on whether its VR travels along.
func TestOneAnswerOfPrivate(t *testing.T) {
	var named stream.DataSet
	named.Set(dict.PatientName, "Meierschmidt^Hannelore")
	named.Set(dict.StudyDate, "20200315")
	for _, more := range []string{
		"", "modified-dates", "full-dates", "retain-safe-private", "retain-safe-private, modified-dates",
	} {
		for _, override := range []string{
			`{tag: "(0019,xx10)", creator: ACME, action: keep}`, `{tag: "(0019,xxxx)", action: keep}`,
			`{tag: "(0019,xx10)", creator: ACME, vr: DA, action: keep}`,
			`{tag: "(0019,xx10)", creator: ACME, vr: LO, action: keep}`,
			`{tag: "(0019,xx10)", creator: ACME, vr: SQ, action: keep}`,
			`{tag: "(0019,xx10)", creator: ACME, action: hash}`,
			`{tag: "(0019,xx10)", creator: ACME, action: clean}`,
			`{tag: "(0019,xx10)", creator: ACME, action: shift}`, `{tag: "(0019,xx10)", creator: ACME, action: uid}`,
			`{vr: LO, action: keep}`, `{vr: SH, action: hash}`, `{tag: "(xxxx,xx10)", vr: LO, action: keep}`,
		} {
			p, err := deid.LoadProfile(fmt.Appendf(
				nil, "name: proof\nversion: \"1\"\nbase: ps3.15-basic\noptions: [%s]\noverrides: [%s]\n",
				more, override,
			))
			if err != nil {
				require.ErrorContains(t, err, "gives the shift away") // {shift} beside full-dates
				continue
			}
			for _, e := range []stream.Element{
				{VR: dict.DA, Value: []byte("20200315")},
				{VR: dict.DA, Value: []byte(`20200315\20200316 `)},
				{VR: dict.DT, Value: []byte("20200315101500")},
				{VR: dict.DT, Value: []byte("2020")},
				{VR: dict.DT, Value: []byte("202003")},
				{VR: dict.LO, Value: []byte("before 2020 ")},
				{VR: dict.LO, Value: []byte("15.03.2020")},
				{VR: dict.LO, Value: []byte("CT Doe")},
				{VR: dict.LO, Value: []byte("Gr\xf6\xdfe")},
				{VR: dict.TM, Value: []byte("101500")},
				{VR: dict.UI, Value: []byte("1.2.276.0.7230010.3.1.4.1\x00")},
				{VR: dict.OB, Value: []byte{0xDE, 0xAD, 0xBE, 0xEF}},
				{VR: dict.US, Value: []byte{0x37, 0x93}},
				{VR: dict.SQ, Items: []*stream.DataSet{&named}},
			} {
				var ds stream.DataSet
				ds.Set(dict.SOPClassUID, dict.CTImageStorage)
				ds.Set(dict.SOPInstanceUID, "1.2.3")
				ds.Set(dict.PatientID, "PID-1")
				ds.SetVR(0x00190010, dict.LO, "ACME")
				e.Tag = 0x00191010
				ds.Put(e)
				all := outcomes(t, p, &ds)
				for encoding, got := range all {
					what := fmt.Sprintf("options %s, override %s, %s %q", more, override, e.VR, e.Value)
					require.Equal(t, all[dict.ExplicitVRLittleEndian], got, "%s: %s", encoding, what)
					require.NotContains(t, got, "Meierschmidt", what)
				}
			}
		}
	}
}

// TestOneAnswer: random instances, with private blocks, sequences within each other and values that aren't of their VR,
// have the same content after de-identification whatever they were encoded in.
func TestOneAnswer(t *testing.T) { oneAnswer(t, 20) }

func oneAnswer(t *testing.T, objects int) {
	t.Helper()
	profiles := map[string]*deid.Profile{}
	for _, name := range deid.BuiltinProfiles() {
		profiles[name], _ = deid.BuiltinProfile(name)
	}
	var err error
	profiles["own"], err = deid.LoadProfile([]byte(`{name: own, version: "1", base: ps3.15-basic, options: [modified-dates, clean-descriptors, clean-structured-content, retain-safe-private],
overrides: [{tag: "(0019,xxxx)", action: keep}, {tag: "(0021,xx01)", creator: ACME, vr: LO, action: clean}, {tag: "(0018,xxxx)", action: hash}, {vr: LO, action: keep}, {vr: CS, action: clean}]}`))
	require.NoError(t, err)
	var tags []dict.Tag
	for tag, mask := range dict.All() {
		if mask == 0xFFFFFFFF && tag.Group() >= 8 && tag.Group() < 0x7F00 &&
			!tag.IsGroupLength() && tag != dict.SpecificCharacterSet {
			tags = append(tags, tag)
		}
	}
	const seed = 11
	r := rand.New(rand.NewPCG(seed, seed))
	for range objects {
		ds := randomObject(t, r, tags, 3)
		ds.Set(dict.SOPClassUID, dict.CTImageStorage)
		ds.Set(dict.SOPInstanceUID, "1.2.3")
		ds.Set(dict.PatientID, "PID-1")
		ds.Set(dict.SpecificCharacterSet, "ISO_IR 100")
		ds.Set(dict.BurnedInAnnotation, "NO")
		for _, tag := range []dict.Tag{dict.ImageType, dict.StudyInstanceUID} {
			ds.Remove(tag)
		}
		for name, p := range profiles {
			all := outcomes(t, p, ds)
			require.NotEqual(t, "refused", all[dict.ExplicitVRLittleEndian])
			for encoding, got := range all {
				require.Equal(t, all[dict.ExplicitVRLittleEndian], got, "%s, profile %s", encoding, name)
			}
		}
	}
}

// safeVRs are those of Table E.3.10-1, where it has them.
var safeVRs = map[string]map[uint8]dict.VR{
	"HOLOGIC, Inc.":             {0x01: dict.LO, 0x02: dict.LO, 0x10: dict.SQ, 0x11: dict.SQ},
	"SIEMENS MR HEADER":         {0x0C: dict.IS},
	"Philips US Imaging DD 033": {0x01: dict.LO, 0x02: dict.LO},
}

// randomObject makes a data set, or an item.
func randomObject(t testing.TB, r *rand.Rand, tags []dict.Tag, depth int) *stream.DataSet {
	texts := []string{
		"Meier^Hanne", "CT Thorax", "20200315", "20200315101500", "2020", "101500",
		"1.2.276.0.7230010.3", "42", "CHEST", "", "ANON", "042Y", `A\B`, "Gr\xf6\xdfe",
	}
	var ds stream.DataSet
	text := func(e stream.Element) {
		v := []byte(texts[r.IntN(len(texts))])
		if len(v)%2 != 0 {
			v = append(v, e.VR.Padding())
		}
		e.Value = v
		ds.Put(e)
	}
	one := func(tag dict.Tag, vr dict.VR) {
		e := stream.Element{Tag: tag, VR: vr}
		switch {
		case vr == dict.SQ:
			if depth > 0 {
				for range r.IntN(3) {
					e.Items = append(e.Items, randomObject(t, r, tags, depth-1))
				}
			}
			if len(e.Items) > 0 {
				ds.Put(e)
			}
		case vr == dict.AT || !vr.Text():
			e.Value = make([]byte, max(4, 2*vr.Width()))
			for i := range e.Value {
				e.Value[i] = byte(0x80 | r.IntN(0x7F))
			}
			ds.Put(e)
		default:
			text(e)
		}
	}
	for range 12 {
		tag := tags[r.IntN(len(tags))]
		one(tag, dict.VROf(tag))
	}
	for i, block := range []struct {
		group   uint16
		creator string
	}{
		{0x0019, "ACME"},
		{0x0021, "ACME"},
		{0x7E01, "HOLOGIC, Inc."},
		{0x0019, "SIEMENS MR HEADER"},
		{0x200D, "Philips US Imaging DD 033"},
	} {
		if r.IntN(2) == 0 {
			continue
		}
		vrs := []dict.VR{dict.LO, dict.DA, dict.DT, dict.SH, dict.OB, dict.US, dict.SQ, dict.UI}
		number := uint16(0x10 + i)
		ds.SetVR(dict.NewTag(block.group, number), dict.LO, block.creator)
		for range 3 {
			element := uint8([]int{0x01, 0x02, 0x0C, 0x10, 0x11}[r.IntN(5)])
			vr := vrs[r.IntN(len(vrs))]
			if known, ok := safeVRs[block.creator][element]; ok {
				vr = known
			}
			one(dict.NewTag(block.group, number<<8|uint16(element)), vr)
		}
	}
	return &ds
}
