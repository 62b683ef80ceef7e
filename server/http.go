// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	nethttp "net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/adit-go/adit/engine/feed"
	"github.com/adit-go/adit/engine/pictures"
	"github.com/adit-go/adit/engine/reading"
	"github.com/adit-go/adit/http"
	"github.com/adit-go/adit/http/live"
	"github.com/adit-go/adit/ui"
)

const (
	adminSocket = "admin.sock"
	adminNone   = "none"
	// longestSocketPath is sun_path of Linux, without the closing zero.
	longestSocketPath = 107
)

// outside is how the server is known to those who call it.
type outside struct {
	public  *url.URL // nil: not told
	proxies []netip.Prefix
	viewers []string // origins of pages that may use DICOMweb
}

// openOutside reads what the configuration says about the outside, before anything is started.
func (s *server) openOutside() error {
	c := s.cfg.HTTP
	var err error
	if s.outside.proxies, err = ranges("--trusted-proxies", c.TrustedProxies); err != nil {
		return err
	}
	if c.PublicURL != "" {
		if s.outside.public, err = address("--public-url", c.PublicURL); err != nil {
			return err
		}
	}
	for _, text := range c.CORSOrigins {
		viewer, err := address("--cors-origins", text)
		if err != nil {
			return err
		}
		s.outside.viewers = append(s.outside.viewers, originOf(viewer))
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return usage("--tls-cert and --tls-key belong together")
	}
	if c.TLSCert != "" {
		if s.certificate, err = loadCertificate(c.TLSCert, c.TLSKey); err == nil {
			s.certificate.tell(s.log)
		}
	}
	return err
}

// address reads the value of a flag that is an address without anything behind the host.
func address(flag, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, usage(
			"%s: %q is not an address such as https://adit.example.org; nothing may follow the host and port", flag, text,
		)
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, nil
}

// originOf writes an address as browsers write the origin of a page: without the usual port.
func originOf(u *url.URL) string {
	usual := map[string]string{"http": ":80", "https": ":443"}
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, usual[u.Scheme])
}

// address is where people on this machine or elsewhere find the server.
func (s *server) address() string {
	switch {
	case s.outside.public != nil:
		return s.outside.public.String()
	case s.certificate != nil:
		return "https://" + s.httpAddr
	}
	return "http://" + s.httpAddr
}

// prepareHTTP returns what starts the HTTP server: after the member, which the engine must know before the first
// request, though it ends after the member, so that the end can be watched. Without a listener there is none.
func (s *server) prepareHTTP(ctx context.Context, l net.Listener) (start func()) {
	if l == nil {
		s.follow(ctx, nil)
		return nil
	}
	if s.certificate == nil && len(s.outside.proxies) == 0 && !loopbackAddr(l.Addr()) {
		s.log.WarnContext(ctx, "ADIT serves the REST API without TLS to other machines: tokens and "+
			"patients' data can be intercepted; set --tls-cert and --tls-key, or --trusted-proxies with a proxy "+
			"that has TLS",
			"listen", s.httpAddr)
	}
	machine, err := os.Hostname()
	if err != nil {
		machine = "" // it is called by its address then
	}
	pool := readSeries(ctx, s)
	hub := live.New(live.Config{
		Engine: s.engine, People: s.people, Log: s.log, Metrics: s.metrics, PublicURL: s.outside.public,
	})
	handler := http.New(http.Config{
		Live:     hub,
		Pictures: pool,
		Pages:    ui.Files(),
		Engine:   s.engine, People: s.people, Version: s.cfg.About.Version,
		About: s.cfg.About, Log: s.log, Metrics: s.metrics, Ready: s.ready,
		PublicURL: s.outside.public, Machine: machine, Proxies: s.outside.proxies, Viewers: s.outside.viewers,
	})
	srv := s.httpServer(ctx, handler)
	s.follow(ctx, hub)
	bounds := http.BoundConnections(s.outside.proxies)
	if bounds.Scarce > 0 {
		s.log.WarnContext(ctx,
			"this process may open only few files, and each connection needs one; raise the limit (ulimit -n, LimitNOFILE=)",
			"files", bounds.Scarce,
			"http_connections", bounds.All,
		)
	}
	l = bounds.Bound(srv, l)
	if s.certificate == nil {
		return func() { s.supervise("the HTTP server", func() error { return closedIsFine(srv.Serve(l)) }) }
	}
	srv.TLSConfig = s.certificate.config()
	return func() { s.supervise("the HTTPS server", func() error { return closedIsFine(srv.ServeTLS(l, "", "")) }) }
}

// readSeries gives the disk for what is read by DICOMweb, and what makes pictures of it; nil: nothing does.
func readSeries(ctx context.Context, s *server) *pictures.Pool {
	const gigabyte = 1e9
	dir := filepath.Join(s.cfg.DataDir, "series-cache")
	cache, err := reading.OpenCache(dir, int64(s.cfg.HTTP.SeriesCacheGB*gigabyte))
	if err != nil {
		s.log.ErrorContext(ctx, "nothing can be read by DICOMweb", "err", err)
		return nil
	}
	s.engine.Reading.SetCache(cache)
	if s.cluster != nil {
		s.cluster.Stores[cache.ID()] = cache
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	go s.engine.Reading.Keep(ctx)
	s.atEnd(stop)
	pool, err := pictures.New(pictures.Config{Folder: dir})
	if err != nil {
		s.log.ErrorContext(ctx, "no pictures can be made", "err", err)
		return nil
	}
	s.atEnd(pool.Close)
	return pool
}

// httpServer makes a server that is shut down at its turn, in order if that takes no longer than endGrace.
func (s *server) httpServer(ctx context.Context, handler nethttp.Handler) *nethttp.Server {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	srv := http.NewServer(base, handler, s.log)
	s.atEnd(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endGrace)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			s.log.Info("ADIT stopped before some requests were answered", "reason", err)
		}
		cut()
		_ = srv.Close() // what Shutdown has left
	})
	return srv
}

// follow tells the parts of this process what has changed in the database, until the turn of the hub to end comes:
// before the server's, which does not wait for its connections. hub is nil where no people are served.
func (s *server) follow(ctx context.Context, hub *live.Hub) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		var parts sync.WaitGroup
		if hub != nil {
			parts.Go(func() { hub.Run(ctx) })
		}
		parts.Go(func() {
			s.engine.Feed.Follow(ctx, func(c feed.Change) {
				if hub != nil {
					hub.Tell(c)
				}
				if !c.Audit && !c.Anything {
					return
				}
				select {
				case s.audited <- struct{}{}:
				default: // it is told already
				}
			})
		})
		parts.Wait()
	}()
	s.atEnd(func() {
		end()
		within(endGrace, func() { <-done })
	})
}

func closedIsFine(err error) error {
	if errors.Is(err, nethttp.ErrServerClosed) {
		return nil
	}
	return err
}

func loopbackAddr(addr net.Addr) bool {
	ap, err := netip.ParseAddrPort(addr.String())
	return err != nil || ap.Addr().IsLoopback() // what is no address is a UNIX socket
}

// serveAdmin serves the metrics and the inside of the process to those who run it.
func (s *server) serveAdmin(ctx context.Context) error {
	var l net.Listener
	var err error
	switch addr := s.cfg.HTTP.AdminListen; addr {
	case adminNone:
		return nil
	case "":
		l, err = s.listenSocket(ctx, filepath.Join(s.cfg.DataDir, adminSocket))
	default:
		l, err = s.listen(ctx, "--admin-listen", addr)
	}
	if err != nil || l == nil {
		return err
	}
	srv := s.httpServer(ctx, http.Admin(s.metrics, s.ready, loopbackAddr(l.Addr()), s.log))
	l = http.BoundConnections(nil).Bound(srv, l)
	s.supervise("the admin listener", func() error { return closedIsFine(srv.Serve(l)) })
	s.log.InfoContext(ctx, "metrics are served", "admin", l.Addr().String())
	return nil
}

// listenSocket listens at a socket of the data directory, which only this user and root can reach, and which the lock
// on the directory makes ours: one that is there was left by a server that was killed.
func (s *server) listenSocket(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > longestSocketPath {
		s.log.WarnContext(ctx,
			"ADIT serves no metrics: the path of the data directory is too long for a socket in it; set --admin-listen",
			"path", path,
		)
		return nil, nil //nolint:nilnil // there is none
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the admin socket of an earlier start can't be removed: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("the admin socket: %w; choose an address with --admin-listen", err)
	}
	s.atEnd(func() { _ = l.Close() }) // mostly closed already by who served it
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("the admin socket: %w", err)
	}
	return l, nil
}

// hostsOf are the names that a certificate is for, for the log.
func hostsOf(names []string, addresses []net.IP) []string {
	hosts := slices.Clone(names)
	for _, a := range addresses {
		hosts = append(hosts, a.String())
	}
	return hosts
}
