// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/nodes"
)

// Members of a cluster read a series from the one that fetched it, or is fetching it. The name of the file is that of
// the series, and how many instances there should be of it at least; in it each instance comes behind its length (8
// bytes, big endian), and a length of 0 says that it was the last.

// fileName is the name of a series among the files of a cache, for who knows that it has so many instances; -1: that is
// not known.
func (k seriesKey) fileName(counted int) string {
	return strconv.FormatInt(k.server, 10) + "/" + k.study + "/" + k.series + "/" + strconv.Itoa(counted)
}

func keyOf(name string) (k seriesKey, counted int, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 {
		return k, 0, false
	}
	server, err := strconv.ParseInt(parts[0], 10, 64)
	counted, countedErr := strconv.Atoi(parts[3])
	return seriesKey{server, parts[1], parts[2]}, counted, err == nil && countedErr == nil
}

// Open gives a series that is here, or on its way here, to another member. fs.ErrNotExist: it is not.
func (c *Cache) Open(name string) (io.ReadCloser, error) {
	key, counted, ok := keyOf(name)
	c.outgrown(key, counted)
	c.mu.Lock()
	e := c.all[key]
	c.mu.Unlock()
	if !ok || e == nil || !e.enter() {
		return nil, fmt.Errorf("series %q: %w", name, os.ErrNotExist)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	l := &lent{PipeReader: r, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		content, err := e.lend(ctx, w)
		e.leave(content)
		w.CloseWithError(err)
	}()
	return l, nil
}

// Remove is not for other members.
func (c *Cache) Remove(string) error {
	return errors.New("a series that somebody reads is removed by its own member")
}

// lent is a series that another member reads.
type lent struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close implements io.Closer.
func (l *lent) Close() error {
	l.cancel()
	err := l.PipeReader.Close()
	<-l.done
	return err
}

// lend writes the series as another member reads it.
func (e *entry) lend(ctx context.Context, w io.Writer) (content bool, err error) {
	pos := e.follow()
	defer e.unfollow(pos)
	var length [8]byte
	for n := 0; ; n++ {
		i, ok, err := e.next(ctx, n)
		if err == nil && ok {
			i, _, err = e.find(ctx, i.uid)
		}
		if err != nil {
			return false, err
		}
		binary.BigEndian.PutUint64(length[:], uint64(i.size))
		if _, err := w.Write(length[:]); err != nil || !ok {
			return err == nil, err
		}
		if _, err := io.Copy(w, io.NewSectionReader(e.body, i.off, i.size)); err != nil {
			return false, err
		}
		e.passed(pos, n)
	}
}

// fetchOnce has one member of the cluster fetch a series; the others take it from there.
func (svc *Service) fetchOnce(ctx context.Context, node nodes.DICOMNode, e *entry) error {
	if !svc.Config.Cluster {
		return svc.fetch(ctx, node, e)
	}
	k := e.key
	for {
		claimed, err := svc.Q.ClaimSeries(ctx, db.ClaimSeriesParams{
			ServerID: k.server, StudyUid: k.study, SeriesUid: k.series, Store: svc.cache.id,
		})
		if err != nil {
			return err
		}
		if claimed == 1 {
			return svc.fetch(ctx, node, e)
		}
		keeper, err := svc.Q.KeeperOfSeries(ctx, db.KeeperOfSeriesParams{
			ServerID: k.server, StudyUid: k.study, SeriesUid: k.series,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			continue // it was dropped just now
		}
		if err != nil {
			return err
		}
		copied, err := svc.copyFrom(ctx, keeper, e)
		if copied || e.begun() {
			return err
		}
		err = svc.Q.TakeSeriesOver(ctx, db.TakeSeriesOverParams{
			ServerID: k.server, StudyUid: k.study, SeriesUid: k.series, Store: svc.cache.id, Before: keeper,
		})
		if err != nil {
			return err
		}
		return svc.fetch(ctx, node, e)
	}
}

// begun reports whether something has come.
func (e *entry) begun() bool { return e.arrived() > 0 }

func (e *entry) arrived() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.items)
}

// copyFrom takes a series from another member; false: that hasn't it, or can't be reached.
func (svc *Service) copyFrom(ctx context.Context, store uuid.UUID, e *entry) (bool, error) {
	if store == svc.cache.id {
		return false, nil // it was dropped, and the row not yet
	}
	from, err := svc.Others.Open(ctx, store, e.key.fileName(e.expected()))
	if err != nil {
		return false, nil // it is fetched from the server then
	}
	defer func() { _ = from.Close() }()
	defer context.AfterFunc(ctx, func() { _ = from.Close() })()
	svc.retrieves.WithLabelValues(fromMember).Inc()
	in := bufio.NewReaderSize(from, copyBuffer)
	var length [8]byte
	for {
		if _, err := io.ReadFull(in, length[:]); err != nil {
			return e.begun(), cut(err)
		}
		n := int64(binary.BigEndian.Uint64(length[:]))
		if n == 0 {
			e.counts(e.arrived())
			return true, nil
		}
		one := io.LimitReader(in, n)
		meta, obj, err := stream.OpenFile(one, stream.Limits{})
		if err != nil {
			return true, cut(err)
		}
		err = e.add(ctx, meta, obj, patience{bears: memberPatience})
		_ = obj.Close()
		if err != nil {
			return true, cut(err)
		}
		if _, err := io.Copy(io.Discard, one); err != nil {
			return true, cut(err)
		}
	}
}

const (
	copyBuffer = 256 << 10
	dropTime   = 5 * time.Second
	// memberPatience is how long another member is held back for who reads slowly.
	memberPatience = keptIdle
)

// cut says that another member's file broke off.
func cut(err error) error {
	return fmt.Errorf("a series could not be read from the member of the cluster that has it: %w", err)
}

// dropped tells the other members that a series is not here any more.
func (svc *Service) dropped(k seriesKey) {
	ctx, cancel := context.WithTimeout(context.Background(), dropTime)
	defer cancel()
	err := svc.Q.DropSeries(ctx, db.DropSeriesParams{
		ServerID: k.server, StudyUid: k.study, SeriesUid: k.series, Store: svc.cache.id,
	})
	if err != nil { // another member finds that it is not here
		svc.Log.WarnContext(ctx, "that a series is not kept any more can't be recorded now", "err", err)
	}
}
