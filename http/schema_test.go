// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	nethttp "net/http"
	"net/url"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// openAPI is what a document says about requests.
type openAPI struct {
	Paths      map[string]map[string]openOperation `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

type openOperation struct {
	ID         string `json:"operationId"`
	Parameters []struct {
		Name     string  `json:"name"`
		In       string  `json:"in"`
		Required bool    `json:"required"`
		Schema   *schema `json:"schema"`
	} `json:"parameters"`
	RequestBody *struct {
		Content map[string]struct {
			Schema *schema `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
}

type schema struct {
	Ref        string             `json:"$ref"`
	Type       any                `json:"type"` // a word or several
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Items      *schema            `json:"items"`
	Enum       []any              `json:"enum"`
	Minimum    *float64           `json:"minimum"`
	MinLength  int                `json:"minLength"`
	MinItems   int                `json:"minItems"`
	Format     string             `json:"format"`
}

func (d *openAPI) resolve(s *schema) *schema {
	for s.Ref != "" {
		s = d.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	return s
}

// is reports whether a schema takes values of a type.
func (s *schema) is(name string) bool {
	switch t := s.Type.(type) {
	case string:
		return t == name
	case []any:
		return slices.Contains(t, any(name))
	}
	return false
}

// example makes a value of the documented form, with all properties.
func (d *openAPI) example(s *schema, depth int) any {
	s = d.resolve(s)
	switch {
	case depth > 8:
		return nil
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.is("object"):
		o := map[string]any{}
		for name, p := range s.Properties {
			o[name] = d.example(p, depth+1)
		}
		return o
	case s.is("array"):
		return []any{d.example(s.Items, depth+1)}
	case s.is("boolean"):
		return false
	case s.is("integer"), s.is("number"):
		if s.Minimum != nil {
			return *s.Minimum + 1
		}
		return 1
	}
	return strings.Repeat("x", max(1, s.MinLength))
}

// fault is one thing wrong with a body.
type fault struct {
	what  string
	value any
	sure  bool // it must be refused; else it may be fine
}

// raw is written as it is, whether it is JSON or not.
type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// marker stands for a value of a patient. Lower case and digits, so that no check of letters sends it back.
const marker = "Doe^Jane-4711"

// faults are the values that a place is tried with.
func (d *openAPI) faults(s *schema) []fault {
	s = d.resolve(s)
	f := []fault{
		{"text", marker, !s.is("string") || len(s.Enum) > 0},
		{"NUL", marker + "\x00", !s.is("string") || len(s.Enum) > 0},
		{"long text", strings.Repeat(marker, 400), !s.is("string") || len(s.Enum) > 0},
		{"no UTF-8", raw("\"" + marker + "\xff\xc3\""), !s.is("string") || len(s.Enum) > 0},
		{"boolean", true, !s.is("boolean")},
		{"object", map[string]any{marker: marker}, s.is("string") || s.is("integer") || s.is("number") || s.is("boolean") || s.is("array")},
		{"list of all", []any{marker, 1, nil, true}, true},
		{"fraction", 0.5, !s.is("number")},
		{"below all", -1e15, !s.is("number") && !s.is("integer")},
		{"no number of ours", raw("1e999"), true},
		{"beyond int64", raw("99999999999999999999"), !s.is("number")},
	}
	if s.Properties != nil {
		f = append(f, fault{"unknown property", map[string]any{marker: marker}, true})
	}
	return f
}

// place is a property anywhere in a body.
type place struct {
	path     []string // "[]" is the first of a list
	schema   *schema
	required bool
}

func (d *openAPI) places(s *schema, path []string, out *[]place) {
	s = d.resolve(s)
	if len(path) > 6 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		at := append(slices.Clone(path), name)
		*out = append(*out, place{at, s.Properties[name], slices.Contains(s.Required, name)})
		d.places(s.Properties[name], at, out)
	}
	if s.Items != nil {
		at := append(slices.Clone(path), "[]")
		*out = append(*out, place{at, s.Items, false})
		d.places(s.Items, at, out)
	}
}

// with returns an example with another value at a place; nothing: the property is taken away.
func with(v any, path []string, value any, nothing bool) any {
	if len(path) == 0 {
		return value
	}
	if list, ok := v.([]any); ok && path[0] == "[]" {
		return append([]any{with(list[0], path[1:], value, nothing)}, list[1:]...)
	}
	o, ok := v.(map[string]any)
	if !ok {
		return v // deeper than examples go
	}
	o = maps.Clone(o)
	if nothing && len(path) == 1 {
		delete(o, path[0])
	} else {
		o[path[0]] = with(o[path[0]], path[1:], value, nothing)
	}
	return o
}

// abused asks all routes with what they don't take.
type abused struct {
	*matrix
	doc   openAPI
	admin person
	asked int
}

// known are values of parameters that lead somewhere, so that what comes behind is reached.
var known = map[string]string{"name": "SRC", "id": "1", "username": "abused", "group": "Radiology", "member": "machine"}

func (a *abused) path(path string) string {
	return placeholder.ReplaceAllStringFunc(path, func(p string) string {
		if v, ok := known[strings.Trim(p, "{}")]; ok {
			return v
		}
		return "x"
	})
}

// try asks once. A refusal is a sentence without what was sent; what is surely wrong is refused; and nothing is our
// fault.
func (a *abused) try(t *testing.T, method, path, body string, sure bool, what string, header ...string) {
	t.Helper()
	a.asked++
	got := a.ask(row{route: strings.ToUpper(method) + " ", header: header}, a.admin, path, body)
	switch s := got.StatusCode; {
	case s == 502 || s == 503: // the PACS isn't there
	case s >= 500:
		t.Errorf("%s: %d %s", what, s, got.body)
		return
	case s < 400 && sure:
		t.Errorf("%s: taken with %d", what, s)
		return
	case s < 400:
		return
	}
	p := got.problem(t)
	// what isn't there is named, as the address named it
	named := got.StatusCode == nethttp.StatusNotFound && body == ""
	if !named && (strings.Contains(got.body, manyDigits) ||
		strings.Contains(got.body, "Doe") || strings.Contains(got.body, "Jane")) {
		t.Errorf("%s: what was sent comes back: %.300s", what, got.body)
	}
	require.Regexp(t, `^["A-Za-z].*\.$`, p.Detail, what)
	require.Less(t, len(got.body), 8<<10, what)
}

// TestWhatNoRouteTakes: from the document itself, each route gets wrong types, missing and unknown properties, odd
// numbers and texts, broken, deep and huge bodies, and foreign media types.
func TestWhatNoRouteTakes(t *testing.T) {
	a := &abused{matrix: newMatrix(t)}
	a.admin = person{token: a.token}
	a.addPerson("abused", both, false, false)
	require.NoError(t, json.Unmarshal([]byte(a.send("GET", "/api/v1/openapi.json", "").body), &a.doc))
	before := heap()
	for _, path := range slices.Sorted(maps.Keys(a.doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(a.doc.Paths[path])) {
			op := a.doc.Paths[path][method]
			t.Run(op.ID, func(t *testing.T) {
				a.t = t
				a.parameters(t, method, path, op)
				if op.RequestBody == nil {
					return
				}
				for media, content := range op.RequestBody.Content {
					a.broken(t, method, a.path(path), media)
					if media == "application/json" {
						a.properties(t, method, a.path(path), content.Schema)
					}
				}
			})
		}
	}
	a.t = t
	t.Logf("%d requests", a.asked)
	require.Greater(t, a.asked, 1000)
	require.Less(t, heap(), before+32<<20, "bytes that are kept")
	log := a.log.String()
	require.NotContains(t, log, "level=ERROR")
	require.NotContains(t, log, "Jane")
	require.Equal(t, 200, a.send("GET", "/api/v1/me", "").StatusCode, "who asked may still ask")
}

// parameters of path and query.
func (a *abused) parameters(t *testing.T, method, path string, op openOperation) {
	for _, p := range op.Parameters {
		number := p.Schema.is("integer") || p.Schema.is("number")
		for what, value := range map[string]string{
			"text": marker, "NUL": marker + "\x00", "no UTF-8": "\xff\xfe",
			"negative": "-1", "huge": "99999999999999999999", "fraction": "0.5",
			"not a number": "NaN", "long": strings.Repeat(marker, 400), "path": "../../etc/passwd", "empty": "",
		} {
			sure := number && what != "empty" || what == "NUL" || what == "no UTF-8" || p.In == "path" && what == "long"
			switch p.In {
			case "path":
				if what == "empty" {
					continue // another address
				}
				at := strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(value))
				a.try(t, method, a.path(at), "", sure, p.Name+" "+what)
			case "query":
				if method != "get" {
					continue
				}
				a.try(t, method, a.path(path)+"?"+p.Name+"="+url.QueryEscape(value), "", sure, p.Name+" "+what)
			}
		}
	}
}

// broken bodies, whatever the schema.
func (a *abused) broken(t *testing.T, method, path, media string) {
	isJSON := media == "application/json"
	for what, body := range map[string]string{
		"text": marker, "no end": `{"a": "` + marker, "NUL": "\x00\x00",
		"no UTF-8": "\xff\xfe" + marker, "two": `{} {"` + marker + `": 1}`,
		"list": `["` + marker + `"]`, "number": manyDigits, "deep": strings.Repeat(`[`, 20000),
		"deep objects":    strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
		"many values":     "[" + strings.Repeat("{},", 20000) + "{}]",
		"many properties": `{"` + marker + `":1` + strings.Repeat(`,"`+marker+`":1`, 500) + "}",
	} {
		a.try(t, method, path, body, isJSON, what, "Content-Type", media)
	}
	for _, other := range []string{"text/html", "application/xml", "multipart/form-data; boundary=x", marker} {
		a.try(t, method, path, "<"+marker+">", true, "as "+other, "Content-Type", other)
	}
	a.try(t, method, path, "", isJSON, "none", "Content-Type", media)
}

// properties of a body, one at a time.
func (a *abused) properties(t *testing.T, method, path string, s *schema) {
	good := a.doc.example(s, 0)
	send := func(v any, sure bool, what string) {
		t.Helper()
		text, err := json.Marshal(v)
		if err != nil { // raw is not always JSON
			text = []byte(unchecked(v))
		}
		a.try(t, method, path, string(text), sure, what)
	}
	send(map[string]any{marker: marker}, true, "an unknown property")
	var places []place
	a.doc.places(s, nil, &places)
	for _, p := range places {
		name := strings.Join(p.path, ".")
		if p.required {
			send(with(good, p.path, nil, true), true, name+": missing")
		}
		for _, f := range a.doc.faults(p.schema) {
			send(with(good, p.path, f.value, false), f.sure, name+": "+f.what)
		}
	}
}

// unchecked writes JSON with raw parts that are none.
func unchecked(v any) string {
	switch v := v.(type) {
	case raw:
		return string(v)
	case map[string]any:
		var parts []string
		for name, value := range v {
			parts = append(parts, fmt.Sprintf("%q:%s", name, unchecked(value)))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		var parts []string
		for _, value := range v {
			parts = append(parts, unchecked(value))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers and the like
	}
	return string(text)
}

// heap returns the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// pattern repeats a text without end.
type pattern struct {
	text, block string
	at          int // in the text
}

func repeat(text string) *pattern { return &pattern{text: text, block: strings.Repeat(text, 1<<15)} }

func (p *pattern) Read(b []byte) (n int, err error) {
	n = copy(b, p.block[p.at:])
	p.at = (p.at + n) % len(p.text)
	return n, nil
}

// TestHugeBodies: what is sent beyond a route's limit, and what would become huge by being read, ends in a sentence and
// costs bounded memory, however many send it at once.
func TestHugeBodies(t *testing.T) {
	s := newSite(t)
	const senders = 4
	var peak uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for {
			metrics.Read(sample)
			peak = max(peak, sample[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	before := heap()
	statuses := make(chan int, 3*senders)
	for _, body := range []struct{ begin, repeat string }{
		{`{"kind":"`, "x"}, {`{"studies":[{}`, `,{}`}, {``, `[`},
	} {
		var all sync.WaitGroup
		for range senders {
			all.Go(func() {
				r := io.LimitReader(io.MultiReader(strings.NewReader(body.begin), repeat(body.repeat)), 40<<20)
				req, err := nethttp.NewRequestWithContext(t.Context(), "POST", s.url+"/api/v1/jobs", io.NopCloser(r))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Authorization", "Token "+s.token)
				req.Header.Set("Content-Type", "application/json")
				resp, err := (&nethttp.Client{
					Transport: &nethttp.Transport{DisableKeepAlives: true}, Timeout: deadline,
				}).Do(req)
				if err != nil {
					statuses <- 413 // the connection was cut while we wrote
					return
				}
				_ = resp.Body.Close()
				statuses <- resp.StatusCode
			})
		}
		all.Wait()
	}
	close(stop)
	<-stopped
	close(statuses)
	for status := range statuses {
		require.Contains(t, []int{413, 422, 503}, status)
	}
	t.Logf("peak %d MB", peak>>20)
	require.Less(t, peak, before+512<<20, "bytes at once")
	require.Less(t, heap(), before+32<<20, "bytes that are kept")
	require.Equal(t, 200, s.send("GET", "/api/v1/me", "").StatusCode)
}
