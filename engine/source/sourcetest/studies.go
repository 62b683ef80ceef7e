// SPDX-License-Identifier: AGPL-3.0-or-later

package sourcetest

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
)

// The series of the first study.
const (
	ofCT = iota
	ofImplicit
	ofRLE
	ofReports
	ofLarge
	ofMany
)

// absent is a UID of nothing.
const absent = "1.2.826.0.1.3680043.8.498.4711"

// studies returns what the peer has: a study of several series, another one of the same patient, and one of another
// patient. Nobody changes them.
var studies = sync.OnceValue(func() []*phantom.Study {
	small := func(kind phantom.Kind, n int, syntax string) phantom.SeriesSpec {
		return phantom.SeriesSpec{Kind: kind, Instances: n, Rows: 16, Columns: 16, Frames: 3, TransferSyntaxUID: syntax}
	}
	of := func(patient string, series ...phantom.SeriesSpec) phantom.StudySpec {
		p := phantom.Patient{ID: patient, Name: "Phantom^Source", BirthDate: "19700101", Sex: "O"}
		return phantom.StudySpec{Patient: p, Series: series}
	}
	two := small(phantom.CT, 2, dict.ExplicitVRLittleEndian)
	return []*phantom.Study{
		phantom.New(4701, of("PHANTOM-4701",
			small(phantom.CT, 6, dict.ExplicitVRLittleEndian), small(phantom.CT, 3, dict.ImplicitVRLittleEndian),
			small(phantom.Ultrasound, 2, dict.RLELossless), small(phantom.Report, 2, dict.ExplicitVRLittleEndian),
			phantom.SeriesSpec{Kind: phantom.MultiFrame, Rows: 256, Columns: 256, Frames: 9},
			small(phantom.MR, 70, dict.ExplicitVRLittleEndian))),
		phantom.New(4702, of("PHANTOM-4701", two, two)),
		phantom.New(4703, of("PHANTOM-4703", two)),
	}
})

// mainStudy is the first study.
func mainStudy() *phantom.Study { return studies()[0] }

// seriesOf returns the instances of a series of the first study.
func seriesOf(n int) []*phantom.Instance { return mainStudy().Series[n].Instances }

// patientOf returns the Patient ID of a study.
func patientOf(study *phantom.Study) string { return study.Spec.Patient.ID }

// uidsOf names instances.
func uidsOf(instances []*phantom.Instance) []string {
	uids := make([]string, len(instances))
	for i, in := range instances {
		uids[i] = in.SOPInstanceUID
	}
	return uids
}

// syntaxesOf returns the transfer syntaxes of instances by SOP class.
func syntaxesOf(instances []*phantom.Instance) map[string][]string {
	syntaxes := map[string][]string{}
	for _, in := range instances {
		if !slices.Contains(syntaxes[in.SOPClassUID], in.TransferSyntaxUID) {
			syntaxes[in.SOPClassUID] = append(syntaxes[in.SOPClassUID], in.TransferSyntaxUID)
		}
	}
	return syntaxes
}

// dataOf returns the data set of an instance.
func dataOf(in *phantom.Instance) []byte {
	r := in.Open()
	defer func() { _ = r.Close() }() // it is only read
	data, err := io.ReadAll(r)
	if err != nil {
		panic(err) // it comes out of memory
	}
	return data
}

// arrival is an instance that a source has brought.
type arrival struct {
	class, uid, syntax string
	data               []byte
	err                error // of reading
	failed             bool  // it was answered with a failure
}

// compare says what has come too little, too much, twice or otherwise than it is.
func compare(came []arrival, want []*phantom.Instance) error {
	left := slices.Clone(want)
	for _, a := range came {
		i := slices.IndexFunc(left, func(in *phantom.Instance) bool { return in.SOPInstanceUID == a.uid })
		if i < 0 {
			return fmt.Errorf("%s came, which was not asked for, or has come already", a.uid)
		}
		if err := same(a, left[i]); err != nil {
			return err
		}
		left = slices.Delete(left, i, i+1)
	}
	if len(left) > 0 {
		return fmt.Errorf("%d of %d instances did not come, such as %s", len(left), len(want), left[0].SOPInstanceUID)
	}
	return nil
}

// same says in what an arrival is not the instance that it is said to be.
func same(a arrival, in *phantom.Instance) error {
	switch data := dataOf(in); {
	case a.err != nil:
		return fmt.Errorf("%s breaks off: %w", a.uid, a.err)
	case a.class != in.SOPClassUID:
		return fmt.Errorf("%s came as of SOP class %s, and is of %s", a.uid, a.class, in.SOPClassUID)
	case a.syntax != in.TransferSyntaxUID:
		return fmt.Errorf("%s came in transfer syntax %s, and is held in %s", a.uid, a.syntax, in.TransferSyntaxUID)
	case !bytes.Equal(a.data, data):
		return fmt.Errorf("%s came with %d bytes instead of %d, which differ from byte %d on",
			a.uid, len(a.data), len(data), differ(a.data, data))
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
