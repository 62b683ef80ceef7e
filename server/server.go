// SPDX-License-Identifier: AGPL-3.0-or-later

// Package server is what `adit serve` runs: it starts the parts of ADIT one after the other, gives each what it needs,
// and stops them in reverse order. See DESIGN.md.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/adit-go/adit/actors"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/internal/files"
	"github.com/adit-go/adit/people"
)

// How long the parts that are no tasks may take to end.
const endGrace = 5 * time.Second

// Run starts a server, and ends it in order when ctx ends; it returns nil then. It ends with an error when the start or
// a part fails.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Lease < time.Second || cfg.Workers < 1 || cfg.ShutdownTimeout < 0 {
		return usage("--workers must be 1 or more, --lease a second or more, --shutdown-timeout not negative")
	}
	level, err := cfg.Log.level()
	if err != nil {
		return err
	}
	s := &server{
		cfg: cfg, log: newLogger(cfg.LogTo, cfg.LogText, level), level: level, metrics: prometheus.NewRegistry(),
		ended: make(chan error, 8), audited: make(chan struct{}, 1),
	}
	s.metrics.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	defer s.end()
	if err := s.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to end before it had begun
		}
		return err
	}
	s.announce()
	defer s.log.Info("shut down")
	defer s.end()
	select {
	case <-ctx.Done():
		s.log.Info("shutting down", "timeout", cfg.ShutdownTimeout.String())
		return nil
	case err := <-s.ended:
		s.log.Error("a part of the server has ended; stopping the rest", "error", err)
		return err
	}
}

// server is one while it runs.
type server struct {
	cfg     Config
	log     *slog.Logger
	level   *slog.LevelVar
	metrics *prometheus.Registry

	certificate *certificate // of HTTPS; nil without
	outside     outside
	database    *database
	pool        *pgxpool.Pool
	people      *people.Service
	engine      *engine.Engine
	member      *actors.Member
	name        string          // as a member
	roles       []string        // of lease.Roles
	cluster     *actors.Cluster // nil: it is alone
	demo        *Demo
	newDemo     *people.User // in whose name a new demo gets its jobs; nil: it is not new

	httpAddr, dicomAddr string
	token               string                        // made at this start
	tokenKept           bool                          // made at an earlier one, and still valid
	welcomeCode         string                        // for the administrator's first password; empty: there is one
	running             atomic.Pointer[actors.Member] // nil: it is starting
	draining            atomic.Bool
	writes              writes
	audited             chan struct{} // there are rows of the audit log to be sealed
	ended               chan error    // parts that ended unexpectedly
	closers             []func()      // in the order of the start
}

// atEnd has a part ended when the server ends: the last one started is the first one ended.
func (s *server) atEnd(end func()) { s.closers = append(s.closers, end) }

func (s *server) end() {
	s.draining.Store(true)
	for _, end := range slices.Backward(s.closers) {
		end()
	}
	s.closers = nil
}

func (s *server) start(ctx context.Context) error {
	dataDirID, httpListener, err := s.open(ctx)
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{s.startDatabase, s.startPeople, s.startAudit} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	zone, err := s.cfg.Site.zone()
	if err != nil {
		return err
	}
	s.people.SetTimeZone(zone.String())
	roots, err := s.folderRoots()
	if err != nil {
		return err
	}
	receiver, err := s.listenDICOM(ctx)
	if err != nil {
		return err
	}
	if receiver == nil {
		s.roles = slices.DeleteFunc(slices.Clone(s.roles), func(r string) bool { return r == lease.RoleReceiver })
	}
	port, tlsPort := receiverPorts(receiver)
	s.engine = engine.New(s.pool, s.people, door.NewDoor(s.pool), s.log, base.Config{
		AETitle: s.cfg.Receiver.AETitle, PlainAETitle: s.cfg.Receiver.PlainAETitle,
		ReceiverPort: port, ReceiverTLSPort: tlsPort,
		ExcludedModalities: modalities(s.cfg.ExcludedModalities), Zone: zone,
		FolderRoots: roots, DataDir: s.cfg.DataDir, Cluster: s.cluster != nil,
	})
	s.metrics.MustRegister(db.PoolCollectors(s.pool)...)
	s.metrics.MustRegister(s.people.Collectors()...)
	s.metrics.MustRegister(s.engine.Collectors()...)
	serveHTTP := s.prepareHTTP(ctx, httpListener) // nil: this member serves no people
	if err := s.serveAdmin(ctx); err != nil {
		return err
	}
	if s.cfg.Demo {
		if s.demo, err = s.startDemo(ctx); err != nil {
			return err
		}
	}
	if err := s.startMember(dataDirID, receiver); err != nil { //nolint:contextcheck // the end of a member has time of its own, when ctx has ended
		return err
	}
	for _, part := range []func(context.Context) error{
		s.startSite, s.engine.Nodes.TellPlaces, s.makeDemoJobs, s.welcome,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	if serveHTTP != nil {
		serveHTTP()
	}
	s.reloadOnSignal()
	return nil
}

// open reads what the configuration says, and takes the data directory and the addresses: what is wrong with them is
// found before anything is started. The listener is nil where no people are served.
func (s *server) open(ctx context.Context) (dataDirID uuid.UUID, web net.Listener, err error) {
	if err := errors.Join(s.openOutside(), s.openCluster()); err != nil {
		return uuid.Nil, nil, err
	}
	if dataDirID, err = s.openDataDir(); err != nil {
		return uuid.Nil, nil, err
	}
	if s.has(lease.RoleWeb) {
		if web, err = s.listen(ctx, "--listen", s.cfg.HTTP.Listen); err != nil {
			return uuid.Nil, nil, err
		}
		s.httpAddr = web.Addr().String()
	}
	return dataDirID, web, s.listenCluster(ctx)
}

// modalities returns those of a flag, whose empty value means none.
func modalities(flag []string) (list []string) {
	for _, m := range flag {
		if m = strings.ToUpper(strings.TrimSpace(m)); m != "" {
			list = append(list, m)
		}
	}
	return list
}

func (s *server) listen(ctx context.Context, flag, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: another program listens at %s; stop it, or choose another address", flag, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; give an address such as 127.0.0.1:8080", flag, err)
	}
	s.atEnd(func() { _ = l.Close() }) // mostly closed already by who served it
	return l, nil
}

func (s *server) startDatabase(ctx context.Context) error {
	var err error
	if s.database, err = startDatabase(ctx, s.cfg.DataDir, s.cfg.DatabaseURL, s.log, s.ended); err != nil {
		return err
	}
	s.atEnd(func() { //nolint:contextcheck // as the member
		if err := s.database.stop(); err != nil {
			s.log.Error("the embedded PostgreSQL did not stop cleanly", "error", err)
		}
	})
	if err := s.openDatabase(ctx); err != nil {
		return err
	}
	s.atEnd(func() { within(endGrace, s.pool.Close) })
	return nil
}

// within calls what may hang, and goes on after a while without it.
func within(d time.Duration, fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

func (s *server) startPeople(ctx context.Context) error {
	key, err := people.OpenKey(ctx, s.pool, s.cfg.DataDir, s.cfg.SecretKeyFile)
	if err != nil {
		return err
	}
	s.people = people.New(s.pool, key)
	if s.outside.public != nil {
		s.people.SetPublicURL(s.outside.public.String())
	}
	if err := s.people.CheckKey(ctx); err != nil {
		return err
	}
	s.countUse(ctx)
	kept, err := files.ReadPrivate(s.tokenPath())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err = s.people.Bootstrap(ctx, func(token string) error {
		s.token = token
		if err := files.WritePrivate(s.tokenPath(), token+"\n"); err != nil {
			return fmt.Errorf("the administrator's token can't be saved: %w", err)
		}
		return nil
	})
	if err != nil || s.token != "" {
		return err
	}
	_, err = s.people.Tokens.UserOf(ctx, kept)
	s.tokenKept = err == nil
	if errors.Is(err, people.ErrUnauthenticated) {
		return nil // there is none, or it was revoked
	}
	return err
}

// countUse writes down who uses the API how much, up to the last request that this process answers.
func (s *server) countUse(ctx context.Context) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.people.Use.Run(ctx, s.log)
	}()
	s.atEnd(func() {
		stop()
		<-done
	})
}

// TokenFile in a data directory holds the first administrator's token.
const TokenFile = "admin.token"

func (s *server) tokenPath() string { return filepath.Join(s.cfg.DataDir, TokenFile) }

// supervise runs a part of the server; the whole server ends when a part ends unexpectedly.
func (s *server) supervise(part string, run func() error) {
	go func() {
		if err := run(); err != nil {
			s.failed(part, err)
		}
	}()
}

func (s *server) failed(part string, err error) {
	if s.draining.Load() {
		return
	}
	select {
	case s.ended <- fmt.Errorf("%s ended unexpectedly: %w", part, err):
	default: // others were first
	}
}

func (s *server) startMember(dataDirID uuid.UUID, receiver *actors.Receiver) error {
	self := lease.Registration{
		DataDirID: dataDirID, Name: s.name, Roles: s.roles, Workers: s.cfg.Workers,
		Version: s.cfg.About.Version, SchemaMin: db.SchemaMin, SchemaMax: db.SchemaMax(),
	}
	if s.cluster != nil {
		self.ActorAddr, self.DataAddr = s.cluster.Advertise, s.cluster.DataAdvertise
		self.Stores = slices.Collect(maps.Keys(s.cluster.Stores))
	}
	var err error
	s.member, err = actors.Start(actors.Config{
		Engine: s.engine, DatabaseURL: s.database.url, Workers: s.cfg.Workers,
		Lease: s.cfg.Lease, Log: s.log, Receiver: receiver, Cluster: s.cluster,
		Registration: self,
	})
	if err != nil {
		return err
	}
	s.running.Store(s.member)
	s.metrics.MustRegister(s.member.Collectors()...)
	s.supervise("the member", func() error {
		<-s.member.Done()
		if err := s.member.Err(); err != nil {
			return err
		}
		return errors.New("it stopped")
	})
	s.atEnd(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.cfg.ShutdownTimeout)
		defer cancel()
		if err := s.member.Stop(ctx); err != nil {
			s.log.Error("ADIT stopped before some running tasks had stopped", "error", err)
		}
	})
	return nil
}

// announce says that the server is ready.
func (s *server) announce() {
	r := Running{
		URL: s.address(), LocalURL: s.address(), DICOMAddr: s.dicomAddr, Token: s.token, Demo: s.demo,
		Member: s.name, Roles: s.roles,
	}
	if !s.has(lease.RoleWeb) {
		r.URL, r.LocalURL = "", ""
	} else if s.certificate == nil {
		r.LocalURL = "http://" + s.httpAddr // a proxy before us is not needed on this machine
	}
	if s.welcomeCode != "" {
		r.WelcomeURL = s.address() + "/welcome#" + s.welcomeCode // behind the #, so that no log has it
	}
	if s.token != "" || s.tokenKept {
		r.TokenFile = s.tokenPath()
	}
	if s.cfg.Started != nil {
		s.cfg.Started(r)
	}
	s.log.Info("ready", "http", s.httpAddr, "dicom", s.dicomAddr, "version", s.cfg.About.Version)
}

// machineName returns the name of the machine that this is.
func machineName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
