// SPDX-License-Identifier: AGPL-3.0-or-later

// Package http is the outside of ADIT: the router, what every request passes through, health, and the metrics of the
// admin listener. The REST API is in http/api, the authentication in http/auth.
package http

import (
	"context"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/pictures"
	"github.com/adit-go/adit/http/api"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/dicomweb"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/people"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	// Each route has a timeout of its own, a few minutes at most; this one ends what a caller doesn't take.
	writeTimeout = 10 * time.Minute
	maxHeader    = 32 << 10
	readyTimeout = 5 * time.Second
)

// Config says what the outside serves.
type Config struct {
	Engine  *engine.Engine
	People  *people.Service
	Version string
	About   About
	Log     *slog.Logger
	Metrics *prometheus.Registry
	// Pictures makes pictures of instances; nil: there are none.
	Pictures *pictures.Pool
	// Live serves live events.
	Live http.Handler
	// Pages are the files of the web UI, with index.html at the top.
	Pages fs.FS
	// Ready tells why this process should get no requests now: the database is away, or it is shutting down. The
	// sentence is shown to everybody.
	Ready func(ctx context.Context) error
	// PublicURL is the address that people use, with scheme and host and nothing behind; nil: it is not told, and
	// Machine is the name that ADIT answers to besides addresses.
	PublicURL *url.URL
	Machine   string
	// Proxies may say whom a request came from.
	Proxies []netip.Prefix
	// Viewers are origins, as browsers write them, whose pages may use DICOMweb with the person's credentials.
	Viewers []string
}

// New returns the handler of everything that is served over HTTP.
func New(cfg Config) http.Handler {
	m := newMetrics(cfg.Metrics)
	r := chi.NewRouter()
	r.Use(
		named(cfg.Log), m.measure, logged, recovered, outside(cfg.PublicURL, cfg.Proxies),
		hardened, framed, cors(cfg.Viewers), ourHost(cfg.PublicURL, cfg.Machine),
		asUTF8, arrived(arriveTimeout), limited, readable, rawPath, sameOrigin(cfg.PublicURL, cfg.Viewers),
		middleware.GetHead,
	)
	r.NotFound(Pages(cfg.Pages, nothingHere).ServeHTTP)
	r.MethodNotAllowed(otherMethod)
	probes(r, cfg.Ready)
	r.Method(http.MethodGet, "/about", cfg.About)
	r.Get("/api/docs", serveDocs(nothingHere))
	r.Get("/api/docs/{file}", serveDocs(nothingHere))
	r.With(
		auth.Require(cfg.People, problem.RefuseCaller), route.Counted(cfg.People, api.LiveOperation),
	).Method(http.MethodGet, api.LivePath, cfg.Live)
	api.Register(r, cfg.Engine, cfg.People, cfg.Version)
	dicomweb.Register(r, dicomweb.Config{
		Engine: cfg.Engine, People: cfg.People, Pictures: cfg.Pictures, PublicURL: cfg.PublicURL,
	})
	return r
}

// probes tell whether this process lives, and whether it should get requests.
func probes(r chi.Router, ready func(context.Context) error) {
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	r.Get("/readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := ready(ctx); err != nil {
			text(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		text(w, http.StatusOK, "ready")
	})
}

func nothingHere(w http.ResponseWriter, r *http.Request) {
	words := "There is nothing at this address; /api/docs describes what there is."
	if isDICOMweb(r.URL.EscapedPath()) {
		words = "There is nothing at this address. Below " + dicomweb.Plain + " are the paths of DICOMweb (PS3.18), as in " +
			"/dicom-web/PACS/studies?PatientID=4711."
	}
	problem.Refuse(w, r, http.StatusNotFound, words)
}

// otherMethod tells which methods an address takes, to one who used another.
func otherMethod(w http.ResponseWriter, r *http.Request) {
	routes := chi.RouteContext(r.Context()).Routes
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		match := chi.NewRouteContext()
		if !routes.Match(match, m, r.URL.RawPath) || route.IsAction(match.RoutePattern(), r.URL.RawPath) {
			continue
		}
		allowed = append(allowed, m)
		if m == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if isDICOMweb(r.URL.EscapedPath()) {
		problem.Refuse(
			w, r, http.StatusMethodNotAllowed,
			"This address of DICOMweb does not support the method: GET searches and retrieves, POST stores.",
		)
		return
	}
	route.RefuseMethod(w, r)
}

// NewServer returns a server with the limits that every listener of ours has. Requests get ctx's values and end.
func NewServer(ctx context.Context, handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		WriteTimeout: writeTimeout, ReadTimeout: writeTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelInfo),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
}

func text(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(line + "\n"))
}
