// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/actors/cluster"
	"github.com/adit-go/adit/actors/socket"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db/local"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
)

const (
	channelMB    = 2000
	mostOfMember = 150e6                 // bytes of memory
	farAway      = 20 * time.Millisecond // each way
	farStudies   = 24                    // of each member
	farWorkers   = 2
)

// clustered are the rows of several members.
var clustered = []comparison{
	{
		name: "cluster-channel", what: "Bytes between two members, over loopback: MB/s",
		ours: "the channel of the cluster (TLS 1.3, frames)", theirs: "a plain TCP connection",
		required: "≥ 0.25×", met: func(r result) bool { return r.ratio() >= 0.25 },
		prepare: channel,
	},
	{
		name: "cluster-object", what: "C-MOVE of an object of 1 GB to `storescp --ignore`",
		ours: "by the receiver of another member", theirs: "by a single `adit serve`",
		required: "< 150 MB of memory (VmHWM) of each member", met: func(r result) bool {
			return r.mostMemory() < mostOfMember
		},
		prepare: objectAcross,
	},
	{
		name: "cluster-scale-2", what: "Studies from and to PACS that are 20 ms away in each direction: instances/s",
		ours: "two members", theirs: "one member",
		required: "≥ 1.8×", met: func(r result) bool { return r.ratio() >= 0.9*2 },
		prepare: func(b *bench, in *room) (ours, theirs side, err error) { return b.scaling(in, 2) },
	},
	{
		name: "cluster-scale", what: "The same",
		ours: "three members", theirs: "one member",
		required: "≥ 2.7×", met: func(r result) bool { return r.ratio() >= 0.9*3 },
		prepare: func(b *bench, in *room) (ours, theirs side, err error) { return b.scaling(in, 3) },
	},
}

// certificates makes a CA in a folder and a member's certificate in each of others.
func certificates(dir string, members ...string) error {
	if err := cluster.InitCA(dir); err != nil {
		return err
	}
	for _, m := range members {
		if err := cluster.Issue(dir, filepath.Base(m), m, 24*time.Hour); err != nil {
			return err
		}
	}
	return nil
}

// drain is a member that takes whatever it is brought.
type drain struct{}

// Take implements socket.Handler.
func (drain) Take(_ context.Context, _ socket.Object, data io.Reader, _ func()) (a socket.Answer) {
	if _, err := io.Copy(io.Discard, data); err != nil {
		a.Status = 0x110
	}
	return a
}

// Open implements socket.Handler.
func (drain) Open(context.Context, socket.File) (io.ReadCloser, error) { return nil, os.ErrNotExist }

// Remove implements socket.Handler.
func (drain) Remove(context.Context, socket.File) error { return nil }

// zeros has so many bytes.
type zeros struct{ io.LimitedReader }

// Read implements io.Reader.
func (z *zeros) Read(p []byte) (int, error) {
	if z.N == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.N)
	z.N -= n
	return int(n), nil
}

// channel compares the channel between members with plain TCP, both within this process.
func channel(_ *bench, in *room) (ours, theirs side, err error) {
	ca, one := filepath.Join(in.dir, "ca"), filepath.Join(in.dir, "one")
	if err := certificates(ca, one); err != nil {
		return nil, nil, err
	}
	shown, err := cluster.OpenCertificates(
		filepath.Join(one, "ca.pem"), filepath.Join(one, "member.pem"), filepath.Join(one, "member.key"),
	)
	if err != nil {
		return nil, nil, err
	}
	l, err := listen(in.ctx)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithCancel(in.ctx)
	served := make(chan error, 1)
	go func() {
		served <- (&socket.Server{Handler: drain{}, TLS: shown.ServerTLS(), Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l)
	}()
	bringer := &socket.Client{TLS: shown.ClientTLS()}
	plain, err := listen(in.ctx)
	if err != nil {
		stop()
		return nil, nil, err
	}
	in.closers = append(in.closers, func() error {
		bringer.Close()
		stop()
		return errors.Join(<-served, plain.Close())
	})
	ours = func() (sample, error) {
		start := time.Now()
		a, err := bringer.Bring(
			in.ctx, l.Addr().String(), socket.Object{SOPInstanceUID: "1.2"}, newZeros(channelMB*1e6), func() {},
		)
		if err == nil && a.Status != 0 {
			err = fmt.Errorf("the object was answered with status %04X", a.Status)
		}
		return sample{images: channelMB, wall: time.Since(start)}, err
	}
	theirs = func() (sample, error) { return copied(in.ctx, plain) }
	return ours, theirs, nil
}

func newZeros(n int64) io.Reader { return &zeros{io.LimitedReader{N: n}} }

// copied sends as many bytes over a plain connection.
func copied(ctx context.Context, l net.Listener) (sample, error) {
	buffer := func() []byte { return make([]byte, 128<<10) }
	start := time.Now()
	taken := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			taken <- err
			return
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, buffer())
		if err == nil && n != channelMB*1e6 {
			err = fmt.Errorf("%d bytes came", n)
		}
		taken <- errors.Join(err, c.Close())
	}()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return sample{}, err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{c}, newZeros(channelMB*1e6), buffer())
	err = errors.Join(err, c.Close(), <-taken)
	return sample{images: channelMB, wall: time.Since(start)}, err
}

// cluster starts a member for each of some roles, on a PostgreSQL of their own. All have the first one's client.
func (b *bench) cluster(in *room, name string, roles []string, args ...string) (members []*aditServer, err error) {
	room := &room{ctx: in.ctx} // a row may have two of them
	in.closers = append(in.closers, room.leave)
	if room.dir, err = room.tempDir(); err != nil {
		return nil, err
	}
	database, err := local.Start(in.ctx, filepath.Join(room.dir, "database"), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	room.closers = append(room.closers, func() error { return database.Stop(context.WithoutCancel(in.ctx)) })
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	keyFile, ca := filepath.Join(room.dir, "secret.key"), filepath.Join(room.dir, "ca")
	if err := errors.Join(
		os.WriteFile(keyFile, []byte(hex.EncodeToString(key)), 0o600), cluster.InitCA(ca),
	); err != nil {
		return nil, err
	}
	first := filepath.Join(room.dir, "m1")
	for i, role := range roles {
		member := "m" + strconv.Itoa(i+1)
		dir := filepath.Join(room.dir, member)
		if err := cluster.Issue(ca, member, filepath.Join(dir, "cluster"), 24*time.Hour); err != nil {
			return nil, err
		}
		port, err1 := freePort()
		data, err2 := freePort()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		control, channel := net.JoinHostPort(loopback, port), net.JoinHostPort(loopback, data)
		m, err := b.serveIn(room, name+"-"+member, dir, first, append([]string{
			"--database-url", database.URL(), "--secret-key-file", keyFile, "--cluster", "--member-name", member,
			"--roles", role, "--cluster-listen", control, "--cluster-advertise", control,
			"--cluster-data-listen", channel, "--cluster-data-advertise", channel,
		}, args...)...)
		if err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

// objectAcross moves an object of 1 GB to the receiver of a member that runs no tasks.
func objectAcross(b *bench, in *room) (ours, theirs side, err error) {
	st := phantom.New(990_000, phantom.StudySpec{
		Patient: phantom.Patient{ID: "BENCH-1", Name: "Phantom^Bench", Sex: "O"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.MultiFrame, Rows: 1024, Columns: 1024, Frames: 500}},
	})
	object := set{study: st.StudyInstanceUID, images: 1, bytes: st.Instances()[0].Size()}
	into, err := in.storeSCP(noDelay, "--ignore", "--fork")
	if err != nil {
		return nil, nil, err
	}
	moved := func(title string, port string, a *aditServer) error {
		p, err := pacs.Start(pacs.Config{
			AETitle: title, Studies: []*phantom.Study{st},
			MoveDestinations: map[string]string{
				"ADIT": net.JoinHostPort(loopback, port), "ADIT_LE": net.JoinHostPort(loopback, port),
			},
		})
		if err != nil {
			return err
		}
		in.closers = append(in.closers, p.Close)
		return errors.Join(
			a.addMoving(in, "source", title, &server{port: strconv.Itoa(p.Port())}),
			a.add(in.ctx, "destination", "STORESCP", into),
		)
	}
	far, err1 := freePort()
	near, err2 := freePort()
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	members, err := b.cluster(
		in, "cluster-object", []string{"web,worker", "web,receiver"}, "--dicom-listen", net.JoinHostPort(loopback, far),
	)
	if err != nil {
		return nil, nil, err
	}
	single, err := b.serveReceiving(in, "cluster-object", net.JoinHostPort(loopback, near))
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(moved("SOURCE", far, members[0]), moved("SOURCE", near, single)); err != nil {
		return nil, nil, err
	}
	ours = func() (sample, error) {
		s, err := members[0].transfer(in.ctx, object)
		for _, m := range members {
			most, err1 := highWater(m.pid)
			s.memory, err = max(s.memory, most), errors.Join(err, err1)
		}
		return s, err
	}
	theirs = func() (sample, error) { return single.transfer(in.ctx, object) }
	return ours, theirs, nil
}

// scaling compares so many members with one, at PACS that are far away.
func (b *bench) scaling(in *room, n int) (ours, theirs side, err error) {
	const images = 10
	studies := make([]*phantom.Study, n*farStudies)
	for i := range studies {
		studies[i] = phantom.New(uint64(991_000+i), phantom.StudySpec{
			Patient: phantom.Patient{ID: "BENCH-1", Name: "Phantom^Bench", Sex: "O"},
			Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: images, Rows: 16, Columns: 16}},
		})
	}
	var far [2]*server
	for i, cfg := range []pacs.Config{{AETitle: "SOURCE", Studies: studies}, {AETitle: "DESTINATION"}} {
		p, err := pacs.Start(cfg)
		if err != nil {
			return nil, nil, err
		}
		in.closers = append(in.closers, p.Close)
		link, err := testpeer.LinkTo("tcp", p.Addr())
		if err != nil {
			return nil, nil, err
		}
		in.closers = append(in.closers, link.Close)
		link.Delay(farAway)
		far[i] = &server{port: strconv.Itoa(link.Port)}
	}
	with := func(members int) (side, error) {
		all, err := b.cluster(
			in, fmt.Sprintf("cluster-scale-%d", members), slices.Repeat([]string{"web,worker"}, members),
			"--dicom-listen", "", "--workers", strconv.Itoa(farWorkers),
		)
		if err != nil {
			return nil, err
		}
		for i, title := range []string{"SOURCE", "DESTINATION"} {
			name := strings.ToLower(title)
			if err := all[0].add(in.ctx, name, title, far[i]); err != nil {
				return nil, err
			}
			if _, err := all[0].Servers.SetSchedule(in.ctx, name, client.Schedule{
				Default: client.Limits{Batch: 100},
			}); err != nil {
				return nil, err
			}
		}
		todo := make([]client.NewStudy, members*farStudies)
		for i := range todo {
			todo[i].StudyInstanceUID = studies[i].StudyInstanceUID
		}
		return func() (sample, error) {
			s, err := all[0].transferAs(in.ctx, set{images: images * len(todo)}, todo...)
			s.cpu = 0 // of one member only
			return s, err
		}, nil
	}
	if ours, err = with(n); err != nil {
		return nil, nil, err
	}
	theirs, err = with(1)
	return ours, theirs, err
}
