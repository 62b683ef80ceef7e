// SPDX-License-Identifier: AGPL-3.0-or-later

// Package harness runs a member of ADIT inside a test: real PostgreSQL, the engine and its actors, without HTTP.
package harness

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/actors"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/people"
)

// Deadline is how long a test waits for something that must happen, as safety only.
const Deadline = time.Minute

// Member is a running member with its first user.
type Member struct {
	Engine *engine.Engine
	People *people.Service
	Pool   *pgxpool.Pool
	Admin  people.User
	URL    string // of the database
	// ReceiverAddr is where the receiver listens, host:port.
	ReceiverAddr string

	t       testing.TB
	cfg     Config
	dataDir uuid.UUID
	actors  *actors.Member
	said    testpeer.Buffer // all that was logged
}

// Config of a member. Zero values are fit for tests: short pauses.
type Config struct {
	Engine  base.Config
	Workers int
	Lease   time.Duration
	Idle    bool // don't start the actors; Start does
	// Log, if not nil, is where everything is logged, at debug level.
	Log io.Writer
	// Silent keeps the log out of the test's output: of one that runs thousands of tasks. It is searched for patients
	// all the same.
	Silent bool
	// Trace, if not nil, is told of each statement.
	Trace pgx.QueryTracer
	// Receiver of the member; its listener is made by Start.
	Receiver actors.Receiver
	// Wrap, if not nil, is put around that listener.
	Wrap func(net.Listener) net.Listener
}

// New starts a member on a database of its own. It is stopped when the test ends.
func New(t testing.TB, cfg Config) *Member {
	t.Helper()
	url := dbtest.URL(t)
	ctx := context.Background()
	pool, err := db.Open(ctx, url, db.Options{})
	require.NoError(t, err)
	if cfg.Trace != nil {
		traced := pool.Config()
		pool.Close()
		traced.ConnConfig.Tracer = multitracer.New(traced.ConnConfig.Tracer, cfg.Trace)
		pool, err = pgxpool.NewWithConfig(ctx, traced)
		require.NoError(t, err)
	}
	t.Cleanup(pool.Close)

	who := people.New(pool, people.NewKey())
	n := &Member{t: t, People: who, Pool: pool, URL: url}
	var token string
	require.NoError(t, who.Bootstrap(ctx, func(s string) error { token = s; return nil }))
	n.Admin, err = who.Tokens.UserOf(ctx, token)
	require.NoError(t, err)
	n.begin(cfg)
	return n
}

// Join starts another member on the same database. It is stopped when the test ends.
func (n *Member) Join(cfg Config) *Member {
	n.t.Helper()
	other := &Member{t: n.t, People: n.People, Pool: n.Pool, URL: n.URL, Admin: n.Admin}
	other.begin(cfg)
	return other
}

func (n *Member) begin(cfg Config) {
	n.t.Helper()
	if cfg.Engine.RetryPauses == nil {
		cfg.Engine.RetryPauses = []time.Duration{50 * time.Millisecond, 50 * time.Millisecond}
	}
	if cfg.Engine.WaitPauses == nil {
		cfg.Engine.WaitPauses = []time.Duration{50 * time.Millisecond}
	}
	if cfg.Engine.ProbePause == 0 {
		cfg.Engine.ProbePause = 50 * time.Millisecond
	}
	if cfg.Engine.RecallPause == 0 {
		cfg.Engine.RecallPause = 50 * time.Millisecond
	}
	if cfg.Lease == 0 {
		cfg.Lease = 10 * time.Second // of a machine that does much at once; a beat is a fifth of it
	}
	n.cfg, n.ReceiverAddr, n.dataDir = cfg, "127.0.0.1:0", uuid.New()
	n.t.Cleanup(n.checkWords)
	n.Engine = engine.New(n.Pool, n.People, door.NewDoor(n.Pool), n.log(), cfg.Engine)
	if !cfg.Idle {
		n.Start()
	}
}

// checkWords looks for patients in what tasks and their logs tell people.
func (n *Member) checkWords() {
	rows, err := n.Pool.Query(context.Background(), `SELECT message FROM tasks WHERE message <> '' UNION SELECT line FROM task_log
		UNION SELECT missing::text FROM task_series UNION SELECT waiting_reason FROM tasks UNION SELECT breaker_reason FROM server_state`)
	if err != nil {
		return // the test has taken the database away
	}
	words, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return
	}
	testpeer.NoPatients(n.t, "what a task says", strings.Join(words, "\n"))
	rows, err = n.Pool.Query(context.Background(), `SELECT pseudonym FROM linkage UNION SELECT pseudonym FROM tasks WHERE pseudonym <> ''
		UNION SELECT pseudonym FROM task_deid WHERE pseudonym <> ''`)
	if err != nil {
		return
	}
	pseudonyms, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(n.t, err)
	// what names the task in one line, and its study in another, tells as much as one line with both
	for _, p := range pseudonyms {
		for what, text := range map[string]string{
			"the log": n.said.String(), "what a task says": strings.Join(words, "\n"),
		} {
			if testpeer.Stands(text, p) {
				n.t.Errorf("%s holds the pseudonym %q", what, p)
			}
		}
	}
}

func (n *Member) log() *slog.Logger {
	if n.cfg.Silent {
		return slog.New(slog.NewTextHandler(testpeer.WithoutPatients(n.t, "the log", &n.said), nil))
	}
	if n.cfg.Log != nil {
		return testpeer.Log(n.t, n.cfg.Log, &n.said)
	}
	return testpeer.Log(n.t, &n.said)
}

// Start starts the actors and waits until the member may claim.
func (n *Member) Start() {
	n.t.Helper()
	l, err := net.Listen("tcp", n.ReceiverAddr)
	require.NoError(n.t, err)
	n.ReceiverAddr = l.Addr().String()
	receiver := n.cfg.Receiver
	if receiver.Listener = l; n.cfg.Wrap != nil {
		receiver.Listener = n.cfg.Wrap(l)
	}
	n.actors, err = actors.Start(actors.Config{
		Engine: n.Engine, DatabaseURL: n.URL, Workers: n.cfg.Workers,
		Lease: n.cfg.Lease, Log: n.log(), Receiver: &receiver,
		Registration: lease.Registration{DataDirID: n.dataDir, Name: "test", Roles: lease.Roles, Version: "test"},
	})
	require.NoError(n.t, err)
	select {
	case <-n.actors.Registered():
	case <-time.After(Deadline):
		n.t.Fatal("the member did not register")
	}
	n.t.Cleanup(func() { n.Stop(0) })
}

// ReceiverPort is the port of ReceiverAddr.
func (n *Member) ReceiverPort() int {
	n.t.Helper()
	_, port, err := net.SplitHostPort(n.ReceiverAddr)
	require.NoError(n.t, err)
	number, err := strconv.Atoi(port)
	require.NoError(n.t, err)
	return number
}

// Collectors returns the metrics of the running actors.
func (n *Member) Collectors() []prometheus.Collector { return n.actors.Collectors() }

// Stop stops the actors, giving running tasks so long to come to a stop by themselves.
func (n *Member) Stop(patience time.Duration) {
	if n.actors == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(n.t, n.actors.Stop(ctx))
	n.actors = nil
}

// AddServer adds a server with every service, and lets change set what differs.
func (n *Member) AddServer(name, aeTitle, addr string, change func(*nodes.NewServer)) nodes.DICOMNode {
	n.t.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(n.t, err)
	number, err := strconv.Atoi(port)
	require.NoError(n.t, err)
	s := nodes.NewServer{
		Name: name, AETitle: aeTitle, Host: host, Port: number,
		Supports: nodes.Supports{StudyRootFind: true, StudyRootGet: true, Store: true},
	}
	if change != nil {
		change(&s)
	}
	node, err := n.Engine.Nodes.AddServer(context.Background(), n.Admin, s)
	require.NoError(n.t, err)
	return node
}

// AddFolder adds a folder.
func (n *Member) AddFolder(name, path string) nodes.DICOMNode {
	n.t.Helper()
	node, err := n.Engine.Nodes.AddFolder(context.Background(), n.Admin, nodes.NewFolder{Name: name, Path: path})
	require.NoError(n.t, err)
	return node
}

// Transfer makes a job for whole studies.
func (n *Member) Transfer(source, destination string, studies ...string) jobs.Job {
	n.t.Helper()
	t := jobs.Transfer{Source: source, Destination: destination}
	for _, uid := range studies {
		t.Studies = append(t.Studies, jobs.Study{StudyInstanceUID: uid})
	}
	return n.Create(t)
}

// Create makes a job.
func (n *Member) Create(t jobs.Transfer) jobs.Job {
	n.t.Helper()
	job, err := n.Engine.Jobs.Create(context.Background(), n.Admin, t)
	require.NoError(n.t, err)
	return job
}

// Wait waits until nothing of a job is pending or running.
func (n *Member) Wait(job int64) jobs.Job {
	n.t.Helper()
	return n.WaitFor(job, jobs.Job.Done)
}

// WaitFor waits until a job is as wanted.
func (n *Member) WaitFor(job int64, wanted func(jobs.Job) bool) jobs.Job {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Deadline)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		j, err := n.Engine.Jobs.Get(ctx, n.Admin, job)
		require.NoError(n.t, err)
		if wanted(j) {
			return j
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tasks, _ := n.Engine.Jobs.Tasks(context.Background(), n.Admin, job, jobs.TaskFilter{Limit: 5})
			n.t.Fatalf("job %d is still %s; its first tasks: %+v", job, j.Status, tasks)
		}
	}
}

// Task returns the only task of a job.
func (n *Member) Task(job int64) jobs.Task {
	n.t.Helper()
	tasks, err := n.Engine.Jobs.Tasks(context.Background(), n.Admin, job, jobs.TaskFilter{Limit: 2})
	require.NoError(n.t, err)
	require.Len(n.t, tasks, 1)
	return tasks[0]
}
