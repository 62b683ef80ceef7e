// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// value is what the attributes of an instance of the table test hold.
type value string

const (
	single    value = "single"    // one value; descriptors have a word of the vocabulary in it
	multi     value = "multi"     // two values where the VR allows
	empty     value = "empty"     //
	uncleaned value = "uncleaned" // what C can do nothing with: no word of the vocabulary, no day in the date
)

// place is where the attributes of an instance of the table test stand.
type place string

const (
	topLevel    place = "top level"
	threeDeep   place = "nested three deep"
	safePrivate place = "inside a safe private sequence"
	private     place = "inside a private sequence"
)

// The chain of sequences for threeDeep: none is a row of the table.
var chain = []dict.Tag{
	dict.SharedFunctionalGroupsSequence, dict.PixelMeasuresSequence, dict.CTAcquisitionDetailsSequence,
}

// asUN stands for explicit VR little endian with each attribute's VR given as UN.
const asUN = "UN"

// mark is text that no vocabulary has; every attribute has its own.
func mark(tag dict.Tag) string { return fmt.Sprintf("Q%08XQ", uint32(tag)) }

// sample makes an attribute.
func sample(t testing.TB, tag dict.Tag, vr dict.VR, v value) stream.Element {
	e := stream.Element{Tag: tag, VR: vr}
	if v == empty {
		return e
	}
	m := mark(tag)
	var texts []string
	switch vr {
	case dict.SQ:
		var item stream.DataSet
		item.Set(dict.ReferencedSOPInstanceUID, fmt.Sprintf("1.2.99.%d", uint32(tag)))
		item.Set(dict.PatientName, m)
		item.Set(dict.SliceThickness, "2.5")
		e.Items = []*stream.DataSet{&item}
		if v == multi {
			e.Items = append(e.Items, &stream.DataSet{})
		}
		return e
	case dict.DA:
		texts = []string{"20200315", "20201101"}
		if tag == dict.PatientBirthDate { // of which the others aren't to be one
			texts = []string{"19530817", "19531104"}
		}
		if v == uncleaned {
			texts = []string{"2020-Q"}
		}
	case dict.DT:
		texts = []string{"20200315101500.000000+0100", "20201101"}
		if v == uncleaned {
			texts = []string{"2020"}
		}
	case dict.TM:
		texts = []string{"101500", "111213.5"}
		if v == uncleaned {
			texts = []string{"10 " + m[:8]}
		}
	case dict.UI:
		texts = []string{fmt.Sprintf("1.2.99.%d", uint32(tag)), fmt.Sprintf("1.2.98.%d", uint32(tag))}
	case dict.AS:
		texts = []string{"042Y", "043Y"}
	case dict.DS, dict.IS:
		texts = []string{"7351", "7352"}
	case dict.UR:
		texts = []string{"http://" + strings.ToLower(m) + ".example/"}
	case dict.OB, dict.OW, dict.UN:
		e.Value = []byte{0xDE, 0xAD, 0xBE, 0xEF, byte(tag), byte(tag >> 8), byte(tag >> 16), byte(tag >> 24)}
		return e
	case dict.US:
		e.Value = []byte{0x37, 0x73}
		return e
	default:
		require.True(t, vr.Text(), "a sample for VR %s", vr)
		texts = []string{"CT " + m, "MR " + m}
		switch {
		case tag == dict.TimezoneOffsetFromUTC && v != uncleaned:
			texts = []string{"+0100", "+0200"}
		case v == uncleaned || vr == dict.PN:
			texts = []string{m, m}
		}
	}
	if v == multi && vr.MultiValued() && len(texts) > 1 {
		e.Value = []byte(strings.Join(texts[:2], `\`))
	} else {
		e.Value = []byte(texts[0])
	}
	if len(e.Value)%2 != 0 {
		e.Value = append(e.Value, vr.Padding())
	}
	return e
}

// undefinedVR returns an element with VR UN, and a sequence's items in implicit VR within it (PS3.5 6.2.2).
func undefinedVR(t testing.TB, e stream.Element) stream.Element {
	if e.VR == dict.SQ && len(e.Items) > 0 {
		var ds stream.DataSet
		ds.SetSequence(e.Tag, e.Items...)
		e.Value, e.Items = encode(t, &ds, dict.ImplicitVRLittleEndian)[8:], nil
	}
	e.VR = dict.UN
	return e
}

// repeated are the tags that stand for the rows of repeating groups.
var repeated = map[string][]dict.Tag{
	"50xxxxxx": {0x50000005, 0x50003000, 0x50100022, 0x501E2500},
	"60xx4000": {0x60004000, 0x600E4000},
	"60xx3000": {0x60003000, 0x60023000},
}

// A case of the table test.
type tableCase struct {
	row tableRow
	tag dict.Tag
	vr  dict.VR
}

// tableCases are the rows that may stand in a data set. The rest has tests of its own, or is named here: (0000,eeee)
// are of messages, which are never handed to the engine; (0002,0003) is file meta information, which callers write by
// MapUID.
func tableCases(t testing.TB) []tableCase {
	var cases []tableCase
	for _, r := range readTable(t) {
		tag, ok := r.tag()
		switch {
		case !ok:
			tags, known := repeated[r["id"]]
			if !known {
				require.Equal(t, "ggggeeee-where-gggg-is-odd", r["id"])
			}
			for _, tag := range tags {
				vr := dict.OW
				if tag&0xFFFF == 0x4000 || tag&0xFFFF == 0x2500 || tag&0xFFFF == 0x22 {
					vr = dict.LO
				}
				cases = append(cases, tableCase{r, tag, vr})
			}
		case tag.Group() == 0, tag.Group() == 2:
		default:
			cases = append(cases, tableCase{r, tag, vrOf(t, tag)})
		}
	}
	slices.SortFunc(cases, func(a, b tableCase) int { return int(int64(a.tag) - int64(b.tag)) })
	return cases
}

// tableObject is one instance with all attributes of the table.
type tableObject struct {
	where    place
	encoding string
	v        value
	ds       *stream.DataSet
	in       []byte
	syntax   string
}

func newTableObject(t testing.TB, cases []tableCase, where place, encoding string, v value) tableObject {
	var inner stream.DataSet
	for _, c := range cases {
		e := sample(t, c.tag, c.vr, v)
		if encoding == asUN {
			e = undefinedVR(t, e)
		}
		inner.Put(e)
	}
	ds := &inner
	switch where {
	case topLevel:
	case threeDeep:
		for _, sq := range slices.Backward(chain) {
			outer := &stream.DataSet{}
			outer.SetSequence(sq, ds)
			ds = outer
		}
	case safePrivate:
		outer := &stream.DataSet{}
		outer.SetVR(0x7E010010, dict.LO, "HOLOGIC, Inc.")
		outer.Put(stream.Element{Tag: 0x7E011010, VR: dict.SQ, Items: []*stream.DataSet{ds}})
		ds = outer
	case private:
		outer := &stream.DataSet{}
		outer.SetVR(0x00090010, dict.LO, "ACME 1.0")
		outer.Put(stream.Element{Tag: 0x00091001, VR: dict.SQ, Items: []*stream.DataSet{ds}})
		ds = outer
	}
	if where == topLevel && v == multi { // of these there is one
		for _, tag := range []dict.Tag{dict.PatientID, dict.StudyInstanceUID} {
			ds.Set(tag, ds.Strings(tag)[0])
		}
	}
	if where != topLevel {
		ds.Set(dict.PatientID, "PID-1")
		ds.Set(dict.StudyInstanceUID, "1.2.3.4")
		ds.Set(dict.SOPInstanceUID, "1.2.3.4.5")
	}
	ds.Set(dict.SOPClassUID, dict.CTImageStorage)
	syntax := encoding
	if encoding == asUN {
		syntax = dict.ExplicitVRLittleEndian
	}
	return tableObject{where, encoding, v, ds, encode(t, ds, syntax), syntax}
}

// The outcomes of an attribute.
type outcome string

const (
	gone     outcome = "gone"
	emptied  outcome = "empty"
	dummy    outcome = "dummy"    // a value, and not the one sent
	mapped   outcome = "mapped"   // UIDs replaced one by one
	same     outcome = "same"     //
	cleaned  outcome = "cleaned"  // only words of the vocabulary, and these
	shifted  outcome = "shifted"  // dates by days, 62 to 730 into the past
	recursed outcome = "recursed" // the sequence stays, its items are de-identified
)

// basicOutcomes returns what the Basic Profile column allows. D on an empty value may do nothing.
func basicOutcomes(action string, c tableCase, v value) []outcome {
	var all []outcome
	for a := range strings.SplitSeq(action, "/") {
		switch {
		case a == "X":
			all = append(all, gone)
		case a == "Z":
			all = append(all, emptied)
		case a == "D" && v == empty:
			all = append(all, dummy, emptied)
		case a == "D":
			all = append(all, dummy)
		case c.vr == dict.SQ: // U of a sequence is U of the UIDs in it
			all = append(all, recursed)
		default:
			all = append(all, mapped)
		}
	}
	switch {
	case strings.HasSuffix(action, "U*"):
		return []outcome{recursed} // X/Z/U* is always U
	case strings.Contains(action, "/"):
		// Z/D too: what is optional, or no part of the instance, is removed (deid.md). TestTypes tells which it must be.
		all = append(all, gone)
	}
	return all
}

// public are the dates that Modified Dates would shift by the table, and that others know: they get the basic action
// (decisions 11, 15).
var public = []dict.Tag{
	0x00080106, 0x00080107, 0x0040DB06, 0x0040DB07, // versions of context groups and templates
	0x00120086, 0x00120087, 0x00440004, 0x00440104, 0x00440105, // approvals
	// machines and sources
	0x0014407E, 0x00181200, 0x00181202, 0x00181203, 0x00181204, 0x00181205, 0x0018700C, 0x300A022C,
	0x0044000B,                         // lots
	0x00686226, 0x00686270, 0x0072000A, // templates
	0x00720061, 0x00720063, // what hanging protocols look for
	0x00080015, 0x0018A002, 0x04000562, // archives and gateways
	0x00404008, // a deadline
}

// otherwise are rows whose own action makes a valid instance invalid (PS3.3): the name of a committee without the
// approval number, an animal without a place for its owner, a presentation state without date. They go, or say nothing
// where something must stand.
var otherwise = map[dict.Tag]string{
	dict.ClinicalTrialProtocolEthicsCommitteeName: "X",
	dict.ResponsiblePerson:                        "X/Z",
	dict.ResponsibleOrganization:                  "X/Z",
	dict.PresentationCreationDate:                 "X/D",
	dict.PresentationCreationTime:                 "X/D",
}

// expected computes from the JSON's columns what may become of an attribute.
func expected(c tableCase, column string, v value) []outcome {
	action := c.row["basicProfile"]
	if o, ok := otherwise[c.tag]; ok {
		action = o
	}
	basic := basicOutcomes(action, c, v)
	if _, group := repeated[c.row["id"]]; group {
		return []outcome{gone} // no option can clean pixels or points of an overlay or curve
	}
	switch c.row[column] {
	case "K":
		if c.vr == dict.SQ {
			return []outcome{recursed}
		}
		if v == uncleaned && (c.vr == dict.DA || c.vr == dict.TM) {
			return []outcome{emptied} // the sample is none of its VR
		}
		return []outcome{same}
	case "C":
		switch {
		case c.vr == dict.SQ:
			return []outcome{recursed}
		case v == empty:
			return append(basic, emptied)
		case column == "rtnLongModifDatesOpt":
			switch {
			case c.tag == dict.TimezoneOffsetFromUTC && v != uncleaned:
				return append(basic, same) // a time zone moves no day
			case v == uncleaned || c.vr == dict.OB || c.vr == dict.SH || slices.Contains(public, c.tag):
				return basic
			case c.vr == dict.TM:
				return []outcome{same}
			}
			return []outcome{shifted}
		case v == uncleaned || !c.vr.Text():
			return basic
		}
		return []outcome{cleaned}
	}
	return basic
}

// tableVerdict tells which outcome an attribute had, "" for none that may be.
func tableVerdict(
	t testing.TB, in, out stream.Element, there bool, c tableCase, v value, retainUIDs bool, shift *time.Duration,
) []outcome {
	switch {
	case !there:
		return []outcome{gone}
	case len(out.Value) == 0 && len(out.Items) == 0:
		if len(in.Value) == 0 && len(in.Items) == 0 {
			return []outcome{emptied, same, mapped, recursed}
		}
		return []outcome{emptied}
	case c.vr == dict.SQ:
		if sequenceDeidentified(t, in, out, c, retainUIDs) {
			return []outcome{recursed}
		}
		for _, item := range itemsOf(t, out) {
			if bytes.Contains(encode(t, item, dict.ExplicitVRLittleEndian), []byte(mark(c.tag))) {
				return nil
			}
		}
		return []outcome{dummy}
	case bytes.Equal(in.Value, out.Value):
		return []outcome{same}
	}
	before, after := strings.TrimRight(string(in.Value), " \x00"), strings.TrimRight(string(out.Value), " \x00")
	if strings.Contains(strings.ToUpper(after), mark(c.tag)[:8]) {
		return nil
	}
	verdict := []outcome{dummy}
	switch c.vr {
	case dict.UI:
		olds, news := strings.Split(before, `\`), strings.Split(after, `\`)
		ok := len(olds) == len(news)
		for i := range news {
			ok = ok && strings.HasPrefix(news[i], "2.25.") && len(news[i]) <= 64 && !slices.Contains(olds, news[i])
		}
		if ok {
			verdict = append(verdict, mapped)
		}
	case dict.DA, dict.DT:
		if shiftedBy(before, after, shift) {
			verdict = append(verdict, shifted)
		}
	}
	if words := strings.FieldsFunc(after, func(r rune) bool { return r == ' ' || r == '\\' }); v != uncleaned &&
		len(words) > 0 {
		known := true
		for _, w := range words {
			known = known && (w == "CT" || w == "MR")
		}
		if known && strings.Contains(after, "CT") &&
			(v != multi || !c.vr.MultiValued() || strings.Contains(after, "MR")) {
			verdict = append(verdict, cleaned)
		}
	}
	return verdict
}

// shiftedBy reports whether all values are the old ones moved by one number of days, and holds it against that of
// others.
func shiftedBy(before, after string, shift *time.Duration) bool {
	olds, news := strings.Split(before, `\`), strings.Split(after, `\`)
	if len(olds) != len(news) {
		return false
	}
	for i := range olds {
		if len(news[i]) != len(olds[i]) || news[i][8:] != olds[i][8:] {
			return false // the time and the zone are kept
		}
		from, err := time.Parse("20060102", olds[i][:8])
		if err != nil {
			return false
		}
		to, err := time.Parse("20060102", news[i][:8])
		if err != nil {
			return false
		}
		by := to.Sub(from)
		if *shift == 0 {
			*shift = by
		}
		if days := by.Hours() / 24; by != *shift || days < -730 || days > -62 {
			return false
		}
	}
	return true
}

// sequenceDeidentified reports whether a sequence has its items, and these are de-identified.
func sequenceDeidentified(t testing.TB, in, out stream.Element, c tableCase, retainUIDs bool) bool {
	olds, news := itemsOf(t, in), itemsOf(t, out)
	if len(olds) != len(news) || len(news) == 0 {
		return false
	}
	if bytes.Contains(encode(t, news[0], dict.ExplicitVRLittleEndian), []byte(mark(c.tag))) {
		return false
	}
	uid := news[0].String(dict.ReferencedSOPInstanceUID)
	unchanged := uid == olds[0].String(dict.ReferencedSOPInstanceUID)
	return news[0].String(dict.SliceThickness) == "2.5" && uid != "" && unchanged == retainUIDs
}

// TestTable holds the engine against PS3.15 Table E.1-1: every row, under the basic profile alone and with each option,
// at the top level and nested, in each encoding, with each kind of value.
func TestTable(t *testing.T) {
	cases := tableCases(t)
	encodings := []string{
		dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian,
		dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian, asUN,
	}
	var objects []tableObject
	for _, encoding := range encodings {
		for _, where := range []place{topLevel, threeDeep, safePrivate, private} {
			for _, v := range []value{single, multi, empty, uncleaned} {
				objects = append(objects, newTableObject(t, cases, where, encoding, v))
			}
		}
	}
	judged := 0
	for _, col := range tableColumns {
		t.Run("basic "+col.option, func(t *testing.T) {
			var options []string
			if col.option != "" {
				options = []string{col.option}
			}
			p := loadProfile(t, options...)
			for i := range objects {
				judged += judge(t, p, cases, column(col.column), &objects[i])
			}
		})
	}
	t.Logf("%d attributes for the 621 rows, %d judgements", len(cases), judged)
}

// standard is what a test expects of a profile.
type standard struct {
	expected                func(c tableCase, v value) []outcome
	retainUIDs, safePrivate bool
}

// column expects what one column of the table says.
func column(name string) standard {
	return standard{
		func(c tableCase, v value) []outcome { return expected(c, name, v) },
		name == "rtnUIDsOpt", name == "rtnSafePrivOpt",
	}
}

// columns expects what several columns say: a shifted date before a kept one, what is kept before what is cleaned.
func columns(names ...string) standard {
	return standard{
		func(c tableCase, v value) []outcome {
			if modified := "rtnLongModifDatesOpt"; slices.Contains(names, modified) && c.row[modified] == "C" {
				return expected(c, modified, v)
			}
			for _, letter := range []string{"K", "C"} {
				for _, name := range names {
					if c.row[name] == letter {
						return expected(c, name, v)
					}
				}
			}
			return expected(c, "", v)
		},
		slices.Contains(names, "rtnUIDsOpt"), slices.Contains(names, "rtnSafePrivOpt"),
	}
}

// TestTableOfPairs is TestTable with every two options that go together.
func TestTableOfPairs(t *testing.T) {
	cases := tableCases(t)
	var objects []tableObject
	for _, v := range []value{single, multi, uncleaned} {
		objects = append(
			objects, newTableObject(t, cases, topLevel, dict.ExplicitVRLittleEndian, v),
			newTableObject(t, cases, safePrivate, dict.ExplicitVRLittleEndian, v),
		)
	}
	objects = append(objects, newTableObject(t, cases, threeDeep, dict.ImplicitVRLittleEndian, single))
	judged := 0
	for i, a := range tableColumns[1:] {
		for _, b := range tableColumns[i+2:] {
			if a.option == "full-dates" && b.option == "modified-dates" {
				continue
			}
			p := loadProfile(t, a.option, b.option)
			for i := range objects {
				judged += judge(t, p, cases, columns(a.column, b.column), &objects[i])
			}
		}
	}
	t.Logf("%d judgements", judged)
}

// TestTableOfTriples is TestTable with three to five options that go together, each time at another place, in another
// encoding and with other values.
func TestTableOfTriples(t *testing.T) {
	const seed = 15
	r := rand.New(rand.NewPCG(seed, seed))
	cases := tableCases(t)
	places, values := []place{topLevel, threeDeep, safePrivate, private}, []value{single, multi, empty, uncleaned}
	judged := 0
	for range 60 {
		var options, names []string
		for _, i := range r.Perm(len(tableColumns) - 1)[:3+r.IntN(3)] {
			c := tableColumns[i+1]
			if c.option == "full-dates" && slices.Contains(options, "modified-dates") || c.option == "modified-dates" &&
				slices.Contains(options, "full-dates") {
				continue
			}
			options, names = append(options, c.option), append(names, c.column)
		}
		p := loadProfile(t, options...)
		for range 3 {
			o := newTableObject(t, cases, places[r.IntN(len(places))], everyEncoding[r.IntN(len(everyEncoding))],
				values[r.IntN(len(values))])
			judged += judge(t, p, cases, columns(names...), &o)
		}
	}
	t.Logf("%d judgements", judged)
}

// TestTableOfAdit holds base adit against the table and what is documented to differ from it.
func TestTableOfAdit(t *testing.T) {
	kept := []dict.Tag{
		dict.StudyDate, dict.StudyTime, dict.SeriesDate, dict.SeriesTime,
		dict.AcquisitionDate, dict.AcquisitionTime, dict.AcquisitionDateTime,
		dict.ContentDate, dict.ContentTime,
	}
	want := func(c tableCase, v value) []outcome {
		basic := basicOutcomes(cmp.Or(otherwise[c.tag], c.row["basicProfile"]), c, v)
		_, group := repeated[c.row["id"]]
		text := slices.Contains([]dict.VR{dict.SH, dict.LO, dict.ST, dict.UC}, c.vr)
		switch {
		case group:
			return []outcome{gone}
		case slices.Contains(kept, c.tag), c.row["rtnPatCharsOpt"] == "K", c.row["rtnLongModifDatesOpt"] == "C" &&
			(c.vr == dict.TM || c.vr == dict.SH): // of dates and times the times alone, and the time zone
			if v == uncleaned && (c.vr == dict.DA || c.vr == dict.TM) {
				return []outcome{emptied} // the sample is none of its VR
			}
			return []outcome{same, recursed}
		case c.tag == dict.PatientBirthDate && v != uncleaned && v != empty: // January 1st of its year
			return []outcome{dummy}
		case c.row["basicProfile"] == "U", v == empty:
			return append(basic, emptied, recursed)
		case c.vr == dict.PN:
			return []outcome{dummy}
		case c.row["rtnInstIdOpt"] == "K" && c.vr != dict.SQ:
			return []outcome{dummy}
		case c.row["cleanDescOpt"] == "C" && (c.vr == dict.LO || c.vr == dict.SH || c.vr == dict.CS):
			return []outcome{same, dummy}
		case text: // identifiers and addresses
			return append(basic, dummy)
		}
		return basic
	}
	p, ok := deid.BuiltinProfile("adit")
	require.True(t, ok)
	cases := tableCases(t)
	for _, encoding := range []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian} {
		for _, where := range []place{topLevel, threeDeep, safePrivate} {
			for _, v := range []value{single, multi, empty, uncleaned} {
				o := newTableObject(t, cases, where, encoding, v)
				judge(t, p, cases, standard{want, false, true}, &o)
			}
		}
	}
}

// judge rewrites one instance and judges its attributes.
func judge(t *testing.T, p *deid.Profile, cases []tableCase, by standard, o *tableObject) int {
	encoding, where, v, syntax := o.encoding, o.where, o.v, o.syntax
	what := fmt.Sprintf("%s, %s, %s", encoding, where, v)
	b, report, err := rewrite(sessionFor(t, p, proofKey(1), o.ds), o.in, syntax)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return 0
	}
	if d := p.Definition(); d.Base == "ps3.15-basic" && len(report.Codes) != 1+len(d.Options) {
		t.Errorf("%s: of the basic profile and the options %v only %v are claimed", what, d.Options, report.Codes)
	}
	out, err := stream.ParseDataSet(b, syntax, stream.Limits{Header: 1 << 26})
	if err != nil {
		t.Errorf("%s: the output can't be parsed: %v", what, err)
		return 0
	}
	before, there := o.ds, true
	step := func(tag dict.Tag) {
		if before = before.Items(tag)[0]; !there {
			return
		}
		e, _ := out.Get(tag)
		if items := itemsOf(t, e); len(items) > 0 {
			out = items[0]
		} else {
			there = false
		}
	}
	removed := false
	switch where {
	case threeDeep:
		for _, sq := range chain {
			step(sq)
		}
	case safePrivate:
		if removed = !by.safePrivate; !removed {
			step(0x7E011010)
		}
	case private:
		removed = true
	}
	if removed {
		for e := range out.All() {
			if e.Tag.IsPrivate() {
				t.Errorf("%s: a private element stays: %s", what, e.Tag)
			}
		}
		return 0
	}
	if !there && where == safePrivate && encoding == dict.ImplicitVRLittleEndian {
		return 0 // without a VR nothing tells that the private element is a sequence: it goes
	}
	if !there {
		t.Errorf("%s: the sequence that holds all is gone", what)
		return 0
	}
	var shift time.Duration
	for _, c := range cases {
		if where == topLevel && (c.tag == dict.PatientID || c.tag == dict.PatientName) {
			if got := out.String(c.tag); got != proofPseudonym {
				t.Errorf("%s: %s is not the pseudonym", what, c.tag)
			}
			continue
		}
		e, has := out.Get(c.tag)
		old, _ := before.Get(c.tag)
		want := by.expected(c, v)
		got := tableVerdict(t, old, e, has, c, v, by.retainUIDs, &shift)
		if !slices.ContainsFunc(got, func(o outcome) bool { return slices.Contains(want, o) }) {
			t.Errorf(
				"%s, profile %s: %s %s (%s; %v): want %v, got %v: %.60q → %.60q", what,
				p.Name(), c.tag, c.row["name"], c.vr, c.row, want, got, old.Value, e.Value,
			)
		}
	}
	return len(cases)
}

// TestTypes holds the choice among the alternatives of a row against the attribute's type in PS3.3: what is required
// with a value gets a dummy, what may be empty is emptied, what is optional, or isn't there in the standard, goes.
func TestTypes(t *testing.T) {
	p := loadProfile(t)
	for _, c := range []struct {
		class  string
		parent dict.Tag
		tag    dict.Tag
		want   outcome
		why    string
	}{
		{dict.CTImageStorage, 0, dict.ContentDate, gone, "C.7.6.1: 2C, and CT images needn't be a time series"},
		{dict.CTImageStorage, 0, dict.AcquisitionDate, gone, "C.7.6.1: 3"},
		{dict.CTImageStorage, 0, dict.AcquisitionDateTime, gone, "C.7.6.1: 3"},
		{dict.CTImageStorage, 0, dict.SeriesDate, gone, "C.7.3.1: 3"},
		{dict.CTImageStorage, 0, dict.StationName, gone, "C.7.5.1: 3"},
		{dict.CTImageStorage, 0, dict.DeviceSerialNumber, gone, "C.7.5.1: 3"},
		{dict.CTImageStorage, 0, dict.InstitutionName, gone, "C.7.5.1: 3"},
		{dict.CTImageStorage, 0, dict.OperatorsName, gone, "C.7.3.1: 3"},
		{dict.CTImageStorage, 0, dict.ContrastBolusAgent, emptied, "C.7.6.4: 2"},
		{dict.CTImageStorage, 0, dict.PatientSexNeutered, emptied, "C.7.2.2: 2C"},
		{dict.EnhancedCTImageStorage, 0, dict.DeviceSerialNumber, dummy, "C.7.5.2: 1"},
		{dict.EnhancedCTImageStorage, 0, dict.ContentDate, dummy, "C.7.6.16: 1"},
		{dict.EnhancedCTImageStorage, 0, dict.ContentTime, dummy, "C.7.6.16: 1"},
		{dict.EnhancedCTImageStorage, 0, dict.AcquisitionDateTime, dummy, "C.8.15.2: 1C"},
		{dict.EnhancedCTImageStorage, 0, dict.StationName, gone, "C.7.5.1: 3"},
		{dict.EnhancedMRImageStorage, 0, dict.AcquisitionDateTime, dummy, "C.8.13.1: 1C"},
		{dict.PositronEmissionTomographyImageStorage, 0, dict.SeriesDate, dummy, "C.8.9.1: 1"},
		{dict.PositronEmissionTomographyImageStorage, 0, dict.SeriesTime, dummy, "C.8.9.1: 1"},
		{dict.PositronEmissionTomographyImageStorage, 0, dict.AcquisitionDate, emptied, "C.8.9.4: 2"},
		{dict.PositronEmissionTomographyImageStorage, 0, dict.AcquisitionTime, emptied, "C.8.9.4: 2"},
		{dict.RTPlanStorage, 0, dict.RTPlanDate, emptied, "C.8.8.9: 2; deid.md empties it though the row has no Z"},
		{dict.RTPlanStorage, 0, dict.OperatorsName, emptied, "C.8.8.9: 2"},
		{dict.RTPlanStorage, 0, dict.ReviewerName, emptied, "C.8.8.16: 2C"},
		{dict.RTPlanStorage, dict.BeamSequence, dict.TreatmentMachineName, emptied, "C.8.8.14: 2"},
		{dict.RTPlanStorage, dict.BeamSequence, dict.DeviceSerialNumber, gone, "C.8.8.14: 3"},
		{dict.RTBeamsTreatmentRecordStorage, 0, dict.TreatmentDate, emptied, "C.8.8.17: 2, likewise"},
		{dict.RTBeamsTreatmentRecordStorage, dict.TreatmentMachineSequence, dict.DeviceSerialNumber, emptied, "C.8.8.18: 2"},
		{dict.RTBeamsTreatmentRecordStorage, dict.TreatmentMachineSequence, dict.InstitutionName, emptied, "C.8.8.18: 2"},
		{dict.BasicTextSRStorage, 0, dict.ContentDate, dummy, "C.17.2: 1"},
		{dict.BasicTextSRStorage, 0, dict.ContentTime, dummy, "C.17.2: 1"},
		{dict.GrayscaleSoftcopyPresentationStateStorage, 0, dict.ContentCreatorName, emptied, "Table 10-12: 2 in older editions, 3 in newer ones"},
		{dict.SegmentationStorage, 0, dict.ContentDate, dummy, "C.7.6.16: 1"},
		{dict.SegmentationStorage, 0, dict.DeviceSerialNumber, dummy, "C.7.5.2: 1"},
		{dict.VLWholeSlideMicroscopyImageStorage, 0, dict.LabelText, emptied, "C.8.12.8: 2"},
		{dict.VLWholeSlideMicroscopyImageStorage, 0, dict.BarcodeValue, emptied, "C.8.12.8: 2"},
		{dict.CTImageStorage, 0, dict.BarcodeValue, gone, "not there"},
		{dict.CTImageStorage, dict.ContributingEquipmentSequence, dict.StationName, gone, "C.12.1: 3"},
		{dict.CTImageStorage, dict.ContributingEquipmentSequence, dict.InstitutionName, gone, "C.12.1: 3"},
		{dict.CTImageStorage, dict.XRay3DAcquisitionSequence, dict.StartAcquisitionDateTime, dummy, "C.8.21.3.1: 1C"},
		{dict.UltrasoundImageStorage, 0, dict.AcquisitionDateTime, dummy, "C.8.5.6: 1C"},
		{dict.TwelveLeadECGWaveformStorage, 0, dict.AcquisitionDateTime, dummy, "C.10.8: 1"},
	} {
		t.Run(fmt.Sprint(dict.UIDName(c.class), c.parent, c.tag), func(t *testing.T) {
			var ds, item stream.DataSet
			in := &ds
			if c.parent != 0 {
				in = &item
			}
			in.Put(sample(t, c.tag, vrOf(t, c.tag), single))
			if c.parent != 0 {
				ds.SetSequence(c.parent, &item)
			}
			ds.Set(dict.SOPClassUID, c.class)
			ds.Set(dict.SOPInstanceUID, "1.2.3")
			ds.Set(dict.PatientID, "PID-1")
			ds.Set(dict.BurnedInAnnotation, "NO")
			b, _, err := rewrite(
				sessionFor(t, p, proofKey(1), &ds),
				encode(t, &ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
			)
			require.NoError(t, err)
			out := parse(t, b, dict.ExplicitVRLittleEndian)
			if c.parent != 0 {
				require.Len(t, out.Items(c.parent), 1)
				out = out.Items(c.parent)[0]
			}
			got := gone
			if e, ok := out.Get(c.tag); ok && len(e.Value) == 0 {
				got = emptied
			} else if ok {
				got = dummy
				require.NotContains(t, string(e.Value), mark(c.tag))
			}
			require.Equal(t, c.want, got, c.why)
		})
	}
}
