// SPDX-License-Identifier: AGPL-3.0-or-later

// Package phantom makes synthetic studies of patients who never lived: CT, MR, multi-frame, secondary capture and
// reports, with names in several character sets. A seed and a specification give the same bytes on any machine, any
// day. Pixel data is generated while it is read, so an instance of many gigabytes needs only a few hundred KB.
package phantom

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Kind is what a series holds.
type Kind int

// The kinds of series.
const (
	CT               Kind = iota // CT images, 16 bits
	MR                           // MR images, 16 bits
	Ultrasound                   // ultrasound multi-frame images, 8 bits
	MultiFrame                   // multi-frame grayscale word secondary capture images, 16 bits
	SecondaryCapture             // secondary capture images, 8 bits
	Radiograph                   // computed radiography images, 16 bits
	Report                       // basic text structured reports
	KeyObject                    // key object selection documents; see Study.Select
)

// Patient is somebody who never lived.
type Patient struct {
	ID           string
	Name         string // PN with its component groups, "Yamada^Tarou=山田^太郎"
	BirthDate    string // DA
	Sex          string // CS: M, F, O
	CharacterSet []string
}

// StudySpec says what a study is made of.
type StudySpec struct {
	Patient         Patient
	Date, Time      string // DA, TM; 20240102 and 080000 when empty
	Undated         bool   // has neither
	Untimed         bool   // has no time
	AccessionNumber string
	Description     string
	Series          []SeriesSpec
}

// SeriesSpec says what a series is made of. Zero values mean the default.
type SeriesSpec struct {
	Kind          Kind
	Instances     int // 1
	Rows, Columns int // 512 × 512 for CT, 256 × 256 for others
	Frames        int // of kinds with several frames: 10
	Description   string
	// Explicit VR Little Endian; or Implicit VR Little Endian; or RLE Lossless for kinds with 8 bits
	TransferSyntaxUID string
}

// Study is a synthetic study. It may be read from many goroutines.
type Study struct {
	Spec             StudySpec
	StudyInstanceUID string
	Series           []*Series

	seed uint64
}

// Series is a series of a synthetic study.
type Series struct {
	Spec              SeriesSpec
	SeriesInstanceUID string
	Modality          string
	Number            int
	Instances         []*Instance

	study *Study
}

// Instance is an object of a synthetic series.
type Instance struct {
	SOPClassUID, SOPInstanceUID, TransferSyntaxUID string
	Number                                         int // Instance Number (0020,0013)

	series   *Series
	title    Title // of a key object
	selected []*Instance
}

// New makes a study. The seed stands for its identity: the same seed gives the same UIDs. It panics on a
// specification that no object can have: pixel data of 4 GiB and more, or a transfer syntax that the kind lacks.
func New(seed uint64, spec StudySpec) *Study {
	if spec.Date == "" {
		spec.Date = "20240102"
	}
	if spec.Time == "" {
		spec.Time = "080000"
	}
	if spec.Undated {
		spec.Date, spec.Time = "", ""
	}
	if spec.Untimed {
		spec.Time = ""
	}
	st := &Study{Spec: spec, seed: seed}
	st.StudyInstanceUID = st.uid("study")
	for i, sp := range spec.Series {
		st.Series = append(st.Series, st.newSeries(i+1, sp.orDefault()))
	}
	return st
}

// Title is the document title of a key object, of the scheme DCM: a code of CID 7010 (PS3.16) such as 113001 "Rejected
// for Quality Reasons".
type Title struct{ Code, Meaning string }

// Select adds a series with a key object that names instances, of this study or of others. Nobody may read the study
// meanwhile.
func (st *Study) Select(title Title, instances ...*Instance) *Instance {
	se := st.newSeries(len(st.Series)+1, SeriesSpec{Kind: KeyObject}.orDefault())
	se.Instances[0].title, se.Instances[0].selected = title, instances
	st.Series = append(st.Series, se)
	return se.Instances[0]
}

func (st *Study) newSeries(number int, spec SeriesSpec) *Series {
	k := kinds[spec.Kind]
	if n := int64(spec.Rows) * int64(spec.Columns) * int64(spec.Frames) * int64(k.bytes); n >= 1<<32-1 {
		panic(fmt.Sprintf("phantom: pixel data of %d bytes is more than a length can say", n))
	}
	if !k.writes(spec.TransferSyntaxUID) {
		panic("phantom: cannot write this kind in transfer syntax " + spec.TransferSyntaxUID)
	}
	se := &Series{Spec: spec, Modality: k.modality, Number: number, study: st}
	se.SeriesInstanceUID = st.uid(fmt.Sprintf("series %d", number))
	for n := 1; n <= spec.Instances; n++ {
		se.Instances = append(se.Instances, &Instance{
			SOPClassUID:       k.sopClass,
			SOPInstanceUID:    st.uid(fmt.Sprintf("series %d instance %d", number, n)),
			TransferSyntaxUID: spec.TransferSyntaxUID,
			Number:            n,
			series:            se,
		})
	}
	return se
}

func (s SeriesSpec) orDefault() SeriesSpec {
	s.Instances = max(s.Instances, 1)
	side := 256
	if s.Kind == CT {
		side = 512
	}
	if s.Rows == 0 {
		s.Rows = side
	}
	if s.Columns == 0 {
		s.Columns = side
	}
	if !kinds[s.Kind].multiFrame {
		s.Frames = 1
	} else if s.Frames == 0 {
		s.Frames = 10
	}
	if s.TransferSyntaxUID == "" {
		s.TransferSyntaxUID = dict.ExplicitVRLittleEndian
	}
	return s
}

// uid derives a UID under 2.25 (PS3.5 B.2) from the seed and a name within the study.
func (st *Study) uid(name string) string {
	var id [16]byte
	sum := sha256.Sum256(fmt.Appendf(nil, "adit phantom %d %s", st.seed, name))
	copy(id[:], sum[:])
	id[6] = id[6]&0x0F | 0x80 // UUID of version 8: made by the implementation's own rule (RFC 9562 5.8)
	id[8] = id[8]&0x3F | 0x80
	return "2.25." + new(big.Int).SetBytes(id[:]).String()
}

// Instances returns all objects of the study, series by series.
func (st *Study) Instances() []*Instance {
	var list []*Instance
	for _, se := range st.Series {
		list = append(list, se.Instances...)
	}
	return list
}

// Series returns the series that the instance belongs to.
func (in *Instance) Series() *Series { return in.series }

// Study returns the study that the series belongs to.
func (se *Series) Study() *Study { return se.study }

// Size is the length of the data set in bytes.
func (in *Instance) Size() int64 {
	return int64(len(in.head())) + in.pixelLen()
}

// pixelLen is the length of what is generated behind the head.
func (in *Instance) pixelLen() int64 {
	sp := in.series.Spec
	if in.encapsulated() {
		return 0
	}
	n := int64(sp.Rows) * int64(sp.Columns) * int64(sp.Frames) * int64(kinds[sp.Kind].bytes)
	return n + n%2
}

func (in *Instance) encapsulated() bool { return in.TransferSyntaxUID == dict.RLELossless }

// Open returns the data set, without preamble and file meta information. Native pixel data is generated while it
// is read; RLE is made beforehand, in memory.
func (in *Instance) Open() io.ReadCloser {
	head := bytes.NewReader(in.head())
	if in.pixelLen() == 0 {
		return io.NopCloser(head)
	}
	return io.NopCloser(io.MultiReader(head, newPixels(in)))
}

// head encodes all that stands before the generated bytes.
func (in *Instance) head() []byte {
	ds := in.Attributes()
	if in.encapsulated() {
		ds.SetBytes(dict.PixelData, dict.OB, runLengths(newPixels(in)))
	}
	b, err := ds.Encode(in.TransferSyntaxUID)
	if err != nil {
		panic("phantom: " + err.Error()) // attributes are a few KB of ours
	}
	n := in.pixelLen()
	if n == 0 {
		return b
	}
	b = append(b, 0xE0, 0x7F, 0x10, 0x00)
	if !dict.TransferSyntaxOf(in.TransferSyntaxUID).Implicit {
		vr := kinds[in.series.Spec.Kind].pixelVR
		b = append(b, byte(vr>>8), byte(vr), 0, 0)
	}
	return binary.LittleEndian.AppendUint32(b, uint32(n))
}

// SHA256 is the digest of the data set as Open gives it.
func (in *Instance) SHA256() [sha256.Size]byte {
	h := sha256.New()
	r := in.Open()
	_, _ = io.Copy(h, r) // memory to memory
	_ = r.Close()
	return [sha256.Size]byte(h.Sum(nil))
}

// FileMeta is the file meta information of the object as a file.
func (in *Instance) FileMeta() stream.FileMeta {
	return stream.FileMeta{
		MediaStorageSOPClassUID:    in.SOPClassUID,
		MediaStorageSOPInstanceUID: in.SOPInstanceUID,
		TransferSyntaxUID:          in.TransferSyntaxUID,
	}
}
