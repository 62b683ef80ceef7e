// SPDX-License-Identifier: AGPL-3.0-or-later

package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/dicomjson"
)

// query is that of QIDO-RS (PS3.18 8.3.4).
type query struct {
	keys          *stream.DataSet
	all           bool // includefield=all
	limit, offset int  // limit -1: none
	fuzzy         bool
}

// flags are parameters that the PACS knows and does nothing about.
var flags = []string{"accept", "emptyvaluematching", "multiplevaluematching"}

// parseQuery reads the parameters. The error says what is wrong with them, but no value.
func parseQuery(values url.Values) (query, error) {
	q := query{keys: &stream.DataSet{}, limit: -1}
	if err := q.keys.SetCharset(charset.UTF8); err != nil {
		return q, err
	}
	for name, list := range values {
		var err error
		switch lower := strings.ToLower(name); {
		case lower == "limit":
			q.limit, err = count(list)
		case lower == "offset":
			q.offset, err = count(list)
		case lower == "fuzzymatching":
			q.fuzzy = list[0] == "true"
		case lower == "includefield":
			err = q.include(list)
		case !slices.Contains(flags, lower):
			err = q.match(name, list)
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

func count(list []string) (int, error) {
	n, err := strconv.ParseUint(list[0], 10, 31)
	if err != nil {
		return 0, fmt.Errorf("limit and offset must be whole numbers")
	}
	return int(n), nil
}

// include adds the attributes that answers are to have, each named by itself or several with commas between.
func (q *query) include(list []string) error {
	for field := range strings.SplitSeq(strings.Join(list, ","), ",") {
		if field == "all" {
			q.all = true
			continue
		}
		tag, err := attribute(field)
		if err != nil {
			return err
		}
		if !q.keys.Has(tag) {
			q.keys.Set(tag)
		}
	}
	return nil
}

// match adds a key. UIDs, and modalities, may be several with commas between.
func (q *query) match(name string, list []string) error {
	tag, err := attribute(name)
	if err != nil {
		return err
	}
	if dict.VROf(tag) == dict.SQ {
		q.keys.SetSequence(tag)
		return nil
	}
	var values []string
	for _, v := range list {
		if dict.VROf(tag) == dict.UI || tag == dict.ModalitiesInStudy {
			values = append(values, strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == '\\' })...)
		} else {
			values = append(values, v)
		}
	}
	q.keys.Set(tag, values...)
	return nil
}

// attribute understands a keyword or a tag, and of a path its first sequence (PS3.18 8.3.4.1).
func attribute(name string) (dict.Tag, error) {
	name, _, _ = strings.Cut(name, ".")
	if e, ok := dict.ByKeyword(name); ok {
		return e.Tag, nil
	}
	n, err := strconv.ParseUint(name, 16, 32)
	if err != nil || len(name) != 8 {
		return 0, fmt.Errorf("a parameter is neither one of QIDO-RS nor an attribute")
	}
	return dict.Tag(n), nil
}

// fields are what answers have of a level and those above it, as far as the PACS has it (PS3.18 10.6.3.3).
var fields = map[string][]dict.Tag{
	Study: {
		dict.StudyDate, dict.StudyTime, dict.AccessionNumber, dict.InstanceAvailability, dict.ModalitiesInStudy,
		dict.ReferringPhysicianName, dict.RetrieveURL, dict.PatientName, dict.PatientID, dict.PatientBirthDate,
		dict.PatientSex, dict.StudyInstanceUID, dict.StudyID, dict.StudyDescription,
		dict.NumberOfStudyRelatedSeries, dict.NumberOfStudyRelatedInstances,
	},
	Series: {
		dict.Modality, dict.SeriesDescription, dict.RetrieveURL, dict.SeriesInstanceUID, dict.SeriesNumber,
		dict.NumberOfSeriesRelatedInstances,
	},
	Image: {
		dict.SOPClassUID, dict.SOPInstanceUID, dict.InstanceAvailability, dict.RetrieveURL, dict.InstanceNumber,
		dict.Rows, dict.Columns, dict.NumberOfFrames,
	},
}

func (x *exchange) search() {
	f := x.state.search()
	if x.faulty(f.AnswerFaults) {
		return
	}
	q, err := parseQuery(x.r.URL.Query())
	if err != nil {
		x.fail(http.StatusBadRequest, err.Error())
		return
	}
	for tag, uid := range map[dict.Tag]string{
		dict.StudyInstanceUID: x.res.study, dict.SeriesInstanceUID: x.res.series,
	} {
		if uid != "" {
			q.keys.Set(tag, uid)
		}
	}
	for _, tag := range x.fields(q) {
		if !q.keys.Has(tag) {
			q.keys.Set(tag)
		}
	}
	found := x.state.listed(f, x.h.b.Search(x.res.level, q.keys, !f.IgnoreKeys))
	if f.IgnoreOffset {
		q.offset = 0
	}
	found = found[min(q.offset, len(found)):]
	if q.limit >= 0 && !f.IgnoreLimit {
		found = found[:min(q.limit, len(found))]
	}
	if q.fuzzy {
		x.warn("The fuzzymatching parameter is not supported. Only literal matching has been performed.")
	}
	if f.Cap > 0 && len(found) > f.Cap {
		if f.Warn {
			x.warn(fmt.Sprintf(
				"The number of results exceeded the maximum supported by the server. There are %d additional results "+
					"that can be requested.", len(found)-f.Cap,
			))
		}
		found = found[:f.Cap]
	}
	x.answers(f, found)
}

// fields are the attributes that the answers have.
func (x *exchange) fields(q query) []dict.Tag {
	if q.all {
		return x.h.b.Supports(x.res.level)
	}
	var list []dict.Tag
	if x.res.study == "" { // what the path says is not told again
		list = append(list, fields[Study]...)
	}
	if x.res.level != Study && x.res.series == "" {
		list = append(list, fields[Series]...)
	}
	if x.res.level == Image {
		list = append(list, fields[Image]...)
	}
	return list
}

// warn adds a Warning (RFC 7234 5.5, which PS3.18 8.3.4 still uses).
func (x *exchange) warn(text string) {
	x.w.Header().Add("Warning", fmt.Sprintf("299 %s: %q", x.base(), text))
}

func (x *exchange) answers(f SearchFaults, found []Match) {
	x.rq.Objects = len(found)
	if len(found) == 0 && f.NoContent {
		x.w.WriteHeader(http.StatusNoContent)
		return
	}
	x.w.Header().Set("Content-Type", dicomjson.MediaType)
	times := 1
	if f.Twice {
		times = 2
	}
	l := list{w: x.w, bare: f.Object && len(found) == 1}
	for _, m := range found {
		ds := m.Answer()
		x.located(ds)
		for _, tag := range f.OmitKeys {
			ds.Remove(tag)
		}
		for range times {
			if l.add(ds, dicomjson.Options{}) != nil {
				return // the client has gone, or the body ends here
			}
			x.h.b.Answered(x.r.Context(), &x.rq, ds)
		}
	}
	_ = l.end() // the client has gone: nobody to tell
}

// located adds Retrieve URL (0008,1190).
func (x *exchange) located(ds *stream.DataSet) {
	r := x.res
	for tag, uid := range map[dict.Tag]*string{
		dict.StudyInstanceUID: &r.study, dict.SeriesInstanceUID: &r.series, dict.SOPInstanceUID: &r.instance,
	} {
		if v := ds.String(tag); v != "" {
			*uid = v
		}
	}
	ds.Set(dict.RetrieveURL, x.base()+r.String())
}

// list writes data sets as a list in JSON, each as it comes.
type list struct {
	w     *answer
	b     []byte
	begun bool
	bare  bool // the only one as it is
}

func (l *list) add(ds *stream.DataSet, o dicomjson.Options) error {
	l.b = l.b[:0]
	switch {
	case l.begun:
		l.b = append(l.b, ",\n"...)
	case !l.bare:
		l.b = append(l.b, '[')
	}
	l.begun = true
	var err error
	if l.b, err = dicomjson.Append(l.b, ds, o); err != nil {
		return err
	}
	_, err = l.w.Write(l.b)
	return err
}

func (l *list) end() error {
	text := "]\n"
	switch {
	case l.bare:
		return nil
	case !l.begun:
		text = "[]\n"
	}
	_, err := l.w.Write([]byte(text))
	return err
}
