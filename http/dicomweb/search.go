// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/dicomjson"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/people"
)

// searches are the resources that are searched for (PS3.18 10.6.1), by their paths.
var searches = map[string]query.Level{
	"/studies":                   query.Studies,
	"/series":                    query.Series,
	"/instances":                 query.Instances,
	"/studies/{study}/series":    query.Series,
	"/studies/{study}/instances": query.Instances,
	"/studies/{study}/series/{series}/instances": query.Instances,
}

// queries returns the routes of QIDO-RS.
func (p proxy) queries() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{}
	for path, of := range searches {
		routes[path] = p.search(of)
	}
	return routes
}

// patience is how long a client waits for the first byte at most; it then gets a blank as often. dicomweb-client gives
// up after 20 s of silence. Until a connection for interactive use is free, or that is refused, nothing is sent.
const patience = 15 * time.Second

// search serves QIDO-RS at one level.
func (p proxy) search(of query.Level) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !takesJSON(r) {
			p.refuse(w, r, problem.New(
				http.StatusNotAcceptable, "Searches are answered as application/dicom+json alone; accept that.",
			))
			return
		}
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil { // Query passes over what it can't read, and so over a key
			p.refuse(w, r, problem.New(http.StatusBadRequest, "The query of the address can't be read; escape it properly."))
			return
		}
		q, err := readQuery(values)
		if err != nil {
			p.refuse(w, r, err)
			return
		}
		q.search.Level = of
		q.search.StudyInstanceUID, q.search.SeriesInstanceUID = chi.URLParam(r, "study"), chi.URLParam(r, "series")
		user, title := auth.User(r.Context()), aeTitle(r)
		if err := p.Engine.Query.MaySearchByDICOMweb(r.Context(), user, title); err != nil {
			p.refuse(w, r, err)
			return
		}
		p.answer(w, r, q, p.lists.get(r.Context(), p.key(user, title, q), func(ctx context.Context) (list, error) {
			return p.find(ctx, user, title, q.search)
		}))
	}
}

// key names a search of a user's. Pages of one list have the same.
func (p proxy) key(user people.User, title string, q asked) string {
	return fmt.Sprintf(
		"%d %t %q %d %s %s %s", user.ID, p.original, title, q.search.Level, q.search.StudyInstanceUID,
		q.search.SeriesInstanceUID, q.canonical,
	)
}

// find asks the server, and writes its answers as they go out.
func (p proxy) find(ctx context.Context, user people.User, title string, s query.AttributeSearch) (list, error) {
	found, err := p.Engine.Query.Attributes(ctx, user, title, s)
	l := list{cut: found.Cut}
	for _, tag := range found.Unheeded {
		l.unheeded = append(l.unheeded, cmp.Or(tag.Keyword(), tag.String()))
	}
	for _, ds := range found.Answers {
		p.complete(ds, title, s)
		row, err := dicomjson.Append(nil, ds, dicomjson.Options{OmitUnparsable: p.original})
		if err != nil {
			return l, err
		}
		l.rows = append(l.rows, row)
		l.bytes += len(row)
	}
	return l, err
}

// complete adds to an answer what PS3.18 wants in it and no server tells by C-FIND.
func (p proxy) complete(ds *stream.DataSet, title string, s query.AttributeSearch) {
	if !p.original {
		ds.Remove(dict.QueryRetrieveLevel)
	}
	for tag, uid := range map[dict.Tag]string{
		dict.StudyInstanceUID: s.StudyInstanceUID, dict.SeriesInstanceUID: s.SeriesInstanceUID,
	} {
		if uid != "" && ds.String(tag) == "" {
			ds.Set(tag, uid)
		}
	}
	ds.Remove(dict.RetrieveURL) // the server's own, of whose address only staff is told
	ds.Remove(dict.RetrieveURI)
	if p.PublicURL == nil {
		return
	}
	var path []string
	for _, part := range []struct {
		name string
		uid  dict.Tag
	}{
		{"studies", dict.StudyInstanceUID}, {"series", dict.SeriesInstanceUID}, {"instances", dict.SOPInstanceUID},
	} {
		uid := ds.String(part.uid)
		if !dict.ValidUID(uid) {
			break
		}
		path = append(path, part.name, uid)
	}
	ds.Set(dict.RetrieveURL, p.retrieveURL(title, path...))
}

// takesJSON reports whether a request accepts the answer (PS3.18 8.7.4).
func takesJSON(r *http.Request) bool {
	fields := accepted(r)
	wanted := media.ByWeight(media.ParseList(fields...))
	for _, t := range wanted {
		if t.Includes(dicomjson.MediaType) || t.Includes("application/json") || t.Name == "multipart/related" {
			return true
		}
	}
	return len(fields) == 0
}

// answer writes a page of a list when it is there.
func (p proxy) answer(w http.ResponseWriter, r *http.Request, q asked, wait <-chan result) {
	begun := false
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case got := <-wait:
			p.write(w, r, q, got, begun)
			return
		case <-r.Context().Done():
			panic(http.ErrAbortHandler) // the caller has gone
		case <-timer.C:
		}
		if !begun {
			begun = true
			w.Header().Set("Content-Type", dicomjson.MediaType)
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusOK)
		}
		if _, err := w.Write([]byte("\n")); err != nil {
			panic(http.ErrAbortHandler)
		}
		_ = http.NewResponseController(w).Flush()
		timer.Reset(patience)
	}
}

func (p proxy) write(w http.ResponseWriter, r *http.Request, q asked, got result, begun bool) {
	switch {
	case got.err != nil && begun:
		problem.Logger(r.Context()).InfoContext(r.Context(), "a search broke off", "reason", got.err)
		panic(http.ErrAbortHandler) // which no client takes for an end
	case got.err != nil:
		if errors.Is(got.err, context.Canceled) && r.Context().Err() != nil {
			panic(http.ErrAbortHandler)
		}
		p.refuse(w, r, got.err)
		return
	}
	rows, more := got.page(q)
	h := w.Header()
	h.Set("Content-Type", dicomjson.MediaType)
	h.Set("Cache-Control", "no-store")
	if q.fuzzy {
		h.Add("Warning", `299 ADIT "The fuzzymatching parameter is not supported. Only literal matching has been performed."`)
	}
	if len(got.unheeded) > 0 {
		h.Add("Warning", fmt.Sprintf(
			`299 ADIT "The server does not know these attributes, and did not match by them: %s."`, strings.Join(got.unheeded, ", "),
		))
	}
	if more {
		h.Add("Warning", `299 ADIT "The number of results exceeded the maximum supported by the server. Additional results can be `+
			`requested by a narrower search."`)
	}
	var out interface{ Write([]byte) (int, error) } = w
	if !begun && got.bytes > compressFrom && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer func() { _ = z.Close() }() // the caller has gone
		out = z
	}
	h.Add("Vary", "Accept-Encoding")
	separator := "["
	for _, row := range rows {
		if _, err := out.Write(append([]byte(separator), row...)); err != nil {
			panic(http.ErrAbortHandler)
		}
		separator = ","
	}
	if len(rows) == 0 {
		separator = "[]"
	} else {
		separator = "]"
	}
	_, _ = out.Write([]byte(separator))
}

const compressFrom = 1400 // bytes, which is about one packet
