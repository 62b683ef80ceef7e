// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
)

// instance is an instance of the archive.
type object struct {
	sopClassUID, sopInstanceUID, transferSyntaxUID string
	seriesUID, studyUID                            string
	attributes                                     func() *stream.DataSet // what queries see
	// the data set; nil if its bytes were not kept
	open func() (io.ReadCloser, error)
	// with other values of attributes; nil: it can't
	openWith func(map[dict.Tag]string) (io.ReadCloser, error)
	release  func() // gives back what the bytes took; may be nil
}

// phantomObject makes an instance of a synthetic one, with other values of some attributes.
func phantomObject(in *phantom.Instance, values map[dict.Tag]string) *object {
	o := &object{
		sopClassUID: in.SOPClassUID, transferSyntaxUID: in.TransferSyntaxUID, attributes: in.Attributes,
		open: func() (io.ReadCloser, error) { return in.Open(), nil },
	}
	if len(values) > 0 {
		o.attributes = func() *stream.DataSet { return with(in.Attributes(), values) }
		o.open = func() (io.ReadCloser, error) { return rewritten(in, values) }
	}
	o.openWith = func(others map[dict.Tag]string) (io.ReadCloser, error) {
		all := maps.Clone(others)
		for tag, v := range values {
			if _, ok := all[tag]; !ok {
				all[tag] = v
			}
		}
		return rewritten(in, all)
	}
	ds := o.attributes()
	o.sopInstanceUID, o.seriesUID, o.studyUID = ds.String(dict.SOPInstanceUID), ds.String(dict.SeriesInstanceUID),
		ds.String(dict.StudyInstanceUID)
	return o
}

func with(ds *stream.DataSet, values map[dict.Tag]string) *stream.DataSet {
	for tag, v := range values {
		ds.Set(tag, v)
	}
	return ds
}

// rewritten returns the data set of a synthetic instance with other values of some attributes, which come before the
// pixel data.
func rewritten(in *phantom.Instance, values map[dict.Tag]string) (io.ReadCloser, error) {
	before, err := in.Attributes().Encode(in.TransferSyntaxUID)
	if err != nil {
		return nil, err
	}
	after, err := with(in.Attributes(), values).Encode(in.TransferSyntaxUID)
	if err != nil {
		return nil, err
	}
	rest := in.Open()
	if _, err := io.CopyN(io.Discard, rest, int64(len(before))); err != nil {
		return nil, err
	}
	return readCloser{io.MultiReader(bytes.NewReader(after), rest), rest}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// archive holds the instances as studies and series, in the order in which they came.
type archive struct {
	aeTitle string

	mu      sync.RWMutex
	studies []*study
	byUID   map[string]*study
}

type study struct {
	uid        string
	attributes *stream.DataSet // of its first instance
	series     []*series
}

type series struct {
	uid        string
	attributes *stream.DataSet // of its first instance
	objects    []*object
}

// add takes an instance in. One with the same SOP Instance UID in the same series is replaced, and returned.
func (a *archive) add(o *object) (replaced *object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byUID == nil {
		a.byUID = map[string]*study{}
	}
	st := a.byUID[o.studyUID]
	if st == nil {
		st = &study{uid: o.studyUID, attributes: o.attributes()}
		a.byUID[o.studyUID] = st
		a.studies = append(a.studies, st)
	}
	i := slices.IndexFunc(st.series, func(se *series) bool { return se.uid == o.seriesUID })
	if i < 0 {
		i = len(st.series)
		st.series = append(st.series, &series{uid: o.seriesUID, attributes: o.attributes()})
	}
	se := st.series[i]
	if k := slices.IndexFunc(
		se.objects, func(old *object) bool { return old.sopInstanceUID == o.sopInstanceUID },
	); k >= 0 {
		replaced, se.objects[k] = se.objects[k], o
		return replaced
	}
	se.objects = append(se.objects, o)
	return nil
}

// remove takes a study out.
func (a *archive) remove(uid string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	st := a.byUID[uid]
	if st == nil {
		return
	}
	delete(a.byUID, uid)
	a.studies = slices.DeleteFunc(a.studies, func(o *study) bool { return o == st })
	for _, se := range st.series {
		for _, o := range se.objects {
			if o.release != nil {
				o.release()
			}
		}
	}
}

// instance finds an instance by its SOP Instance UID; nil if there is none.
func (a *archive) instance(uid string) *object {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, st := range a.studies {
		for _, se := range st.series {
			for _, o := range se.objects {
				if o.sopInstanceUID == uid {
					return o
				}
			}
		}
	}
	return nil
}

// syntaxesOf lists the transfer syntaxes in which instances of a SOP class are held.
func (a *archive) syntaxesOf(sopClass string) []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var list []string
	for _, st := range a.studies {
		for _, se := range st.series {
			for _, o := range se.objects {
				if o.sopClassUID == sopClass && !slices.Contains(list, o.transferSyntaxUID) {
					list = append(list, o.transferSyntaxUID)
				}
			}
		}
	}
	return list
}

// row is an entity that a query may match: an instance, or the first instance of a series, study or patient with what
// is computed for it.
type row struct {
	attributes *stream.DataSet
	computed   map[dict.Tag][]string
	object     *object // at IMAGE level
}

// values returns the values of an attribute as text.
func (r row) values(tag dict.Tag) []string {
	if v, ok := r.computed[tag]; ok {
		return v
	}
	return r.attributes.Strings(tag)
}

// uid returns the UID of the row's own level.
func (r row) uid(l level) string {
	switch l {
	case studyLevel:
		return r.attributes.String(dict.StudyInstanceUID)
	case seriesLevel:
		return r.attributes.String(dict.SeriesInstanceUID)
	case imageLevel:
		return r.attributes.String(dict.SOPInstanceUID)
	}
	return r.attributes.String(dict.PatientID)
}

// rows returns the entities of a level that match, in order. It holds the archive while it looks.
func (a *archive) rows(l level, matches func(r row, at level) bool) []row {
	return a.rowsOf(l, nil, matches)
}

// rowsOf is rows, of no other instances than those named; nil: of all. The row of an instance takes much longer to make
// than to leave out.
func (a *archive) rowsOf(l level, objects map[string]bool, matches func(r row, at level) bool) []row {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if l == patientLevel {
		return a.patients(matches)
	}
	var list []row
	for _, st := range a.studies {
		r := st.row(a.aeTitle)
		if !matches(r, patientLevel) || !matches(r, studyLevel) {
			continue
		}
		if l == studyLevel {
			list = append(list, r)
			continue
		}
		list = append(list, st.rows(a.aeTitle, l, objects, matches)...)
	}
	return list
}

// rows returns the matching series, or instances, of a study.
func (st *study) rows(aeTitle string, l level, objects map[string]bool, matches func(r row, at level) bool) []row {
	var list []row
	for _, se := range st.series {
		r := se.row(aeTitle)
		if !matches(r, seriesLevel) {
			continue
		}
		if l == seriesLevel {
			list = append(list, r)
			continue
		}
		for _, o := range se.objects {
			if objects != nil && !objects[o.sopInstanceUID] {
				continue
			}
			if r := o.row(aeTitle); matches(r, imageLevel) {
				list = append(list, r)
			}
		}
	}
	return list
}

func (a *archive) patients(matches func(r row, at level) bool) []row {
	var list []row
	counts := map[string]*[3]int{} // studies, series, instances by Patient ID
	for _, st := range a.studies {
		id := st.attributes.String(dict.PatientID)
		n := counts[id]
		if n == nil {
			n = &[3]int{}
			counts[id] = n
			if r := (row{attributes: st.attributes}); matches(r, patientLevel) {
				list = append(list, r)
			}
		}
		n[0]++
		n[1] += len(st.series)
		n[2] += st.size()
	}
	for i := range list {
		n := counts[list[i].attributes.String(dict.PatientID)]
		list[i].computed = computed(a.aeTitle, map[dict.Tag][]string{
			dict.NumberOfPatientRelatedStudies:   {strconv.Itoa(n[0])},
			dict.NumberOfPatientRelatedSeries:    {strconv.Itoa(n[1])},
			dict.NumberOfPatientRelatedInstances: {strconv.Itoa(n[2])},
		})
	}
	return list
}

func (st *study) size() int {
	n := 0
	for _, se := range st.series {
		n += len(se.objects)
	}
	return n
}

func (st *study) row(aeTitle string) row {
	var modalities, classes []string
	for _, se := range st.series {
		modalities = append(modalities, se.attributes.String(dict.Modality))
		for _, o := range se.objects {
			classes = append(classes, o.sopClassUID)
		}
	}
	return row{attributes: st.attributes, computed: computed(aeTitle, map[dict.Tag][]string{
		dict.ModalitiesInStudy:             distinct(modalities),
		dict.SOPClassesInStudy:             distinct(classes),
		dict.NumberOfStudyRelatedSeries:    {strconv.Itoa(len(st.series))},
		dict.NumberOfStudyRelatedInstances: {strconv.Itoa(st.size())},
	})}
}

func (se *series) row(aeTitle string) row {
	return row{attributes: se.attributes, computed: computed(aeTitle, map[dict.Tag][]string{
		dict.NumberOfSeriesRelatedInstances: {strconv.Itoa(len(se.objects))},
	})}
}

func (o *object) row(aeTitle string) row {
	return row{attributes: o.attributes(), object: o, computed: computed(aeTitle, map[dict.Tag][]string{
		dict.AvailableTransferSyntaxUID: {o.transferSyntaxUID},
	})}
}

// computed adds what every answer has (PS3.4 C.4.1.1.3).
func computed(aeTitle string, m map[dict.Tag][]string) map[dict.Tag][]string {
	if aeTitle != "" {
		m[dict.RetrieveAETitle] = []string{aeTitle}
	}
	m[dict.InstanceAvailability] = []string{"ONLINE"}
	return m
}

func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
