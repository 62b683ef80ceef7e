// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/internal/testpeer"
)

const (
	findClass = dict.StudyRootQueryRetrieveInformationModelFind
	getClass  = dict.StudyRootQueryRetrieveInformationModelGet
	ctClass   = dict.CTImageStorage
	srClass   = dict.BasicTextSRStorage
	implicit  = dict.ImplicitVRLittleEndian
	explicit  = dict.ExplicitVRLittleEndian
	jpeg2000  = dict.JPEG2000Lossless

	// patience is a deadline as safety only: no test takes as long unless it fails.
	patience = 20 * time.Second
)

func TestMain(m *testing.M) {
	testpeer.Isolate()
	goleak.VerifyTestMain(m)
}

// takeAll accepts every context with the first transfer syntax proposed.
func takeAll(_ *dimse.AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
	return c.TransferSyntaxes[0], ul.ContextAccepted
}

// serve runs a server on loopback until the test ends, and returns its address.
func serve(t testing.TB, s *dimse.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return serveOn(t, s, l)
}

// serveOn is serve on a listener.
func serveOn(t testing.TB, s *dimse.Server, l net.Listener) string {
	t.Helper()
	if s.Choose == nil {
		s.Choose = takeAll
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Error("the server did not end")
		}
	})
	return l.Addr().String()
}

func contexts() []dimse.Context {
	return []dimse.Context{
		{AbstractSyntax: dict.Verification, TransferSyntaxes: []string{implicit}},
		{AbstractSyntax: findClass, TransferSyntaxes: []string{explicit}},
		{AbstractSyntax: getClass, TransferSyntaxes: []string{explicit}},
		{AbstractSyntax: ctClass, TransferSyntaxes: []string{explicit}},
		{AbstractSyntax: ctClass, TransferSyntaxes: []string{jpeg2000}},
		{AbstractSyntax: ctClass, TransferSyntaxes: []string{explicit}, SCP: true},
		{AbstractSyntax: srClass, TransferSyntaxes: []string{explicit}, SCP: true},
	}
}

func config(addr string) dimse.Config {
	return dimse.Config{Addr: addr, CallingAE: "ADIT", CalledAE: "PACS", Contexts: contexts(), IdleTimeout: patience}
}

func dial(t testing.TB, addr string) *dimse.Association {
	t.Helper()
	a, err := dimse.Dial(t.Context(), config(addr))
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	return a
}

// pattern returns n bytes that depend on their place.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(n)*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// plain hides every method of a reader but Read.
type plain struct{ r io.Reader }

func (p plain) Read(b []byte) (int, error) { return p.r.Read(b) }

// store collects what a server was sent.
type store struct {
	mu   sync.Mutex
	seen []dimse.Incoming
	sums []string
}

func (s *store) handle(_ context.Context, _ *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
	h := sha256.New()
	if _, err := io.Copy(h, in.Data); err != nil {
		return dimse.StoreResponse{Status: dimse.ProcessingFailure}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, *in)
	s.sums = append(s.sums, hex.EncodeToString(h.Sum(nil)))
	return dimse.StoreResponse{Status: dimse.Success}
}

func (s *store) all() ([]dimse.Incoming, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen), slices.Clone(s.sums)
}

func TestEcho(t *testing.T) {
	a := dial(t, serve(t, &dimse.Server{}))
	require.NoError(t, a.Echo(t.Context()))
	require.NoError(t, a.Echo(t.Context()))
	require.NoError(t, a.Release(t.Context()))
	require.ErrorIs(t, a.Echo(t.Context()), ul.ErrEnded)
}

// even returns what of a data set arrives: a NULL byte makes an odd length even.
func even(b []byte) []byte { return append(bytes.Clone(b), make([]byte, len(b)%2)...) }

// whole is a data set that writes itself, as several pieces of which the last are told to be that.
type whole struct {
	io.Reader
	b []byte
}

func (w whole) WriteWhole(to ul.RestWriter) error {
	n := len(w.b) / 3
	if _, err := to.Write(w.b[:n]); err != nil {
		return err
	}
	return to.WriteRest(w.b[n:2*n], w.b[2*n:])
}

// TestStoreSizes sends data sets around every boundary: empty, odd, one PDU, the buffer, several PDUs; in every way in
// which a data set can be read.
func TestStoreSizes(t *testing.T) {
	for _, maxPDU := range []uint32{16 << 10, 0} {
		var got store
		addr := serve(t, &dimse.Server{Store: got.handle, MaxPDU: maxPDU})
		a := dial(t, addr)
		var want []string
		for _, n := range []int{
			0, 1, 2, 3, 100, 16<<10 - 12, 16<<10 - 6, 16 << 10, 256<<10 - 1,
			256 << 10, 256<<10 + 1, 256<<10 + 2, 1 << 20, 3<<20 + 17,
		} {
			b := pattern(n)
			for _, source := range []io.Reader{
				bytes.NewReader(b),
				plain{bytes.NewReader(b)},
				chunks(b, 1000), chunks(b, 70000), io.MultiReader(bytes.NewReader(b[:n/2]), bytes.NewReader(b[n/2:])),
				whole{bytes.NewReader(b), b},
				io.MultiReader(whole{bytes.NewReader(b[:n/2]), b[:n/2]}, bytes.NewReader(b[n/2:])),
				iotest.DataErrReader(bytes.NewReader(b)),
			} {
				rsp, err := a.Store(t.Context(),
					dimse.StoreRequest{SOPClassUID: ctClass, SOPInstanceUID: "1.2.3", TransferSyntaxUID: explicit},
					source,
				)
				require.NoError(t, err)
				require.Equal(t, dimse.Success, rsp.Status)
				want = append(want, sum(even(b)))
			}
		}
		require.NoError(t, a.Release(t.Context()))
		_, sums := got.all()
		require.Equal(t, want, sums)
	}
}

// chunks is a WriterTo that writes b in pieces of n bytes.
type chunked struct {
	io.Reader
	b []byte
	n int
}

func chunks(b []byte, n int) io.Reader { return chunked{bytes.NewReader(nil), b, n} }

func (c chunked) WriteTo(w io.Writer) (n int64, err error) {
	for p := range slices.Chunk(c.b, c.n) {
		k, err := w.Write(p)
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func TestStoreFields(t *testing.T) {
	var got store
	a := dial(t, serve(t, &dimse.Server{Store: got.handle}))
	rq := dimse.StoreRequest{
		SOPClassUID: ctClass, SOPInstanceUID: "1.2.3.4.5", TransferSyntaxUID: jpeg2000, Priority: dimse.PriorityLow,
		MoveOriginatorAETitle: "MOVER", MoveOriginatorMessageID: 4711,
	}
	_, err := a.Store(t.Context(), rq, bytes.NewReader(pattern(1000)))
	require.NoError(t, err)
	seen, _ := got.all()
	in := seen[0]
	received := dimse.StoreRequest{
		SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID,
		Priority: in.Priority, MoveOriginatorAETitle: in.MoveOriginatorAETitle,
		MoveOriginatorMessageID: in.MoveOriginatorMessageID,
	}
	require.Equal(t, rq, received)
	_, err = a.Store(
		t.Context(), dimse.StoreRequest{SOPClassUID: ctClass, TransferSyntaxUID: implicit}, bytes.NewReader(nil),
	)
	require.ErrorAs(t, err, new(*dimse.NoContextError))
	require.NoError(t, a.Err(), "nothing was sent, the association lives")
}

func TestStoreDrainsWhatTheHandlerLeaves(t *testing.T) {
	heads := make(chan string, 3)
	a := dial(t,
		serve(t, &dimse.Server{
			Store: func(_ context.Context, _ *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
				var head [10]byte
				_, _ = io.ReadFull(in.Data, head[:])
				heads <- string(head[:])
				return dimse.StoreResponse{Status: 0xA700, ErrorComment: "full"}
			},
		}),
	)
	for range 3 {
		rsp, err := a.Store(t.Context(), ctRequest(1), bytes.NewReader(pattern(2<<20)))
		require.NoError(t, err)
		require.Equal(
			t, dimse.StoreResponse{Status: 0xA700, ErrorComment: "full", SOPInstanceUID: ctRequest(1).SOPInstanceUID},
			rsp,
		)
	}
	require.NoError(t, a.Release(t.Context()))
	for range 3 {
		require.Equal(t, string(pattern(2 << 20)[:10]), <-heads)
	}
}

func TestStoreSourceFails(t *testing.T) {
	broken := fmt.Errorf("disk on fire")
	for name, sent := range map[string]int{"before the first byte": 10, "after a megabyte": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			a := dial(t, serve(t, &dimse.Server{
				Store: new(store).handle, Ended: func(_ *dimse.ServerAssociation, err error) { ended <- err },
			}))
			_, err := a.Store(t.Context(), dimse.StoreRequest{SOPClassUID: ctClass, TransferSyntaxUID: explicit},
				io.MultiReader(bytes.NewReader(pattern(sent)), failing{broken}))
			var source *ul.SourceError
			require.ErrorAs(t, err, &source)
			require.ErrorIs(t, err, broken)
			require.Equal(t, sent > 1000, source.Sent)
			if !source.Sent {
				require.NoError(t, a.Echo(t.Context()), "the association lives")
				return
			}
			require.ErrorAs(t, <-ended, new(*ul.AbortedError))
			require.Error(t, a.Echo(t.Context()))
		})
	}
}

// TestStoreSourceCutOff: an error that wraps io.EOF is not the end of a data set, whatever its reader is: what came of
// it is never acknowledged.
func TestStoreSourceCutOff(t *testing.T) {
	lost := fmt.Errorf("the connection was lost: %w", io.EOF)
	for name, as := range map[string]func(r io.Reader) io.Reader{
		"a plain reader": func(r io.Reader) io.Reader { return struct{ io.Reader }{r} },
		"an io.WriterTo": func(r io.Reader) io.Reader { return r },
	} {
		for _, sent := range []int{0, 10, 1 << 20} {
			t.Run(fmt.Sprintf("%s, %d bytes", name, sent), func(t *testing.T) {
				a := dial(t, serve(t, &dimse.Server{Store: new(store).handle}))
				_, err := a.Store(t.Context(), dimse.StoreRequest{SOPClassUID: ctClass, TransferSyntaxUID: explicit},
					as(io.MultiReader(bytes.NewReader(pattern(sent)), failing{lost})))
				require.ErrorAs(t, err, new(*ul.SourceError))
				require.ErrorIs(t, err, lost)
			})
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func query(uid string) *stream.DataSet {
	d := &stream.DataSet{}
	d.Set(dict.QueryRetrieveLevel, "STUDY")
	d.Set(dict.StudyInstanceUID, uid)
	return d
}

// finder answers with n matches, with a pending response without identifier between.
func finder(n int, final dimse.Status, canceled chan<- int) func(context.Context, *dimse.FindOperation) dimse.Status {
	return func(_ context.Context, op *dimse.FindOperation) dimse.Status {
		for i := range n {
			select {
			case <-op.Canceled():
				canceled <- i
				return dimse.Canceled
			default:
			}
			if op.Pending(nil) != nil || op.Pending(query(fmt.Sprintf("1.2.%d", i))) != nil {
				return dimse.ProcessingFailure
			}
		}
		return final
	}
}

func TestFind(t *testing.T) {
	a := dial(t, serve(t, &dimse.Server{Find: finder(5, dimse.Success, nil)}))
	for range 2 {
		var got []string
		for d, err := range a.Find(t.Context(), findClass, query("")) {
			require.NoError(t, err)
			got = append(got, d.String(dict.StudyInstanceUID))
		}
		require.Equal(t, []string{"1.2.0", "1.2.1", "1.2.2", "1.2.3", "1.2.4"}, got)
	}
	require.NoError(t, a.Release(t.Context()))
}

func TestFindFails(t *testing.T) {
	a := dial(t, serve(t, &dimse.Server{Find: finder(1, 0xA700, nil)}))
	var errs []error
	for _, err := range a.Find(t.Context(), findClass, query("")) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 2)
	var status *dimse.StatusError
	require.ErrorAs(t, errs[1], &status)
	require.Equal(t, dimse.BackOff, status.Meaning().Outcome)
	require.NoError(t, a.Echo(t.Context()))
}

func TestFindStoppedEarly(t *testing.T) {
	canceled := make(chan int, 1)
	a := dial(t, serve(t, &dimse.Server{Find: finder(1<<30, dimse.Success, canceled)}))
	n := 0
	for _, err := range a.Find(t.Context(), findClass, query("")) {
		require.NoError(t, err)
		if n++; n == 3 {
			break
		}
	}
	require.GreaterOrEqual(t, <-canceled, 3)
	require.NoError(t, a.Echo(t.Context()), "drained: the association can be used")
}

// getter sends instances of the given sizes.
func getter(sizes []int, result dimse.GetResult) func(context.Context, *dimse.GetOperation) dimse.Status {
	return func(ctx context.Context, op *dimse.GetOperation) dimse.Status {
		for i, n := range sizes {
			rq := dimse.StoreRequest{
				SOPClassUID: ctClass, SOPInstanceUID: fmt.Sprintf("1.2.%d", i), TransferSyntaxUID: explicit,
			}
			if _, err := op.Store(ctx, rq, bytes.NewReader(pattern(n))); err != nil {
				return dimse.ProcessingFailure
			}
			if op.Pending(
				dimse.Counts{Remaining: dimse.Counted(len(sizes) - i - 1), Completed: dimse.Counted(i + 1)},
			) != nil {
				return dimse.ProcessingFailure
			}
		}
		_ = op.Final(result)
		return dimse.Success
	}
}

func TestGet(t *testing.T) {
	sizes := []int{0, 6 << 10, 512 << 10, 5 << 20, 1}
	result := dimse.GetResult{
		Status:                dimse.SubOperationsIncomplete,
		Counts:                dimse.Counts{Completed: dimse.Counted(5), Failed: dimse.Counted(2)},
		FailedSOPInstanceUIDs: []string{"1.2.77", "1.2.78"}, ErrorComment: "two are gone",
	}
	a := dial(t, serve(t, &dimse.Server{Get: getter(sizes, result)}))
	for range 2 {
		var got []string
		r, err := a.Get(
			t.Context(), dimse.GetRequest{SOPClassUID: getClass, Identifier: query("1.2"), Stop: make(chan struct{})},
			func(_ context.Context, in *dimse.Incoming) dimse.Status {
				b, err := io.ReadAll(in.Data)
				require.NoError(t, err)
				got = append(got, in.SOPInstanceUID+" "+sum(b))
				return dimse.Success
			},
		)
		require.NoError(t, err)
		require.Equal(t, result, r)
		var want []string
		for i, n := range sizes {
			want = append(want, fmt.Sprintf("1.2.%d %s", i, sum(even(pattern(n)))))
		}
		require.Equal(t, want, got)
	}
	require.NoError(t, a.Release(t.Context()))
}
