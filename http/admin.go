// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/adit-go/adit/http/problem"
)

// Admin returns the handler of the admin listener: /metrics, the probes /healthz and /readyz, and with profiles
// /debug/pprof/, which show the inside of the process and are for those who run it. It knows no users: only they may
// reach it.
func Admin(
	metrics *prometheus.Registry, ready func(context.Context) error, profiles bool, log *slog.Logger,
) http.Handler {
	r := chi.NewRouter()
	r.Use(named(log), recovered)
	if profiles {
		r.Use(localOnly)
	}
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		problem.Refuse(
			w, r, http.StatusNotFound,
			"There is nothing at this address; the admin listener serves /metrics, /healthz, /readyz and, to this machine, "+
				"/debug/pprof/.",
		)
	})
	probes(r, ready)
	r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4,
	}))
	if profiles {
		r.Get("/debug/pprof/*", pprof.Index)
		r.Get("/debug/pprof/profile", pprof.Profile)
		r.Get("/debug/pprof/trace", pprof.Trace)
		r.Get("/debug/pprof/symbol", pprof.Symbol)
	}
	return r
}

// localOnly refuses what a page of another site asks for in a browser on this machine, also one that has its own name
// point here (DNS rebinding).
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if site := r.Header.Get("Sec-Fetch-Site"); !local(hostname(r.Host)) ||
			r.Header.Get("Origin") != "" || site != "" && site != "none" && site != "same-origin" {
			problem.Refuse(
				w, r, http.StatusForbidden,
				"The admin listener answers only programs on this machine that address it as localhost or by its IP address.",
			)
			return
		}
		next.ServeHTTP(w, r)
	})
}
