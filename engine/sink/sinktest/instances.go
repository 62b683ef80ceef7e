// SPDX-License-Identifier: AGPL-3.0-or-later

package sinktest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/iotest"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/sink"
)

// item is an instance that is put.
type item struct {
	class, uid, syntax string
	names              sink.ObjectNames
	data               []byte
}

// The series of the study that is put.
const (
	ofCT = iota
	ofImplicit
	ofRLE
	ofReports
	ofLarge
)

// modalities are those of the study.
var modalities = []string{"CT", "US", "SR", "OT"}

// study returns the instances of a study, by series: small ones in three transfer syntaxes, and one that is longer than
// any buffer. Nobody changes them.
var study = sync.OnceValue(func() [][]*item {
	small := func(kind phantom.Kind, n int, syntax string) phantom.SeriesSpec {
		return phantom.SeriesSpec{
			Kind: kind, Instances: n, Rows: 32, Columns: 32, Frames: 3,
			TransferSyntaxUID: syntax, Description: "Series",
		}
	}
	made := phantom.New(1, phantom.StudySpec{
		Patient: phantom.Patient{ID: "SINK-1", Name: "Phantom^Sink", BirthDate: "19700101", Sex: "O"},
		Series: []phantom.SeriesSpec{
			ofCT:       small(phantom.CT, 24, dict.ExplicitVRLittleEndian),
			ofImplicit: small(phantom.CT, 4, dict.ImplicitVRLittleEndian),
			ofRLE:      small(phantom.Ultrasound, 2, dict.RLELossless),
			ofReports:  small(phantom.Report, 3, dict.ExplicitVRLittleEndian),
			ofLarge:    {Kind: phantom.MultiFrame, Rows: 512, Columns: 512, Frames: 9},
		},
	})
	all := make([][]*item, len(made.Series))
	for i, series := range made.Series {
		for _, in := range series.Instances {
			all[i] = append(all[i], newItem(in))
		}
	}
	return all
})

func newItem(in *phantom.Instance) *item {
	r := in.Open()
	data, err := io.ReadAll(r)
	if err != nil {
		panic(err) // it comes out of memory
	}
	_ = r.Close() // it is no file
	a := in.Attributes()
	names := sink.ObjectNames{
		PatientID: a.String(dict.PatientID), Study: a.String(dict.StudyInstanceUID),
		StudyDate: a.String(dict.StudyDate),
		StudyTime: a.String(dict.StudyTime), Series: a.String(dict.SeriesInstanceUID),
		SeriesNumber: a.String(dict.SeriesNumber), SeriesDescription: a.String(dict.SeriesDescription),
	}
	return &item{class: in.SOPClassUID, uid: in.SOPInstanceUID, syntax: in.TransferSyntaxUID, data: data, names: names}
}

// as returns the instance as another one with a UID of the same length: the data set has it, too.
func (i *item) as(uid string) *item {
	other := *i
	other.uid, other.data = uid, bytes.ReplaceAll(i.data, padded(i.uid), padded(uid))
	return &other
}

// twin returns another instance under the same SOP Instance UID, of this study and series, with the same values to make
// names of.
func (i *item) twin(study, series string) *item {
	other := *i
	other.names.Study, other.names.Series = study, series
	other.data = bytes.ReplaceAll(i.data, padded(i.names.Study), padded(other.names.Study))
	other.data = bytes.ReplaceAll(other.data, padded(i.names.Series), padded(other.names.Series))
	return &other
}

// padded is a UID as it stands in a data set.
func padded(uid string) []byte {
	if len(uid)%2 == 1 {
		return append([]byte(uid), 0)
	}
	return []byte(uid)
}

// outgoing returns the instance on its way, which can be opened again and again.
func (i *item) outgoing() *sink.Outgoing {
	return i.outgoingFrom(func() io.Reader { return bytes.NewReader(i.data) }, true)
}

// outgoingFrom returns the instance on its way, with its data set from open.
func (i *item) outgoingFrom(open func() io.Reader, again bool) *sink.Outgoing {
	return &sink.Outgoing{
		Class: i.class, UID: i.uid, Syntax: i.syntax, Series: i.names.Series, Names: i.names, Open: open, Again: again,
	}
}

// sourceUID is the UID of the instance at its source, where it is another one under a pseudonym.
func (i *item) sourceUID() string { return i.uid + ".1" }

// row is what the ledger keeps of an instance that was acknowledged.
func (i *item) row(o *sink.Outgoing, status dimse.Status) db.DeliveredRow {
	return db.DeliveredRow{
		SourceSopUid: i.sourceUID(), SeriesUid: i.names.Series, SopClassUid: i.class, Bytes: int64(len(i.data)),
		Status: int32(status), File: o.File, FileBytes: o.FileBytes,
	}
}

// kindsOf returns what instances are of: transfer syntaxes by SOP class.
func kindsOf(items []*item) map[string][]string {
	kinds := map[string][]string{}
	for _, i := range items {
		if !slices.Contains(kinds[i.class], i.syntax) {
			kinds[i.class] = append(kinds[i.class], i.syntax)
		}
	}
	return kinds
}

// shapes are the ways in which readers give the same bytes: a sink has to take each.
var shapes = []func(b []byte) io.Reader{
	func(b []byte) io.Reader { return bytes.NewReader(b) }, // writes itself
	func(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} },
	func(b []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(b)) },
	func(b []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(b)) },
	func(b []byte) io.Reader { return iotest.DataErrReader(bytes.NewReader(b)) },
	func(b []byte) io.Reader {
		return io.MultiReader(bytes.NewReader(b[:len(b)/3]), bytes.NewReader(b[len(b)/3:]))
	},
}

// watched tells how the data set of an instance was opened and read.
type watched struct {
	*item
	mu     sync.Mutex
	opened int
	read   bool // something, of what was opened last
	late   bool // it was opened anew after something had been read
}

// open is for Outgoing.Open.
func (w *watched) open() io.Reader {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late = w.late || w.read
	w.opened++
	w.read = false
	return &watchedReader{w: w, r: bytes.NewReader(w.data)}
}

// misused says what is wrong with how it was opened.
func (w *watched) misused(again bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.opened == 0:
		return fmt.Errorf("the data set of %s was never opened", w.uid)
	case w.late && !again:
		return fmt.Errorf(
			"the data set of %s was opened anew after it had been read, though it can't come again", w.uid,
		)
	}
	return nil
}

type watchedReader struct {
	w *watched
	r *bytes.Reader
}

func (r *watchedReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.read = r.w.read || n > 0
	return n, err
}

// broken reads so many bytes of an instance, and then fails.
func (i *item) broken(after int, err error) func() io.Reader {
	return func() io.Reader {
		return struct{ io.Reader }{io.MultiReader(bytes.NewReader(i.data[:after]), iotest.ErrReader(err))}
	}
}

// oddValues are values of attributes that are no good names.
var oddValues = []string{
	"..", ".", "", " ", "../escaped", "../../escaped", "../../../escaped", "../../../../escaped", `..\..\escaped`,
	"/escaped", "a/b", "a/../b", "a\x00b", "a\nb", "CON", "nul.txt", "trailing. ", "-rf", "~", "Ä", "A\u0308",
	"\xff\xfe", "\u202egnp", strings.Repeat("long", 100), "*?:<>|\"",
}

// oddNames returns an instance for each odd value in each name, in series of their own.
func oddNames(from []*item) (items []*item) {
	set := []func(n *sink.ObjectNames, value string){
		func(n *sink.ObjectNames, v string) { n.PatientID = v },
		func(n *sink.ObjectNames, v string) { n.StudyDate = v },
		func(n *sink.ObjectNames, v string) { n.StudyTime = v },
		func(n *sink.ObjectNames, v string) { n.SeriesNumber = v },
		func(n *sink.ObjectNames, v string) { n.SeriesDescription = v },
	}
	for _, value := range oddValues {
		for _, put := range set {
			k := len(items)
			item := from[0].as(numbered(from[0].uid, k))
			series := numbered(item.names.Series, k)
			item.data = bytes.ReplaceAll(item.data, padded(item.names.Series), padded(series))
			item.names.Series = series
			put(&item.names, value)
			items = append(items, item)
		}
	}
	return items
}

// numbered returns another UID of the same length.
func numbered(uid string, n int) string {
	tail := strconv.Itoa(1000 + n)
	return uid[:len(uid)-len(tail)] + tail
}

// noUIDs are what may stand in the place of a UID and is none.
var noUIDs = []string{
	"", "..", "../../escaped", "/escaped", "1.2/3", `1.2\3`, "1.2.3\x00", "1.2.3 4", "1..2", "one.two", "1.2.3\n",
	strings.Repeat("1.", 40) + "1",
}

// compare says what a destination holds too little, too much or otherwise than it was put. What may be there need not.
func compare(held []Instance, want, may []*item) error {
	find := func(items []*item, in Instance) int {
		return slices.IndexFunc(items, func(i *item) bool {
			return i.uid == in.UID && i.syntax == in.Syntax && bytes.Equal(i.data, in.Data)
		})
	}
	left, maybe := slices.Clone(want), slices.Clone(may)
	var strange []Instance
	for _, in := range held {
		if k := find(left, in); k >= 0 {
			left = slices.Delete(left, k, k+1)
		} else if k := find(maybe, in); k >= 0 {
			maybe = slices.Delete(maybe, k, k+1)
		} else {
			strange = append(strange, in)
		}
	}
	for _, i := range left {
		if k := slices.IndexFunc(strange, func(in Instance) bool { return in.UID == i.uid }); k >= 0 {
			in := strange[k]
			return fmt.Errorf("%s is not at the destination as it was put: "+
				"%d bytes in transfer syntax %s, instead of %d in %s; they differ from byte %d on",
				i.uid, len(in.Data), in.Syntax, len(i.data), i.syntax, differ(in.Data, i.data))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf(
			"%d of %d instances are not at the destination, such as %s", len(left), len(want), left[0].uid,
		)
	}
	if len(strange) > 0 {
		in := strange[0]
		return fmt.Errorf(
			"the destination has %d instances that it should not have, or not twice, such as %s of %d bytes",
			len(strange), in.UID, len(in.Data),
		)
	}
	return nil
}

// differ returns where two data sets begin to differ.
func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// within reports whether what is accepted was proposed.
func within(accepted, proposed map[string][]string) error {
	for _, class := range slices.Sorted(maps.Keys(accepted)) {
		for _, syntax := range accepted[class] {
			if !slices.Contains(proposed[class], syntax) {
				return fmt.Errorf(
					"Prepare names SOP class %s in transfer syntax %q, which was not proposed", class, syntax,
				)
			}
		}
	}
	return nil
}
