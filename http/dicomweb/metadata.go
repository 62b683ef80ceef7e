// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/frames"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/dicomjson"
	"github.com/adit-go/adit/engine/reading"
	"github.com/adit-go/adit/http/problem"
)

// metadata serves what instances have besides bulk data (PS3.18 10.4.1.1.2).
func (p proxy) metadata(w http.ResponseWriter, r *http.Request, of what) error {
	if !takesJSON(r) {
		return problem.New(http.StatusNotAcceptable, "Metadata is answered as application/dicom+json alone; accept that.")
	}
	if err := old(r); err != nil {
		return err
	}
	if r.Method == http.MethodHead && of.instance == "" {
		return of.head(w, r, dicomjson.MediaType)
	}
	if err := of.ForViewing(r.Context()); err != nil {
		return err
	}
	all, err := of.instances(r.Context())
	if err != nil {
		return err
	}
	out := &listing{
		answering: answering{w: w, ctx: r.Context(), tell: of.tell},
		packs:     strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"),
	}
	base := p.base(r)
	next, stop := opened(all, func(i *reading.Instance) ([]byte, error) { return p.describe(i, base, of) })
	defer stop()
	for {
		s := await(next, out.live)
		switch {
		case s.err != nil:
			return out.failed(s.err)
		case !s.ok:
			return out.end()
		}
		if err := out.told(); err != nil {
			return out.failed(err)
		}
		if err := out.row(s.got); err != nil {
			return out.failed(err)
		}
	}
}

// describe writes the metadata of an instance. Its bulk data is at addresses below that by which it was asked for.
// Under a pseudonym they name no series and instance: together with the metadata they would tell whose is what.
func (p proxy) describe(i *reading.Instance, base string, of what) ([]byte, error) {
	obj, err := i.Object()
	if err != nil {
		return nil, err
	}
	defer func() { _ = obj.Close() }()
	ds, err := headerOf(obj)
	if err != nil {
		return nil, err
	}
	ds.Set(dict.AvailableTransferSyntaxUID, i.TransferSyntaxUID)
	study := base + "/studies/" + of.study
	query := ""
	if of.query != "" {
		query = "?" + of.query
	}
	return dicomjson.Append(nil, ds, dicomjson.Options{
		OmitUnparsable: p.original, BulkData: func(path dicomjson.Path) string {
			if of.Pseudonymizes() {
				return study + "/bulkdata/" + of.Sealed(i.Series, i.SOPInstanceUID, place(path)) + query
			}
			return study + "/series/" + i.Series + "/instances/" + i.SOPInstanceUID + "/bulkdata/" + place(path) + query
		},
	})
}

// place is the last part of the address of a value.
func place(path dicomjson.Path) string {
	steps := make(frames.Path, len(path))
	for i, s := range path {
		steps[i].Tag = s.Tag
		if i < len(path)-1 {
			steps[i].Item = s.Item + 1
		}
	}
	return steps.String()
}

// headerOf reads what stands before the pixel data of an object, and names that.
func headerOf(obj *stream.Object) (*stream.DataSet, error) {
	syntax := obj.TransferSyntax()
	if syntax.Deflated {
		syntax.UID = dict.ExplicitVRLittleEndian
	}
	ds, err := stream.ParseDataSet(obj.Header().Bytes(), syntax.UID, stream.Limits{})
	if err != nil {
		return nil, err
	}
	if body, ok := obj.Body(); ok {
		vr := body.VR
		if vr == 0 {
			vr = dict.OW
		}
		ds.SetBytes(body.Tag, vr, nil)
	}
	return ds, nil
}

// base is the address of the server that a request names, below which its resources are.
func (p proxy) base(r *http.Request) string {
	path := r.URL.EscapedPath()
	if i := strings.Index(path, "/studies/"); i >= 0 {
		path = path[:i]
	}
	if p.PublicURL == nil {
		return path
	}
	return strings.TrimSuffix(p.PublicURL.String(), "/") + path
}

// listing is an answer of rows in JSON, which are sent as they come.
type listing struct {
	answering

	packs bool      // the client takes it compressed
	out   io.Writer // compressed, then
	zip   *gzip.Writer
	rows  int
}

// live sends a blank.
func (l *listing) live() {
	l.start()
	_, _ = l.out.Write([]byte("\n")) // the next write meets an error
	if l.zip != nil {
		_ = l.zip.Flush()
	}
	_ = http.NewResponseController(l.w).Flush()
}

func (l *listing) start() {
	if l.begun {
		return
	}
	h := l.w.Header()
	h.Set("Content-Type", dicomjson.MediaType)
	h.Add("Vary", "Accept-Encoding")
	if l.packs {
		h.Set("Content-Encoding", "gzip")
		l.zip, _ = gzip.NewWriterLevel(l, gzip.BestSpeed) // a level that there is
		l.out = l.zip
	} else {
		l.out = l
	}
	l.begin()
}

// row writes a row.
func (l *listing) row(b []byte) error {
	l.start()
	separator := ","
	if l.rows == 0 {
		separator = "["
	}
	l.rows++
	if _, err := io.WriteString(l.out, separator); err != nil {
		return err
	}
	_, err := l.out.Write(b)
	return err
}

// end ends the list.
func (l *listing) end() error {
	_, err := io.WriteString(l.out, "]")
	if l.zip != nil && err == nil {
		err = l.zip.Close()
	}
	return l.failed(err)
}
