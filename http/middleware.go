// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/http/problem"
)

// requestLog carries the logger from named to logged.
type requestLog struct{}

// named gives each request a name, which its log records carry and the caller gets as X-Request-Id.
func named(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := rand.Text()
			w.Header().Set("X-Request-ID", id)
			rlog := log.With("request", id)
			ctx := context.WithValue(problem.WithRequest(r.Context(), id, rlog), requestLog{}, rlog)
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

func requestLogger(ctx context.Context) *slog.Logger {
	if log, ok := ctx.Value(requestLog{}).(*slog.Logger); ok {
		return log
	}
	return slog.New(slog.DiscardHandler)
}

// logged writes the access log. It names the route, not the address: names of DICOM nodes don't matter here, and a
// query may hold a patient's data.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, start := r.Context(), time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			level := slog.LevelInfo
			if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
				level = slog.LevelDebug
			}
			requestLogger(ctx).Log(ctx, level, "request", "method", r.Method, "route", routeOf(r), "status", statusOf(ww, r),
				"bytes", ww.BytesWritten(), "duration_ms", time.Since(start).Milliseconds(), "peer", r.RemoteAddr)
		}()
		next.ServeHTTP(ww, r)
	})
}

// statusOf returns the status of an answer. That of a connection which speaks WebSocket from then on is not seen.
func statusOf(ww middleware.WrapResponseWriter, r *http.Request) int {
	if ww.Status() == 0 && r.Header.Get("Upgrade") != "" {
		return http.StatusSwitchingProtocols
	}
	return ww.Status()
}

// routeOf returns the pattern that a request matched, after it was served.
func routeOf(r *http.Request) string {
	if rc := chi.RouteContext(r.Context()); rc != nil {
		if pattern := rc.RoutePattern(); pattern != "" {
			return pattern
		}
	}
	return "none"
}

// recovered answers a request whose handler panicked, and leaves the process alone.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && (errors.Is(err, http.ErrAbortHandler) || ctx.Err() != nil) {
				panic(http.ErrAbortHandler) // the caller has gone
			}
			requestLogger(ctx).ErrorContext(
				ctx, "a request panicked", "panic", panicked(v), "stack", string(debug.Stack()),
			)
			if ww, ok := w.(middleware.WrapResponseWriter); ok && ww.Status() != 0 {
				panic(http.ErrAbortHandler) // part of an answer went out, which nobody may take for the whole
			}
			problem.Write(w, r, errors.New("the handler panicked"))
		}()
		next.ServeHTTP(w, r)
	})
}

// panicked says what happened without the words of who panicked: they may hold a patient's. Those of the runtime don't.
func panicked(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}

// How many requests are served at once; each costs a goroutine and may cost a connection to the database. Those of
// DICOMweb, which may last as long as a study takes, keep nobody out of the rest.
const (
	maxRequests         = 256
	maxDICOMwebRequests = 512
)

// limited refuses what is beyond the limits, health excepted.
func limited(next http.Handler) http.Handler {
	slots, web := make(chan struct{}, maxRequests), make(chan struct{}, maxDICOMwebRequests)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		of := slots
		switch {
		case isDICOMweb(r.URL.Path), strings.HasSuffix(r.URL.Path, "/download"): // they take long
			of = web
		case !strings.HasPrefix(r.URL.Path, "/api/"):
			next.ServeHTTP(w, r)
			return
		}
		select {
		case of <- struct{}{}:
			defer func() { <-of }()
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			problem.Refuse(
				w, r, http.StatusServiceUnavailable, "ADIT is handling too many requests at once; try again in a moment.",
			)
		}
	})
}

// single are the headers of requests that ADIT reads and that are no lists: of two a proxy may take one and ADIT the
// other.
var single = []string{"Authorization", "Content-Type", "Idempotency-Key"}

// readable refuses addresses that are no text, as nothing in the database can have such a name, and headers that say
// two things.
func readable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range single {
			if len(r.Header.Values(name)) > 1 {
				problem.Refuse(w, r, http.StatusBadRequest, "The header "+name+" was sent more than once; send it once.")
				return
			}
		}
		query, err := url.QueryUnescape(r.URL.RawQuery)
		for _, text := range []string{r.URL.Path, query, r.Header.Get("Idempotency-Key")} {
			if err != nil || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				problem.Refuse(
					w, r, http.StatusBadRequest,
					"The address or a header of this request is not valid text (UTF-8); escape it properly.",
				)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// asUTF8 refuses bodies that would be read as what their headers say they are not.
func asUTF8(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		coding := r.Header.Values("Content-Encoding")
		_, media, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		charset := media["charset"]
		switch {
		case len(coding) > 0 && !strings.EqualFold(strings.Join(coding, ","), "identity"):
			hangUp(w)
			problem.Refuse(
				w, r, http.StatusUnsupportedMediaType,
				"The header Content-Encoding says that the body is compressed or encoded; send it unencoded, not "+
					"compressed.",
			)
		case err == nil && charset != "" && !slices.ContainsFunc(
			[]string{"utf-8", "utf8", "us-ascii"}, func(name string) bool { return strings.EqualFold(charset, name) },
		):
			hangUp(w)
			problem.Refuse(
				w, r, http.StatusUnsupportedMediaType,
				"The header Content-Type names a character set other than UTF-8; send the body in UTF-8.",
			)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// rawPath has routes matched on the path as it was sent, so that an escaped slash or colon is part of a name.
func rawPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.RawPath = r.URL.EscapedPath()
		next.ServeHTTP(w, r)
	})
}

// sameOrigin refuses what a browser sends on behalf of another site's page. The public address is ours whatever a proxy
// makes of the Host header. Pages of viewers may use DICOMweb. Whoever reads under a pseudonym ties the patient to it
// for ever, so that is refused like a write.
func sameOrigin(public *url.URL, viewers []string) func(http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	if public != nil {
		if err := protection.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
			panic(err) // it was parsed from one
		}
	}
	refuse := func(w http.ResponseWriter, r *http.Request) {
		problem.Refuse(w, r, http.StatusForbidden, "A page of another site sent this request; use ADIT's own address.")
	}
	protection.SetDenyHandler(http.HandlerFunc(refuse))
	return func(next http.Handler) http.Handler {
		protected := protection.Handler(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if allowed(r, viewers) {
				next.ServeHTTP(w, r)
				return
			}
			if r.URL.Query().Has("pseudonym") {
				write := *r
				write.Method = http.MethodPost
				if protection.Check(&write) != nil {
					refuse(w, r)
					return
				}
			}
			protected.ServeHTTP(w, r)
		})
	}
}

// metrics of what is served.
type metrics struct {
	requests *prometheus.HistogramVec
	running  prometheus.Gauge
}

func newMetrics(registry *prometheus.Registry) *metrics {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "adit_http_request_duration_seconds", Help: "Duration of HTTP requests by route, method and status.",
			Buckets: []float64{.005, .02, .1, .5, 2, 10, 60},
		}, []string{"route", "method", "status"}),
		running: prometheus.NewGauge(
			prometheus.GaugeOpts{Name: "adit_http_requests_running", Help: "HTTP requests being served."},
		),
	}
	registry.MustRegister(m.requests, m.running)
	return m
}

func (m *metrics) measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		m.running.Inc()
		defer func() {
			m.running.Dec()
			m.requests.WithLabelValues(
				routeOf(r), method(r), strconv.Itoa(statusOf(ww, r)),
			).Observe(time.Since(start).Seconds())
		}()
		next.ServeHTTP(ww, r)
	})
}

// method returns the method, with all that we don't serve as one: labels are bounded.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead,
		http.MethodOptions:
		return r.Method
	}
	return "other"
}
