// SPDX-License-Identifier: AGPL-3.0-or-later

// Package dicomweb is the proxy that lets DICOMweb clients use the servers that ADIT knows, whatever those speak
// (PS3.18). It serves two prefixes with the same resources:
//
//   - /dicom-web/{ae_title}/…: the paths of the standard, with problems as the REST API tells them;
//   - /api/dicom-web/{ae_title}/qidors/…, stowrs/…: those of the original ADIT, for its Python client adit-client, with
//     {"detail": "…"} where something is wrong.
package dicomweb

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"github.com/adit-go/adit/engine"
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
	PublicURL *url.URL // nil: answers hold no addresses
}

// Register adds the routes of both prefixes.
func Register(r chi.Router, cfg Config) {
	registerStore(r, cfg)
	lists := newLists()
	for prefix, p := range map[string]proxy{
		Plain:                {Config: cfg, lists: lists},
		Original + "/qidors": {Config: cfg, lists: lists, original: true},
	} {
		r.Group(func(r chi.Router) {
			r.Use(auth.RequireToo(cfg.People, p.refuse), route.Counted(cfg.People, "dicomweb-query"))
			for path, of := range searches {
				r.Get(prefix+path, p.search(of))
			}
		})
	}
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
		told = problem.New(http.StatusBadRequest, told.Detail)
	}
	if !p.original {
		problem.Write(w, r, told)
		return
	}
	body, err := json.Marshal(map[string]string{"detail": told.Detail})
	if err != nil {
		panic(err) // it is a text
	}
	maps.Copy(w.Header(), told.GetHeaders())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(told.Status)
	_, _ = w.Write(body) // the caller has gone
}

// aeTitle is that of the path.
func aeTitle(r *http.Request) string {
	title, err := url.PathUnescape(chi.URLParam(r, "ae_title"))
	if err != nil {
		return ""
	}
	return title
}
