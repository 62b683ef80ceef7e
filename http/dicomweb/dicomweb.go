// SPDX-License-Identifier: AGPL-3.0-or-later

// Package dicomweb is the proxy that lets DICOMweb clients use the servers that ADIT knows, whatever those speak
// (PS3.18). It serves two prefixes with the same resources:
//
//   - /dicom-web/{ae_title}/…: the paths of the standard, with problems as the REST API tells them;
//   - /api/dicom-web/{ae_title}/qidors/…, wadors/…, stowrs/…: those of the original ADIT, for its Python
//     client adit-client, with {"detail": "…"} where something is wrong.
package dicomweb

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/pictures"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/people"
)

// Prefixes of what is served here.
const (
	Plain    = "/dicom-web/{ae_title}"
	Original = "/api/dicom-web/{ae_title}"
)

// Config says what the proxy needs.
type Config struct {
	Engine    *engine.Engine
	People    *people.Service
	Pictures  *pictures.Pool // nil: there are no pictures
	PublicURL *url.URL       // nil: answers hold no addresses
}

// Register adds the routes of both prefixes.
func Register(r chi.Router, cfg Config) {
	lists := newLists()
	for _, p := range []proxy{{Config: cfg, lists: lists}, {Config: cfg, lists: lists, original: true}} {
		p.register(r, "dicomweb-query", http.MethodGet, "/qidors", p.refuse, p.queries())
		p.register(r, "dicomweb-retrieve", http.MethodGet, "/wadors", p.refuse, p.retrieves())
		p.register(r, "dicomweb-store", http.MethodPost, "/stowrs", p.turnAway, p.stores())
	}
}

// register adds the routes of a service, for those who are known. In the original's paths the service has a name.
func (p proxy) register(
	r chi.Router, operation, method, service string, refuse func(http.ResponseWriter, *http.Request, error),
	routes map[string]http.HandlerFunc,
) {
	prefix := Plain
	if p.original {
		prefix = Original + service
	}
	r.Group(func(r chi.Router) {
		r.Use(auth.RequireToo(p.People, refuse), route.Counted(p.People, operation))
		for path, h := range routes {
			r.MethodFunc(method, prefix+path, h)
		}
	})
}

// proxy serves one of the prefixes.
type proxy struct {
	Config
	lists    *lists
	original bool // as the original does
}

// refuse says in a sentence why a request is not served. What can't be asked is a bad request here.
func (p proxy) refuse(w http.ResponseWriter, r *http.Request, err error) {
	told := problem.Of(r.Context(), err)
	if told.Status == http.StatusUnprocessableEntity {
		fields := told.Errors
		told = problem.New(http.StatusBadRequest, told.Detail)
		told.Errors = fields
	}
	if !ofPage(r) {
		told = told.OfferBasic()
	}
	if !p.original {
		problem.Write(w, r, told)
		return
	}
	var say any = map[string]string{"detail": told.Detail}
	if len(told.Errors) == 1 && told.Status == http.StatusBadRequest && told.Errors[0].Field == "pseudonym" {
		say = map[string][]string{told.Errors[0].Field: {told.Errors[0].Message}} // as its forms do
	}
	body, err := json.Marshal(say)
	if err != nil {
		panic(err) // it is a text
	}
	maps.Copy(w.Header(), told.GetHeaders())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(told.Status)
	_, _ = w.Write(body) // the caller has gone
}

// ofPage reports whether a page in a browser sent a request: asked for a password, that would ask the person for one,
// who is to log in at ADIT and knows no token.
func ofPage(r *http.Request) bool {
	return slices.ContainsFunc([]string{"Sec-Fetch-Mode", "Origin", "Referer"}, func(name string) bool {
		return r.Header.Get(name) != ""
	})
}

// aeTitle is that of the path.
func aeTitle(r *http.Request) string {
	title, err := url.PathUnescape(chi.URLParam(r, "ae_title"))
	if err != nil {
		return ""
	}
	return title
}
