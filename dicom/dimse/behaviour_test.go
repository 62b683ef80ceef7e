// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
)

func ctRequest(n int) dimse.StoreRequest {
	return dimse.StoreRequest{
		SOPClassUID: ctClass, SOPInstanceUID: fmt.Sprintf("1.2.%d", n), TransferSyntaxUID: explicit,
	}
}

func takeIt(_ context.Context, in *dimse.Incoming) dimse.Status {
	if _, err := io.Copy(io.Discard, in.Data); err != nil {
		return dimse.ProcessingFailure
	}
	return dimse.Success
}

// TestGetMisbehaving: what a source does wrong, and what the caller of Get sees of it.
func TestGetMisbehaving(t *testing.T) {
	for name, tc := range map[string]struct {
		get   func(ctx context.Context, op *dimse.GetOperation) dimse.Status
		check func(t *testing.T, r dimse.GetResult, err error)
	}{
		"final without counts": {
			func(context.Context, *dimse.GetOperation) dimse.Status { return dimse.Success },
			func(t *testing.T, r dimse.GetResult, err error) {
				require.NoError(t, err)
				require.Equal(t, dimse.GetResult{}, r)
				require.False(t, r.Completed.Present)
			},
		},
		"0 of 0": {
			func(_ context.Context, op *dimse.GetOperation) dimse.Status {
				_ = op.Final(dimse.GetResult{Counts: dimse.Counts{Completed: dimse.Counted(0)}})
				return dimse.Success
			},
			func(t *testing.T, r dimse.GetResult, err error) {
				require.NoError(t, err)
				require.Equal(t, dimse.Counted(0), r.Completed)
			},
		},
		"busy": {
			func(context.Context, *dimse.GetOperation) dimse.Status { return dimse.OutOfResourcesSubOps },
			func(t *testing.T, r dimse.GetResult, err error) {
				require.NoError(t, err)
				require.Equal(t, dimse.BackOff, r.Status.Meaning(dimse.CGet).Outcome)
			},
		},
		"abort between instances": {
			func(ctx context.Context, op *dimse.GetOperation) dimse.Status {
				_, _ = op.Store(ctx, ctRequest(1), bytes.NewReader(pattern(1000)))
				op.Association.Abort()
				return dimse.Success
			},
			func(t *testing.T, _ dimse.GetResult, err error) { require.ErrorAs(t, err, new(*ul.AbortedError)) },
		},
		"abort in mid-object": {
			func(ctx context.Context, op *dimse.GetOperation) dimse.Status {
				_, err := op.Store(
					ctx, ctRequest(1), io.MultiReader(bytes.NewReader(pattern(1<<20)), failing{errors.New("broken")}),
				)
				if !errors.As(err, new(*ul.SourceError)) {
					return dimse.Success
				}
				return dimse.ProcessingFailure
			},
			func(t *testing.T, _ dimse.GetResult, err error) { require.ErrorAs(t, err, new(*ul.AbortedError)) },
		},
		"drop in mid-object": {
			func(ctx context.Context, op *dimse.GetOperation) dimse.Status {
				_, _ = op.Store(
					ctx, ctRequest(1), io.MultiReader(bytes.NewReader(pattern(1<<20)), action(op.Association.Drop)),
				)
				return dimse.Success
			},
			func(t *testing.T, _ dimse.GetResult, err error) { require.ErrorAs(t, err, new(*ul.LostError)) },
		},
		"wrong transfer syntax": {
			func(ctx context.Context, op *dimse.GetOperation) dimse.Status {
				rq := ctRequest(1)
				rq.TransferSyntaxUID = implicit
				_, err := op.Store(ctx, rq, bytes.NewReader(nil))
				if !errors.As(err, new(*dimse.NoContextError)) {
					return dimse.Success
				}
				return dimse.ProcessingFailure
			},
			func(t *testing.T, r dimse.GetResult, err error) {
				require.NoError(t, err)
				require.Equal(t, dimse.ProcessingFailure, r.Status)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := dial(t, serve(t, &dimse.Server{Get: tc.get}))
			r, err := a.Get(t.Context(), dimse.GetRequest{SOPClassUID: getClass, Identifier: query(study)}, takeIt)
			tc.check(t, r, err)
		})
	}
}

// action is a reader that does something and then goes on without end.
func action(do func()) io.Reader { return &acting{do: sync.OnceFunc(do)} }

type acting struct{ do func() }

func (a *acting) Read(p []byte) (int, error) {
	a.do()
	return len(p), nil
}

// TestGetStop: closing Stop sends C-CANCEL; a server that heeds it answers, one that doesn't is aborted.
func TestGetStop(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		t.Run(fmt.Sprintf("heeds %t", heeds), func(t *testing.T) {
			t.Parallel()
			sent := make(chan struct{}, 1)
			a := dial(t, serve(t, &dimse.Server{Get: func(ctx context.Context, op *dimse.GetOperation) dimse.Status {
				for i := 0; ; i++ {
					if _, err := op.Store(ctx, ctRequest(i), bytes.NewReader(pattern(1000))); err != nil {
						return dimse.ProcessingFailure
					}
					select {
					case sent <- struct{}{}:
					default:
					}
					if !heeds {
						continue
					}
					select {
					case <-op.Canceled():
						_ = op.Final(dimse.GetResult{
							Status: dimse.Canceled, Counts: dimse.Counts{Completed: dimse.Counted(i + 1)},
						})
						return dimse.Canceled
					default:
					}
				}
			}}))
			if !heeds {
				a.SetCancelGrace(200 * time.Millisecond)
			}
			stop := make(chan struct{})
			go func() {
				<-sent
				close(stop)
			}()
			r, err := a.Get(
				t.Context(), dimse.GetRequest{SOPClassUID: getClass, Identifier: query(study), Stop: stop}, takeIt,
			)
			if heeds {
				require.NoError(t, err)
				require.Equal(t, dimse.Canceled, r.Status)
				require.Positive(t, r.Completed.Value)
				require.NoError(t, a.Echo(t.Context()))
				return
			}
			require.ErrorAs(t, err, new(*ul.TimeoutError))
			require.ErrorContains(t, err, "canceled C-GET")
		})
	}
}

// TestCancelStalled: the end of the context ends each operation within a second on a peer that has stalled.
func TestCancelStalled(t *testing.T) {
	cause := errors.New("the user canceled")
	for name, operation := range map[string]func(ctx context.Context, a *dimse.Association, at func()) error{
		"store": func(ctx context.Context, a *dimse.Association, at func()) error {
			_, err := a.Store(ctx, ctRequest(1), io.MultiReader(bytes.NewReader(pattern(1<<20)), action(at)))
			return err
		},
		"find": func(ctx context.Context, a *dimse.Association, at func()) (err error) {
			at()
			for _, err = range a.Find(ctx, findClass, query("")) {
			}
			return err
		},
		"get": func(ctx context.Context, a *dimse.Association, at func()) error {
			_, err := a.Get(
				ctx, dimse.GetRequest{SOPClassUID: getClass, Identifier: query("")},
				func(_ context.Context, in *dimse.Incoming) dimse.Status {
					at()
					return takeIt(ctx, in)
				},
			)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			stall := func(ctx context.Context) dimse.Status { <-ctx.Done(); return dimse.ProcessingFailure }
			a := dial(t, serve(t, &dimse.Server{
				Store: func(_ context.Context, _ *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
					<-ended // reads nothing
					_, err := io.Copy(io.Discard, in.Data)
					if err == nil {
						t.Error("a canceled instance came to its end")
					}
					return dimse.StoreResponse{}
				},
				Find: func(ctx context.Context, _ *dimse.FindOperation) dimse.Status { return stall(ctx) },
				Get: func(ctx context.Context, op *dimse.GetOperation) dimse.Status {
					_, _ = op.Store(ctx, ctRequest(1), io.MultiReader(bytes.NewReader(pattern(1<<20)), blocked(ended)))
					return stall(ctx)
				},
			}))
			ctx, cancel := context.WithCancelCause(t.Context())
			reached := make(chan struct{})
			result := make(chan error, 1)
			go func() { result <- operation(ctx, a, sync.OnceFunc(func() { close(reached) })) }()
			<-reached
			cancel(cause)
			select {
			case err := <-result:
				require.ErrorIs(t, err, cause) // and not that of a peer that does nothing, which comes much later
			case <-time.After(patience):
				t.Error("the operation did not end")
			}
			close(ended)
		})
	}
}

// blocked is a reader that waits for c and then fails.
type blocked chan struct{}

func (b blocked) Read([]byte) (int, error) {
	<-b
	return 0, io.ErrUnexpectedEOF
}

// TestServerLimits: strangers are refused first; where all places are taken by associations that are at work, newcomers
// are refused for a time.
func TestServerLimits(t *testing.T) {
	var opened []int
	held, begun := make(chan struct{}), make(chan struct{}, 2)
	addr := serve(t, &dimse.Server{
		MaxAssociations: 2,
		Accept: func(_ context.Context, rq *dimse.AssociationRequest) error {
			opened = append(opened, rq.Open)
			if rq.CallingAE == "STRANGER" {
				return fmt.Errorf("no: %w", dimse.RejectCallingAE)
			}
			return nil
		},
		Store: func(context.Context, *dimse.ServerAssociation, *dimse.Incoming) dimse.StoreResponse {
			begun <- struct{}{}
			<-held
			return dimse.StoreResponse{}
		},
	})
	stranger := config(addr)
	stranger.CallingAE = "STRANGER"
	var stored sync.WaitGroup
	for n := range 2 {
		_, err := dimse.Dial(t.Context(), stranger)
		require.ErrorContains(t, err, `calling AE title "STRANGER" not recognized`)
		a := dial(t, addr)
		stored.Go(func() {
			rsp, err := a.Store(t.Context(), ctRequest(n), bytes.NewReader(pattern(1000)))
			if err != nil || rsp.Status != dimse.Success {
				t.Errorf("%v, %v", rsp.Status, err)
			}
			if err := a.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
		<-begun
	}
	_, err := dimse.Dial(t.Context(), config(addr))
	var rejected *ul.RejectedError
	require.ErrorAs(t, err, &rejected)
	require.True(t, rejected.Transient())
	require.ErrorContains(t, err, "local limit exceeded")
	close(held)
	stored.Wait()
	c := dial(t, addr)
	require.NoError(t, c.Release(t.Context()))
	require.Equal(t, []int{0, 0, 1, 1, 2, 0}, opened)
}

// TestServerEnds: Serve lets an association end within its grace, and aborts it after.
func TestServerEnds(t *testing.T) {
	for _, grace := range []time.Duration{0, patience} {
		t.Run(grace.String(), func(t *testing.T) {
			s := &dimse.Server{Choose: takeAll, Grace: grace}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(ctx, l) }()
			a := dial(t, l.Addr().String())
			require.NoError(t, a.Echo(t.Context()))
			cancel()
			if grace == 0 {
				require.NoError(t, <-ended)
				require.Error(t, a.Echo(t.Context()))
				return
			}
			require.NoError(t, a.Echo(t.Context()), "open associations go on")
			require.NoError(t, a.Release(t.Context()))
			require.NoError(t, <-ended)
		})
	}
}

// TestUnknownRequests: a service without a handler is refused, the association lives.
func TestUnknownRequests(t *testing.T) {
	a := dial(t, serve(t, &dimse.Server{}))
	rsp, err := a.Store(t.Context(), ctRequest(1), bytes.NewReader(pattern(100000)))
	require.NoError(t, err)
	require.Equal(t, dimse.UnrecognizedOperation, rsp.Status)
	for _, err := range a.Find(t.Context(), findClass, query("")) {
		require.ErrorContains(t, err, "0211H: unrecognized operation")
	}
	require.NoError(t, a.Echo(t.Context()))
}

// TestContexts: what the peer accepted can be seen, context by context.
func TestContexts(t *testing.T) {
	addr := serve(t,
		&dimse.Server{Choose: func(_ *dimse.AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
			if c.TransferSyntaxes[0] == jpeg2000 {
				return "", ul.ContextTransferSyntaxesRefused
			}
			return c.TransferSyntaxes[0], ul.ContextAccepted
		}},
	)
	a := dial(t, addr)
	require.Equal(t, []dimse.AcceptedContext{
		{ID: 7, AbstractSyntax: ctClass, TransferSyntax: explicit, SCU: true},
		{ID: 11, AbstractSyntax: ctClass, TransferSyntax: explicit, SCP: true},
	}, a.Accepted(ctClass))
	require.Len(t, a.Contexts(), len(contexts())-1)
	_, err := dimse.Dial(t.Context(), dimse.Config{Addr: addr})
	require.ErrorContains(t, err, "1 to 128 presentation contexts, not 0")
}

// raw is a peer that accepts every context without answering role selections, and then runs a script.
func raw(t *testing.T, script func(a *ul.Association, s *scripted)) string {
	t.Helper()
	return rawWith(t, ul.UserInfo{}, script)
}

// rawWith is raw with what its A-ASSOCIATE-AC says about the user.
func rawWith(t *testing.T, user ul.UserInfo, script func(a *ul.Association, s *scripted)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		a, err := ul.Accept(
			context.Background(), c, ul.Options{IdleTimeout: patience},
			func(rq *ul.AssociateRQ) ul.PDU {
				ac := &ul.AssociateAC{User: user}
				for _, c := range rq.Contexts {
					ac.Contexts = append(ac.Contexts, ul.ContextAC{ID: c.ID, TransferSyntax: c.TransferSyntaxes[0]})
				}
				return ac
			},
		)
		if err != nil {
			return
		}
		defer a.Drop()
		script(a, &scripted{a: a})
		for err == nil { // until the other side has ended it
			_, err = a.NextPDV()
		}
		if errors.Is(err, ul.ErrReleaseRequested) {
			_ = a.ConfirmRelease()
		}
	}()
	return l.Addr().String()
}

type scripted struct {
	a    *ul.Association
	data []byte // the data set of the last request
}

// request reads a command and its data set.
func (s *scripted) request() *dimse.Command {
	var b []byte
	s.data = nil
	for {
		f, err := s.a.NextPDV()
		if err != nil {
			return &dimse.Command{}
		}
		p, _ := io.ReadAll(s.a)
		if f.Command {
			b = append(b, p...)
		} else {
			s.data = append(s.data, p...)
		}
		c, err := dimse.DecodeCommand(b)
		if f.Last && err == nil && (!c.DataSet || !f.Command) {
			return c
		}
	}
}

func (s *scripted) send(context byte, c dimse.Command, data []byte) {
	c.DataSet = data != nil
	var r io.Reader
	if data != nil {
		r = bytes.NewReader(data)
	}
	_ = s.a.SendMessage(context, c.Append(nil), r)
}

// TestMissingRoleReply: sub-operations are taken though the peer left the role selection unanswered.
func TestMissingRoleReply(t *testing.T) {
	a := dial(t, raw(t, func(_ *ul.Association, s *scripted) {
		rq := s.request()
		s.send(11, dimse.Command{
			Field: dimse.CStoreRQ, MessageID: 1, AffectedSOPClassUID: ctClass, AffectedSOPInstanceUID: "1.2.3",
		}, []byte("12345678"))
		rsp := s.request()
		s.send(5, dimse.Command{Field: dimse.CGetRSP, MessageIDRespondedTo: rq.MessageID, Status: rsp.Status}, nil)
	}))
	r, err := a.Get(
		t.Context(), dimse.GetRequest{SOPClassUID: getClass, Identifier: query(study)},
		func(_ context.Context, in *dimse.Incoming) dimse.Status {
			b, err := io.ReadAll(in.Data)
			require.NoError(t, err)
			require.Equal(t, "12345678", string(b))
			return dimse.ElementsDiscarded
		},
	)
	require.NoError(t, err)
	require.Equal(t, dimse.ElementsDiscarded, r.Status, "the peer repeats what it was answered")
	require.NoError(t, a.Release(t.Context()))
}

// TestBrokenMessages: messages that make no sense end the association with the reason.
func TestBrokenMessages(t *testing.T) {
	big := &dimse.Command{Field: dimse.CEchoRSP, ErrorComment: string(make([]byte, 20000))}
	echo := dimse.Command{Field: dimse.CEchoRSP, MessageIDRespondedTo: 1}
	for name, tc := range map[string]struct {
		send func(s *scripted)
		text string
	}{
		"another message":     {func(s *scripted) { c := echo; c.MessageIDRespondedTo = 7; s.send(1, c, nil) }, "C-ECHO-RSP for message 7 where C-ECHO-RSP for message 1 was due"},
		"another service":     {func(s *scripted) { s.send(1, dimse.Command{Field: dimse.CFindRSP, MessageIDRespondedTo: 1}, nil) }, "C-FIND-RSP for message 1 where"},
		"unknown context":     {func(s *scripted) { s.send(99, echo, nil) }, "presentation context 99"},
		"garbage":             {func(s *scripted) { _ = s.a.SendMessage(1, []byte("no command set at all"), nil) }, "command set"},
		"a long command":      {func(s *scripted) { _ = s.a.SendMessage(1, big.Append(nil), nil) }, "more than 16384 bytes"},
		"release, not answer": {func(s *scripted) { _ = s.a.Release(context.Background()) }, "released the association before it answered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := dial(t, raw(t, func(_ *ul.Association, s *scripted) {
				s.request()
				tc.send(s)
			}))
			err := a.Echo(t.Context())
			require.ErrorContains(t, err, tc.text)
			require.Error(t, a.Err())
		})
	}
}

// TestRequestWhileBusy: a second request inside an operation, which nobody negotiated, ends the association.
func TestRequestWhileBusy(t *testing.T) {
	ended := make(chan error, 1)
	addr := serve(t, &dimse.Server{
		Find:  func(ctx context.Context, _ *dimse.FindOperation) dimse.Status { <-ctx.Done(); return dimse.Canceled },
		Ended: func(_ *dimse.ServerAssociation, err error) { ended <- err },
	})
	a, err := ul.Dial(t.Context(), addr, &ul.AssociateRQ{CalledAE: "A", CallingAE: "B", Contexts: []ul.ContextRQ{
		{ID: 1, AbstractSyntax: findClass, TransferSyntaxes: []string{explicit}},
		{ID: 3, AbstractSyntax: dict.Verification, TransferSyntaxes: []string{explicit}},
	}}, ul.Options{})
	require.NoError(t, err)
	defer a.Drop()
	s := &scripted{a: a}
	identifier, err := query("").Encode(explicit)
	require.NoError(t, err)
	s.send(1, dimse.Command{Field: dimse.CFindRQ, MessageID: 1, AffectedSOPClassUID: findClass}, identifier)
	s.send(3, dimse.Command{Field: dimse.CEchoRQ, MessageID: 2, AffectedSOPClassUID: dict.Verification}, nil)
	require.Equal(t, dimse.CEchoRSP, s.request().Field, "an echo is answered meanwhile")
	s.send(1, dimse.Command{Field: dimse.CFindRQ, MessageID: 3, AffectedSOPClassUID: findClass}, identifier)
	require.ErrorContains(t, <-ended, "during another operation")
}

// TestIdleWhileHandlerWorks: a peer that waits for a slow handler is not idle; one that asks nothing is.
func TestIdleWhileHandlerWorks(t *testing.T) {
	const idle = 100 * time.Millisecond
	ended := make(chan error, 1)
	addr := serve(t, &dimse.Server{
		IdleTimeout: idle,
		Find: func(context.Context, *dimse.FindOperation) dimse.Status {
			<-time.After(3 * idle) // the time is what is tested
			return dimse.Success
		},
		Ended: func(_ *dimse.ServerAssociation, err error) { ended <- err },
	})
	a := dial(t, addr)
	for _, err := range a.Find(t.Context(), findClass, query("")) {
		require.NoError(t, err)
	}
	require.ErrorAs(t, <-ended, new(*ul.TimeoutError))
}

// TestManyAssociations: several associations at once, under the race detector.
func TestManyAssociations(t *testing.T) {
	var got store
	addr := serve(t, &dimse.Server{Store: got.handle, Find: finder(3, dimse.Success, nil), Get: getter(
		[]int{100, 100000}, dimse.GetResult{},
	)})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			a, err := dimse.Dial(t.Context(), config(addr))
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 5 {
				if _, err := a.Store(t.Context(), ctRequest(i), bytes.NewReader(pattern(100000))); err != nil {
					t.Error(err)
				}
				if _, err := a.Get(
					t.Context(), dimse.GetRequest{SOPClassUID: getClass, Identifier: query("")}, takeIt,
				); err != nil {
					t.Error(err)
				}
			}
			if err := a.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_, sums := got.all()
	require.Len(t, sums, 40)
}
