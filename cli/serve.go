// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
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
	"github.com/adit-go/adit/engine/pacs"
	"github.com/adit-go/adit/people"
)

type serveCmd struct {
	DataDir string `env:"ADIT_DATA_DIR" type:"path" default:"${data_dir}" placeholder:"DIR" help:"Where the server key and the embedded database are kept (${default}; with --demo ${demo_dir})."`
	httpFlags
	logFlags
	receiverFlags
	siteFlags
	auditFlags
	DatabaseURL        string        `name:"database-url" env:"ADIT_DATABASE_URL" placeholder:"URL" help:"PostgreSQL 15 or later to use instead of the embedded one. With a password, rather use the environment."`
	SecretKeyFile      string        `env:"ADIT_SECRET_KEY_FILE" type:"path" placeholder:"FILE" help:"The server key, if it is not DIR/secret.key."`
	FolderRoots        []string      `name:"folder-root" env:"ADIT_FOLDER_ROOT" type:"path" sep:"," placeholder:"DIR,…" help:"Directories in which staff may add folders, DIR/folders by default. Superusers may elsewhere; nobody may where ADIT keeps its own data."`
	Demo               bool          `env:"ADIT_DEMO" help:"Start two PACS with studies of phantoms to try ADIT with, in a data directory of their own: remove that to clean the demo away."`
	Workers            int           `env:"ADIT_WORKERS" default:"8" placeholder:"N" help:"Tasks that run at once (${default})."`
	ExcludedModalities []string      `env:"ADIT_EXCLUDED_MODALITIES" default:"PR,SR" placeholder:"M,…" help:"Modalities of series that are left out where a patient is pseudonymized (${default}); empty: none."`
	ShutdownTimeout    time.Duration `env:"ADIT_SHUTDOWN_TIMEOUT" default:"30s" placeholder:"D" help:"How long running tasks may take to stop between two series when the server is told to end (${default})."`
	Lease              time.Duration `env:"ADIT_LEASE" default:"15s" hidden:""`
}

// Help tells how the server ends.
func (c *serveCmd) Help() string {
	return `SIGTERM or Ctrl-C ends the server in order: nothing new is started, running tasks stop where they can and go on at the next start. A second one ends it at once; nothing is lost by that either. The exit code is 0 after an ordered end, and 1 when a part of the server failed.`
}

// How long the parts that are no tasks may take to end.
const endGrace = 5 * time.Second

// takeCores has Go code run on so many of all cores at once until giveBack, unless the environment names a number (GOMAXPROCS).
func takeCores(of func(all int) int) (giveBack func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	runtime.SetDefaultGOMAXPROCS()
	runtime.GOMAXPROCS(of(runtime.GOMAXPROCS(0)))
	return runtime.SetDefaultGOMAXPROCS
}

// half is what a server takes. Nearly all of ADIT's work is the kernel's; on more cores threads of the runtime look for work and find none, and
// those cores are missed by PostgreSQL and whatever else is on the machine (docs/decisions/0009).
func half(all int) int { return max(1, all/2) }

// one is what a command takes whose work is one thing after the other: waking another thread costs more than it brings.
func one(int) int { return 1 }

// Run is the server.
func (c *serveCmd) Run(ctx context.Context, io streams) error {
	if c.Lease < time.Second || c.Workers < 1 || c.ShutdownTimeout < 0 {
		return usage("--workers must be 1 or more, --lease a second or more, --shutdown-timeout not negative")
	}
	if c.Demo && c.DataDir == defaultDataDir() {
		c.DataDir = demoDataDir()
	}
	level, err := c.level()
	if err != nil {
		return err
	}
	defer takeCores(half)()
	s := &server{cmd: c, io: io, log: newLogger(io.err, level), level: level, metrics: prometheus.NewRegistry(), ended: make(chan error, 8)}
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
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
		s.log.Info("shutting down", "timeout", c.ShutdownTimeout.String())
		return nil
	case err := <-s.ended:
		s.log.Error("a part of the server has ended; the rest is stopped", "error", err)
		return err
	}
}

// server is adit serve while it runs.
type server struct {
	cmd     *serveCmd
	io      streams
	log     *slog.Logger
	level   *slog.LevelVar
	metrics *prometheus.Registry

	certificate *certificate // of HTTPS; nil without
	outside     outside
	database    *database
	pool        *pgxpool.Pool
	people      *people.Service
	engine      *engine.Engine
	node        *actors.Node
	demo        *demo

	httpAddr, dicomAddr string
	token               string // made at this start
	tokenKept           bool   // made at an earlier one, and still valid
	draining            atomic.Bool
	writes              writes
	ended               chan error // parts that ended by themselves
	closers             []func()   // in the order of the start
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
	if err := s.openOutside(); err != nil {
		return err
	}
	dataDirID, err := s.openDataDir()
	if err != nil {
		return err
	}
	httpListener, err := s.listen(ctx, "--listen", s.cmd.Listen)
	if err != nil {
		return err
	}
	s.httpAddr = httpListener.Addr().String()
	if err := s.startDatabase(ctx); err != nil {
		return err
	}
	if err := s.startPeople(ctx); err != nil {
		return err
	}
	if err := s.startAudit(ctx); err != nil {
		return err
	}
	zone, err := s.cmd.zone()
	if err != nil {
		return err
	}
	roots, err := s.folderRoots()
	if err != nil {
		return err
	}
	s.engine = engine.New(s.pool, s.people, pacs.NewDoor(s.pool), s.log, engine.Config{
		AETitle: s.cmd.AETitle, PlainAETitle: s.cmd.PlainAETitle, ExcludedModalities: modalities(s.cmd.ExcludedModalities), Zone: zone,
		FolderRoots: roots, DataDir: s.cmd.DataDir,
	})
	s.metrics.MustRegister(db.PoolCollectors(s.pool)...)
	s.metrics.MustRegister(s.people.Collectors()...)
	s.metrics.MustRegister(s.engine.Collectors()...)
	serveHTTP := s.prepareHTTP(ctx, httpListener)
	if err := s.serveAdmin(ctx); err != nil {
		return err
	}
	receiver, err := s.listenDICOM(ctx)
	if err != nil {
		return err
	}
	if s.cmd.Demo {
		if s.demo, err = startDemo(ctx, s); err != nil {
			return err
		}
	}
	if err := s.startNode(dataDirID, receiver); err != nil { //nolint:contextcheck // the end of a node has time of its own, when ctx has ended
		return err
	}
	if err := s.startSite(ctx); err != nil {
		return err
	}
	if err := s.engine.TellPlaces(ctx); err != nil {
		return err
	}
	serveHTTP()
	s.reloadOnSignal()
	return nil
}

// folderRoots gives the directories in which staff may add folders. The one that is there by default is made.
func (s *server) folderRoots() ([]string, error) {
	if roots := s.cmd.FolderRoots; len(roots) > 0 {
		if err := engine.CheckFolderRoots(roots, s.cmd.DataDir); err != nil {
			return nil, usage("--folder-root: %v", err)
		}
		return roots, nil
	}
	root := filepath.Join(s.cmd.DataDir, engine.OwnFolders)
	if err := os.MkdirAll(root, 0o750); err != nil {
		return nil, fmt.Errorf("the directory for folders can't be made (%w); name another one with --folder-root", err)
	}
	return []string{root}, nil
}

// modalities gives those of a flag, whose empty value means none.
func modalities(flag []string) (list []string) {
	for _, m := range flag {
		if m = strings.ToUpper(strings.TrimSpace(m)); m != "" {
			list = append(list, m)
		}
	}
	return list
}

// openDataDir makes the data directory, locks it for this process, and gives its identity.
func (s *server) openDataDir() (uuid.UUID, error) {
	dir := s.cmd.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return uuid.Nil, fmt.Errorf("the data directory can't be made (%w); choose another one with --data-dir", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "adit.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return uuid.Nil, fmt.Errorf("the data directory can't be used (%w); choose another one with --data-dir", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return uuid.Nil, fmt.Errorf("another ADIT runs in %s; stop it, or choose another --data-dir", dir)
		}
		return uuid.Nil, fmt.Errorf("the data directory can't be locked: %w", err)
	}
	s.atEnd(func() { _ = lock.Close() }) // closing unlocks; there is nothing to lose
	if err := checkDemoDir(dir, s.cmd.Demo); err != nil {
		return uuid.Nil, err
	}
	return dataDirID(dir)
}

// dataDirID reads the identity of a data directory, which is made at its first use.
func dataDirID(dir string) (uuid.UUID, error) {
	path := filepath.Join(dir, "id")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		id := uuid.New()
		return id, writeFile(path, id.String()+"\n")
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("the data directory's identity can't be read: %w", err)
	}
	id, err := uuid.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return uuid.Nil, fmt.Errorf("%s is damaged: it must hold a UUID; remove it, and it is made anew", path)
	}
	return id, nil
}

// writeFile writes a private file that is whole or not there.
func writeFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
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
	if s.database, err = startDatabase(ctx, s.cmd.DataDir, s.cmd.DatabaseURL, s.log, s.ended); err != nil {
		return err
	}
	s.atEnd(func() { //nolint:contextcheck // as the node
		if err := s.database.stop(); err != nil {
			s.log.Error("the embedded PostgreSQL did not stop in order", "error", err)
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
	key, err := people.OpenKey(ctx, s.pool, s.cmd.DataDir, s.cmd.SecretKeyFile)
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
	kept, err := people.ReadPrivate(s.tokenPath())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err = s.people.Bootstrap(ctx, func(token string) error {
		s.token = token
		if err := writeFile(s.tokenPath(), token+"\n"); err != nil {
			return fmt.Errorf("the administrator's token can't be kept: %w", err)
		}
		return nil
	})
	if err != nil || s.token != "" {
		return err
	}
	_, err = s.people.UserOfToken(ctx, kept)
	s.tokenKept = err == nil
	if errors.Is(err, people.ErrUnauthenticated) {
		return nil // there is none, or it was revoked
	}
	return err
}

func (s *server) tokenPath() string { return filepath.Join(s.cmd.DataDir, tokenFile) }

// supervise runs a part of the server; the whole ends when it ends by itself.
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
	case s.ended <- fmt.Errorf("%s ended by itself: %w", part, err):
	default: // others were first
	}
}

// ready tells why this process should get no requests.
func (s *server) ready(ctx context.Context) error {
	if s.draining.Load() {
		return errors.New("ADIT is shutting down.")
	}
	if err := s.database.trouble(); err != nil {
		return err
	}
	err := db.CheckSchema(ctx, s.pool)
	if errors.Is(err, db.ErrSchemaTooOld) || errors.Is(err, db.ErrSchemaTooNew) {
		return err
	}
	if err == nil {
		err = s.writes.try(ctx, s.pool)
	}
	if err == nil {
		return nil
	}
	s.log.InfoContext(ctx, "not ready", "reason", err)
	trouble := db.TroubleOf(err)
	switch {
	case trouble == nil || trouble.Away():
		return errors.New("ADIT's database doesn't answer.")
	default:
		return errors.New(capital(trouble.Reason) + ".")
	}
}

// writes is what is known of whether the database can write.
type writes struct {
	mu    sync.Mutex
	tried time.Time
	err   error
}

// writesHold is how long that holds: anybody may ask for it.
const (
	writesHold     = time.Second
	writesPatience = 4 * time.Second
)

func (w *writes) try(ctx context.Context, pool *pgxpool.Pool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.tried) > writesHold {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writesPatience) // the answer is for others as well
		defer cancel()
		w.err = db.Writable(ctx, pool)
		w.tried = time.Now()
	}
	return w.err
}

func (s *server) startNode(dataDirID uuid.UUID, receiver *actors.Receiver) error {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	s.node, err = actors.Start(actors.Config{
		Engine: s.engine, DatabaseURL: s.database.url, Workers: s.cmd.Workers, Lease: s.cmd.Lease, Log: s.log, Receiver: receiver,
		Registration: engine.Registration{DataDirID: dataDirID, Name: name, Version: version, SchemaMin: db.SchemaMin, SchemaMax: db.SchemaMax()},
	})
	if err != nil {
		return err
	}
	s.metrics.MustRegister(s.node.Collectors()...)
	s.supervise("the node", func() error {
		<-s.node.Done()
		if err := s.node.Err(); err != nil {
			return err
		}
		return errors.New("it stopped")
	})
	s.atEnd(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.cmd.ShutdownTimeout)
		defer cancel()
		if err := s.node.Stop(ctx); err != nil {
			s.log.Error("running tasks were cut off", "error", err)
		}
	})
	return nil
}

// announce tells people where the server is and what to do first.
func (s *server) announce() {
	var out strings.Builder
	fmt.Fprintf(&out, "\nADIT %s is ready at %s", version, s.address())
	if s.dicomAddr != "" {
		fmt.Fprintf(&out, " (DICOM: %s at %s)", s.cmd.AETitle, s.dicomAddr)
	}
	fmt.Fprintln(&out, ".")
	if s.token != "" {
		fmt.Fprintf(&out, "\nThe administrator's API token, shown this once:\n  %s\nIt is kept in %s, where the commands of this user find it by themselves. \"adit user password admin\" sets a password to log in by.\n", s.token, s.tokenPath())
	}
	if s.tokenKept { // the start that made it may have failed before it said so
		fmt.Fprintf(&out, "\nThe administrator's API token is kept in %s, where the commands of this user find it by themselves.\n", s.tokenPath())
	}
	if s.demo != nil {
		fmt.Fprint(&out, s.demo.text(s.commandPrefix()))
	}
	fmt.Fprintln(s.io.out, out.String())
	s.log.Info("ready", "http", s.httpAddr, "dicom", s.dicomAddr, "version", version)
}

// commandPrefix gives what to type before commands so that they find this server.
func (s *server) commandPrefix() (exports, program string) {
	address := s.address()
	if s.certificate == nil {
		address = "http://" + s.httpAddr // a proxy before us is not needed on this machine
	}
	if address != "http://127.0.0.1:8080" {
		exports += "  export ADIT_URL=" + address + "\n"
	}
	if s.cmd.DataDir != defaultDataDir() {
		exports += "  export ADIT_DATA_DIR=" + quoted(s.cmd.DataDir) + "\n"
	}
	return exports, quoted(os.Args[0])
}
