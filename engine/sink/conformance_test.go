// SPDX-License-Identifier: AGPL-3.0-or-later

package sink_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/engine/sink/sinktest"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

func TestMain(m *testing.M) {
	testpeer.Isolate()
	os.Exit(m.Run())
}

// site is where tasks are claimed: a database with what sinks need of an engine.
type site struct {
	*harness.Member
	id   uuid.UUID
	door *door.Door
	svc  *sink.Service

	tasks int
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Member: harness.New(t, harness.Config{Idle: true})}
	var err error
	me := lease.Registration{DataDirID: uuid.New(), Name: "test", Roles: lease.Roles, Version: "test"}
	s.id, err = s.Engine.Lease.Register(t.Context(), me)
	require.NoError(t, err)
	s.door = door.NewDoor(s.Pool)
	s.door.SetMember(s.id)
	b := base.New(s.Pool, s.People, s.door, slog.New(slog.DiscardHandler), base.Config{})
	s.svc = sink.New(b, nodes.New(b))
	return s
}

// task is a claimed task, as a run of it begins.
type task struct {
	*site
	t    *testing.T
	held lease.Held
	dst  nodes.DICOMNode
}

// claim claims a task between a source and a destination of its own.
func (s *site) claim(t *testing.T, destination func(name string) nodes.DICOMNode) *task {
	t.Helper()
	return s.claimOf(t, destination, func(*jobs.Transfer) {})
}

// claimOf claims the task of a transfer that is not quite like any other.
func (s *site) claimOf(
	t *testing.T, destination func(name string) nodes.DICOMNode, change func(t *jobs.Transfer),
) *task {
	t.Helper()
	s.tasks++
	source := fmt.Sprintf("source %d", s.tasks)
	s.AddServer(source, fmt.Sprintf("SRC%d", s.tasks), "127.0.0.1:1", nil)
	dst := destination(fmt.Sprintf("destination %d", s.tasks))
	transfer := jobs.Transfer{
		Source: source, Destination: dst.Name, Studies: []jobs.Study{{StudyInstanceUID: "1.2.3"}},
	}
	change(&transfer)
	_, err := s.Engine.Jobs.Create(t.Context(), s.Admin, transfer)
	require.NoError(t, err)
	held, ok, _, err := s.Engine.Lease.Claim(t.Context(), s.id)
	require.NoError(t, err)
	require.True(t, ok)
	return &task{site: s, t: t, held: held, dst: dst}
}

// sink returns the sink of a run of the task, over slots of its own. What an earlier one holds is ended.
func (k *task) sink() sink.Sink {
	ctx := context.WithoutCancel(k.t.Context())
	row, err := db.New(k.Pool).LoadRun(ctx, db.LoadRunParams{TaskID: k.held.TaskID, Token: &k.held.Token})
	require.NoError(k.t, err)
	dst, err := k.Engine.Nodes.ByID(ctx, k.dst.ID)
	require.NoError(k.t, err)
	job := jobs.Job{
		Job: row.Job, Owner: row.Owner, Source: row.Source, Destination: row.Destination, Project: row.Project,
	}
	s := k.svc.Of(dst, k.held, job, row.Task, &atomic.Int64{})
	if dst.Server == nil {
		return s
	}
	var own []*door.Slot
	for i, id := range row.SlotIds {
		if row.SlotServers[i] == dst.ID {
			own = append(own, k.door.Slot(id, dst.ID))
		}
	}
	more, err := k.door.MoreTaskSlots(ctx, k.held.Claimed, dst.ID, int(dst.Server.AssociationsPerTask)-len(own))
	require.NoError(k.t, err)
	own = append(own, more...)
	s.SetSlots(own)
	k.t.Cleanup(func() {
		for _, slot := range own {
			slot.End()
		}
	})
	return s
}

// TestFolder: a folder keeps all promises of a sink.
func TestFolder(t *testing.T) {
	s := newSite(t)
	for name, quota := range map[string]float64{"without a quota": 0, "with a quota": 1} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Subject { return s.folder(t, quota) })
		})
	}
}

// folder is a folder of its own.
func (s *site) folder(t *testing.T, quotaGB float64) sinktest.Subject {
	t.Helper()
	root := filepath.Join(t.TempDir(), "here", "folder")
	require.NoError(t, os.MkdirAll(root, 0o755))
	k := s.claim(t, func(name string) nodes.DICOMNode {
		f := nodes.NewFolder{Name: name, Path: root, FolderLimits: nodes.FolderLimits{QuotaGB: quotaGB}}
		n, err := s.Engine.Nodes.AddFolder(t.Context(), s.Admin, f)
		require.NoError(t, err)
		return n
	})
	find := func(name string) string {
		found, err := filepath.Glob(filepath.Join(root, "*", "*", "*", "*", name))
		require.NoError(t, err)
		require.NotEmpty(t, found)
		return found[0]
	}
	return sinktest.Subject{
		Sink:  k.sink(),
		Crash: k.sink,
		Held:  func() ([]sinktest.Instance, error) { return sinktest.Files(root, nodes.MarkerName) },
		Away:  func() { require.NoError(t, os.Rename(root, root+"-aside")) },
		Refuse: func(uid string) dimse.Status {
			require.NoError(t, os.Mkdir(filepath.Join(filepath.Dir(find("*.dcm")), uid+".dcm"), 0o755))
			return dimse.DuplicateSOPInstance
		},
		Lose: func(uid string) { require.NoError(t, os.Remove(find(uid+".dcm"))) },
		Cut: func(uid string) {
			path := find(uid + ".dcm")
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, os.Truncate(path, info.Size()-2))
		},
		Root: root,
	}
}

// TestFolderOfFencedMember: a member whose lease has run out gives no file its name, since another one may be writing
// it.
func TestFolderOfFencedMember(t *testing.T) {
	s := newSite(t)
	subject := s.folder(t, 0)
	require.NoError(t, subject.Sink.Begin(t.Context()))
	_, err := subject.Sink.Prepare(t.Context(), nil)
	require.NoError(t, err)
	put := func(uid string) error {
		_, err := subject.Sink.Put(t.Context(), 0, &sink.Outgoing{
			Class: dict.CTImageStorage, UID: uid, Syntax: dict.ExplicitVRLittleEndian, Series: "1.2.3.4",
			Names: sink.ObjectNames{PatientID: "P", Study: "1.2.3", Series: "1.2.3.4"},
			Open:  func() io.Reader { return bytes.NewReader(make([]byte, 100)) }, Again: true,
		})
		return err
	}
	require.NoError(t, put("1.2.3.4.1"))
	s.door.Fence(s.id)
	require.ErrorIs(t, put("1.2.3.4.2"), fault.ErrFenced)
	var left []string
	require.NoError(t, filepath.WalkDir(subject.Root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != nodes.MarkerName {
			left = append(left, d.Name())
		}
		return err
	}))
	require.Equal(t, []string{"1.2.3.4.1.dcm"}, left)
}

// TestServer: a server by DIMSE keeps all promises of a sink, whatever it takes and over however many associations.
func TestServer(t *testing.T) {
	s := newSite(t)
	uncompressed := []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}
	for name, c := range map[string]struct {
		associations int
		pacs         pacs.Config
		promises     []string
	}{
		"four associations":              {associations: 4},
		"uncompressed transfer syntaxes": {associations: 2, pacs: pacs.Config{StorageSyntaxes: uncompressed}},
		// One that was aborted counts until the PACS knows that, so that a next one may be rejected: only what aborts
		// none can be tried.
		"fewer than we would open": {4, pacs.Config{MaxAssociations: 2}, []string{"whole", "workers come and go"}},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(
				t, func(t *testing.T) sinktest.Subject { return s.server(t, c.associations, c.pacs) }, c.promises...,
			)
		})
	}
}

// server is a PACS of its own.
func (s *site) server(t *testing.T, associations int, cfg pacs.Config) sinktest.Subject {
	t.Helper()
	cfg.Folder = filepath.Join(t.TempDir(), "pacs")
	require.NoError(t, os.Mkdir(cfg.Folder, 0o755))
	p, err := pacs.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	var faults pacs.StoreFaults
	subject := s.dimse(t, p.Addr(), associations, cfg.Folder)
	subject.Answer = func(uid string, status dimse.Status) {
		faults.Statuses = maps.Clone(faults.Statuses)
		if faults.Statuses == nil {
			faults.Statuses = map[string]dimse.Status{}
		}
		faults.Statuses[uid] = status
		p.SetMisbehave(pacs.Misbehave{Store: faults})
	}
	subject.Refuse = func(uid string) dimse.Status {
		subject.Answer(uid, dimse.DataSetMismatch)
		return dimse.DataSetMismatch
	}
	subject.Rename = func(uid string) {
		p.SetMisbehave(
			pacs.Misbehave{Store: pacs.StoreFaults{Misname: []string{uid}}},
		)
	}
	return subject
}

// TestServerByWeb: so does a server by STOW-RS, whether it can be searched or not.
func TestServerByWeb(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		connections int
		asks        bool
		faults      pacs.WebStoreFaults
		promises    []string
	}{
		"two connections":         {connections: 2, asks: true},
		"that can't be searched":  {connections: 1},
		"one instance a request":  {2, true, pacs.WebStoreFaults{MaxObjects: 1}, []string{"whole", "workers come and go"}},
		"instances written twice": {1, true, pacs.WebStoreFaults{Duplicates: 45070}, []string{"whole", "after a crash"}},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Subject {
				return s.web(t, c.connections, c.asks, c.faults)
			}, c.promises...)
		})
	}
}

// web is a PACS of its own that is stored to by STOW-RS.
func (s *site) web(t *testing.T, connections int, asks bool, faults pacs.WebStoreFaults) sinktest.Subject {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "pacs")
	require.NoError(t, os.Mkdir(folder, 0o755))
	p, err := pacs.Start(pacs.Config{
		Folder: folder, Web: &pacs.WebConfig{}, Misbehave: pacs.Misbehave{Web: pacs.WebFaults{Store: faults}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	root, err := url.Parse(p.WebURL())
	require.NoError(t, err)
	subject := s.reached(t, root.Host, connections, folder, func(n *nodes.NewServer, addr string) {
		n.Supports, n.Host, n.Port = nodes.Supports{QIDO: asks, STOW: true}, "", 0
		n.DICOMweb.RootURL = "http://" + addr + root.Path
	})
	subject.Quiet = func(ctx context.Context) error {
		return p.Recorder().Wait(ctx, func(l *pacs.Log) bool { return l.Web.Connections == 0 })
	}
	subject.Answer = func(uid string, status dimse.Status) {
		reasons := &faults.Reasons
		if status.Class() == dimse.ClassWarning {
			reasons = &faults.Warnings
		}
		*reasons = maps.Clone(*reasons)
		if *reasons == nil {
			*reasons = map[string]int{}
		}
		(*reasons)[uid] = int(status)
		p.SetMisbehave(pacs.Misbehave{Web: pacs.WebFaults{Store: faults}})
	}
	subject.Refuse = func(uid string) dimse.Status {
		subject.Answer(uid, dimse.DataSetMismatch)
		return dimse.DataSetMismatch
	}
	return subject
}

// TestStoreSCP: so does DCMTK's storescp.
func TestStoreSCP(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		associations int
		args         []string
	}{
		"a process for each association": {4, []string{"--fork"}},
		"one association at a time":      {1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Subject {
				dir := t.TempDir()
				p := testpeer.StoreSCP(t, []string{testpeer.NoDelay}, dir, c.args...)
				return s.dimse(t, p.Addr, c.associations, dir)
			})
		})
	}
}

// dimse is a server that writes what it takes into a directory.
func (s *site) dimse(t *testing.T, addr string, associations int, dir string) sinktest.Subject {
	t.Helper()
	return s.reached(t, addr, associations, dir, func(*nodes.NewServer, string) {})
}

// reached is a server at an address that writes what it takes into a directory. change is told where it is reached.
func (s *site) reached(
	t *testing.T, addr string, associations int, dir string, change func(n *nodes.NewServer, addr string),
) sinktest.Subject {
	t.Helper()
	l := newLine(t, addr)
	k := s.claim(t, func(name string) nodes.DICOMNode {
		return s.AddServer(name, fmt.Sprintf("DST%d", s.tasks), l.addr, func(n *nodes.NewServer) {
			n.AssociationsPerTask = associations
			change(n, l.addr)
		})
	})
	return sinktest.Subject{
		Sink: k.sink(),
		Crash: func() sink.Sink {
			l.drop()
			return k.sink()
		},
		Held:     func() ([]sinktest.Instance, error) { return sinktest.Files(dir) },
		Quiet:    l.quiet,
		Away:     l.close,
		Break:    l.breakSoon,
		Drop:     l.drop,
		Stall:    l.stall,
		Replaces: true,
	}
}

// TestSuiteSeesThroughThem: a folder and a server that are put to use wrongly break the promise about that.
func TestSuiteSeesThroughThem(t *testing.T) {
	s := newSite(t)
	for name, breaks := range map[string]struct {
		promise string
		wrapped func(of sink.Sink) sink.Sink
	}{
		"loses the last instance": {"whole", func(of sink.Sink) sink.Sink { return &lateSink{Sink: of, most: 1} }},
		"acknowledges before it has written": {"after a crash", func(of sink.Sink) sink.Sink {
			return &lateSink{Sink: of, most: 100}
		}},
		"tells a wrong UID": {"whole", func(of sink.Sink) sink.Sink {
			return &changingSink{of, func(o *sink.Outgoing) { o.UID = "1." + o.UID }}
		}},
		"stops at a short read": {"whole", func(of sink.Sink) sink.Sink {
			return &changingSink{of, func(o *sink.Outgoing) {
				open := o.Open
				o.Open = func() io.Reader {
					b := make([]byte, 8<<20)
					n, _ := open().Read(b)
					return bytes.NewReader(b[:n])
				}
			}}
		}},
		"takes every end of a source for that of the instance": {
			"a source that breaks off",
			func(of sink.Sink) sink.Sink {
				return &changingSink{of, func(o *sink.Outgoing) {
					open := o.Open
					o.Open = func() io.Reader {
						data, _ := io.ReadAll(open())
						return bytes.NewReader(data)
					}
				}}
			},
		},
	} {
		for kind, subject := range map[string]func(t *testing.T) sinktest.Subject{
			"folder": func(t *testing.T) sinktest.Subject { return s.folder(t, 0) },
			"server": func(t *testing.T) sinktest.Subject { return s.server(t, 2, pacs.Config{}) },
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				broken := sinktest.Broken(t, func(t *testing.T) sinktest.Subject {
					of := subject(t)
					of.Sink = breaks.wrapped(of.Sink)
					return of
				}, breaks.promise)
				require.Contains(t, broken, breaks.promise)
			})
		}
	}
}

// changingSink changes what is put.
type changingSink struct {
	sink.Sink
	change func(o *sink.Outgoing)
}

func (s *changingSink) Put(ctx context.Context, worker int, o *sink.Outgoing) (dimse.Status, error) {
	s.change(o)
	return s.Sink.Put(ctx, worker, o)
}

// lateSink acknowledges at once, and puts what it has acknowledged when there is more of that than it holds.
type lateSink struct {
	sink.Sink
	most int

	mu   sync.Mutex
	held []*sink.Outgoing
}

func (s *lateSink) Put(ctx context.Context, worker int, o *sink.Outgoing) (dimse.Status, error) {
	data, err := io.ReadAll(o.Open())
	if err != nil {
		return 0, err
	}
	o.Open = func() io.Reader { return bytes.NewReader(data) }
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, o)
	if len(s.held) <= s.most {
		return dimse.Success, nil
	}
	first := s.held[0]
	s.held = s.held[1:]
	return s.Sink.Put(ctx, worker, first)
}

// line stands between a sink and a server, and passes on what both say, as long as it is told nothing else.
type line struct {
	addr   string
	target string
	listen net.Listener
	all    sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed when a link ends, and replaced
	links   map[*link]bool
}

// link is a connection over a line.
type link struct {
	near, far net.Conn

	mu      sync.Mutex
	left    int    // bytes to the server until it breaks; negative: it doesn't
	stalled func() // told of what is not passed on; nil: all is
}

func newLine(t *testing.T, target string) *line {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &line{
		addr: listen.Addr().String(), target: target, listen: listen,
		changed: make(chan struct{}), links: map[*link]bool{},
	}
	l.all.Go(l.serve)
	t.Cleanup(func() {
		l.close()
		for _, k := range l.open() {
			k.end()
		}
		l.all.Wait()
	})
	return l
}

func (l *line) serve() {
	for {
		near, err := l.listen.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		k := &link{near: near, far: far, left: -1}
		l.mu.Lock()
		l.links[k] = true
		l.mu.Unlock()
		l.all.Go(func() {
			k.run()
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.links, k)
			close(l.changed)
			l.changed = make(chan struct{})
		})
	}
}

// close lets nobody in any more.
func (l *line) close() { _ = l.listen.Close() }

func (l *line) open() (links []*link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.links {
		links = append(links, k)
	}
	return links
}

// quiet waits until the server has closed all connections.
func (l *line) quiet(ctx context.Context) error {
	for {
		l.mu.Lock()
		n, changed := len(l.links), l.changed
		l.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// drop ends all connections, and waits until the server has.
func (l *line) drop() {
	for _, k := range l.open() {
		_ = k.near.Close()
	}
	_ = l.quiet(context.Background()) // it ends
}

// breakSoon ends each connection when so much of an instance has passed that the server has its beginning.
func (l *line) breakSoon() {
	for _, k := range l.open() {
		k.mu.Lock()
		k.left = 1000
		k.mu.Unlock()
	}
}

// stall has each connection pass nothing more on. What it returns is closed when something should have passed.
func (l *line) stall() <-chan struct{} {
	came := make(chan struct{})
	told := sync.OnceFunc(func() { close(came) })
	for _, k := range l.open() {
		k.mu.Lock()
		k.stalled = told
		k.mu.Unlock()
	}
	return came
}

// run passes on what both sides say, until the server closes.
func (k *link) run() {
	var there sync.WaitGroup
	there.Go(func() {
		b := make([]byte, 4<<10)
		for {
			n, err := k.near.Read(b)
			pass, ended := k.passes(n)
			if _, werr := k.far.Write(b[:pass]); err != nil || werr != nil || ended {
				break
			}
		}
		_ = k.far.(*net.TCPConn).CloseWrite() // who stores over it learns of that when the server has
	})
	b := make([]byte, 4<<10)
	for {
		n, err := k.far.Read(b)
		if n > 0 && !k.isStalled() {
			_, _ = k.near.Write(b[:n]) // who has gone needs it no more
		}
		if err != nil {
			break
		}
	}
	k.end()
	there.Wait()
}

// passes returns how many of some bytes for the server are passed on, and whether the connection breaks after them.
func (k *link) passes(n int) (pass int, ended bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.stalled != nil:
		if n > 0 {
			k.stalled()
		}
		return 0, false
	case k.left < 0:
		return n, false
	}
	pass = min(n, k.left)
	k.left -= pass
	return pass, k.left == 0
}

func (k *link) isStalled() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stalled != nil
}

func (k *link) end() {
	_ = k.near.Close()
	_ = k.far.Close()
}
