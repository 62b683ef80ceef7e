// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
)

const ctContext = 7 // of the CT images in contexts()

func stored(rq *dimse.Command, status dimse.Status) dimse.Command {
	return dimse.Command{Field: dimse.CStoreRSP, MessageIDRespondedTo: rq.MessageID, Status: status}
}

// TestWindow: a peer that has granted three operations answers them in the wrong order; each call of Store gets the
// answer that is its own, and a fourth waits for room.
func TestWindow(t *testing.T) {
	const rounds = 8
	addr := rawWith(
		t, ul.UserInfo{AsyncOperations: &ul.AsyncOperations{Invoked: 3, Performed: 1}},
		func(_ *ul.Association, s *scripted) {
			for range rounds {
				var requests [3]*dimse.Command
				for i := range requests {
					requests[i] = s.request()
				}
				for _, i := range []int{2, 0, 1} {
					var n int
					_, _ = fmt.Sscanf(requests[i].AffectedSOPInstanceUID, "1.2.%d", &n)
					s.send(ctContext, stored(requests[i], dimse.Status(0xC000+n)), nil)
				}
			}
		},
	)
	cfg := config(addr)
	cfg.AsyncOperations = 8
	a, err := dimse.Dial(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	require.Equal(t, 3, a.Window(), "no more than the peer granted")
	var all sync.WaitGroup
	for n := range 3 * rounds {
		all.Go(func() {
			rsp, err := a.Store(t.Context(), ctRequest(n), bytes.NewReader(pattern(100_000)))
			if err != nil || rsp.Status != dimse.Status(0xC000+n) {
				t.Errorf("instance %d: %v, %v", n, rsp.Status, err)
			}
		})
	}
	all.Wait()
	require.NoError(t, a.Release(t.Context()))
}

// TestWindowEnds: when the association ends, nobody goes on waiting.
func TestWindowEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(s *scripted)
		want any
	}{
		"abort":          {func(s *scripted) { s.a.Abort() }, new(*ul.AbortedError)},
		"unknown answer": {func(s *scripted) { s.send(ctContext, stored(&dimse.Command{MessageID: 999}, 0), nil) }, new(*ul.ProtocolError)},
	} {
		t.Run(name, func(t *testing.T) {
			addr := rawWith(
				t, ul.UserInfo{AsyncOperations: &ul.AsyncOperations{}},
				func(_ *ul.Association, s *scripted) {
					for range 4 {
						s.request()
					}
					tc.end(s)
				},
			)
			cfg := config(addr)
			cfg.AsyncOperations = 4
			a, err := dimse.Dial(t.Context(), cfg)
			require.NoError(t, err)
			require.Equal(t, 4, a.Window(), "0 grants any number")
			errs := make(chan error)
			for n := range 6 {
				go func() {
					_, err := a.Store(t.Context(), ctRequest(n), bytes.NewReader(pattern(1000)))
					errs <- err
				}()
			}
			for range 6 {
				require.ErrorAs(t, <-errs, tc.want)
			}
		})
	}
}

// TestWindowNotGranted: our own server, like most, says nothing, and nothing changes.
func TestWindowNotGranted(t *testing.T) {
	var got store
	var proposed *ul.AsyncOperations
	addr := serve(t,
		&dimse.Server{Store: got.handle, Accept: func(_ context.Context, rq *dimse.AssociationRequest) error {
			proposed = rq.RQ.User.AsyncOperations
			return nil
		}},
	)
	cfg := config(addr)
	cfg.AsyncOperations = 8
	a, err := dimse.Dial(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, &ul.AsyncOperations{Invoked: 8, Performed: 1}, proposed)
	require.Equal(t, 1, a.Window())
	rsp, err := a.Store(t.Context(), ctRequest(1), bytes.NewReader(pattern(1000)))
	require.NoError(t, err)
	require.Equal(t, dimse.Success, rsp.Status)
	require.NoError(t, a.Release(t.Context()))
	dial(t, addr)
	require.Nil(t, proposed, "never proposed by itself")
}

func TestExtendedNegotiation(t *testing.T) {
	addr := serve(t, &dimse.Server{Extend: func(_ *dimse.AssociationRequest, x ul.ExtendedNegotiation) []byte {
		if x.SOPClassUID != findClass {
			return nil
		}
		o := dimse.ParseQueryOptions(x.Info)
		o.Relational = false
		return o.Encode()
	}})
	cfg := config(addr)
	cfg.Contexts = []dimse.Context{
		{AbstractSyntax: findClass, TransferSyntaxes: []string{explicit}, Extended: dimse.QueryOptions{Relational: true, FuzzyNames: true}.Encode()},
		{AbstractSyntax: getClass, TransferSyntaxes: []string{explicit}, Extended: []byte{1}},
	}
	a, err := dimse.Dial(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, dimse.QueryOptions{FuzzyNames: true}, dimse.ParseQueryOptions(a.Extended(findClass)))
	require.Nil(t, a.Extended(getClass))
	require.Equal(
		t, dimse.QueryOptions{Relational: true}, dimse.ParseQueryOptions([]byte{1}), "short answers are allowed",
	)
	require.NoError(t, a.Release(t.Context()))
}

func TestUserIdentity(t *testing.T) {
	for kind := ul.IdentityUsername; kind <= ul.IdentityJWT; kind++ {
		t.Run(fmt.Sprintf("type %d", kind), func(t *testing.T) {
			want := ul.UserIdentityRQ{Type: kind, PositiveResponse: true, Primary: []byte("who")}
			if kind == ul.IdentityPasscode {
				want.Secondary = []byte("hush")
			}
			addr := serve(t, &dimse.Server{Accept: func(_ context.Context, rq *dimse.AssociationRequest) error {
				got := rq.RQ.User.UserIdentityRQ
				if got == nil || got.Type != kind || string(got.Secondary) == "wrong" {
					return errors.New("who is that?")
				}
				rq.IdentityResponse = &ul.UserIdentityAC{Response: got.Primary}
				return nil
			}})
			cfg := config(addr)
			cfg.UserIdentity = &want
			a, err := dimse.Dial(t.Context(), cfg)
			require.NoError(t, err)
			require.Equal(t, &ul.UserIdentityAC{Response: []byte("who")}, a.IdentityResponse())
			require.NoError(t, a.Release(t.Context()))

			quiet := want
			quiet.PositiveResponse = false
			cfg.UserIdentity = &quiet
			a, err = dimse.Dial(t.Context(), cfg)
			require.NoError(t, err)
			require.Nil(t, a.IdentityResponse(), "nobody asked")
			require.NoError(t, a.Release(t.Context()))

			wrong := want
			wrong.Secondary = []byte("wrong")
			cfg.UserIdentity = &wrong
			_, err = dimse.Dial(t.Context(), cfg)
			require.ErrorAs(t, err, new(*ul.RejectedError))
			require.NotContains(t, fmt.Sprint(wrong, &wrong), "w")
		})
	}
}

// TestRefusalLogged: the log says why an association was refused, in the words of who refused it.
func TestRefusalLogged(t *testing.T) {
	var log bytes.Buffer
	s := &dimse.Server{
		Log:    slog.New(slog.NewTextHandler(&log, nil)),
		Accept: func(context.Context, *dimse.AssociationRequest) error { return errors.New("that ward is closed") },
	}
	t.Run("refused", func(t *testing.T) {
		_, err := dimse.Dial(t.Context(), config(serve(t, s)))
		require.ErrorAs(t, err, new(*ul.RejectedError))
	}) // the server has ended
	require.Contains(t, log.String(), `calling=ADIT called=PACS reason="that ward is closed"`)
	require.NotContains(t, log.String(), ul.ErrEnded.Error())
	require.EqualError(t, dimse.RejectCallingAE, "rejected: calling AE title not recognized")
	require.EqualError(t, &dimse.Reject{Result: 1, Source: 2, Reason: 2}, "rejected (result 1, source 2, reason 2)")
}

// TestStale: an association that the peer has ended between two operations is told apart from one that it ends in one.
func TestStale(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(a *dimse.ServerAssociation)
		want func(t *testing.T, err error)
	}{
		"abort":  {(*dimse.ServerAssociation).Abort, func(t *testing.T, err error) { require.ErrorAs(t, err, new(*ul.AbortedError)) }},
		"closed": {(*dimse.ServerAssociation).Drop, func(t *testing.T, err error) { require.ErrorAs(t, err, new(*ul.LostError)) }},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			associations := make(chan *dimse.ServerAssociation, 1)
			addr := serve(t, &dimse.Server{
				Echo: func(_ context.Context, a *dimse.ServerAssociation) dimse.Status {
					associations <- a
					return dimse.Success
				},
				Ended: func(*dimse.ServerAssociation, error) { close(ended) },
			})
			a := dial(t, addr)
			a.SetCheckAfter(0)
			require.NoError(t, a.Echo(t.Context()), "nothing has come: it is alive")
			tc.end(<-associations)
			<-ended
			err := a.Echo(t.Context())
			require.ErrorAs(t, err, new(*dimse.StaleError))
			tc.want(t, err)
			tc.want(t, a.Err())
		})
	}
	t.Run("release", func(t *testing.T) {
		asked, done := make(chan struct{}), make(chan error, 1)
		addr := raw(t, func(_ *ul.Association, s *scripted) {
			rq := s.request()
			s.send(1, dimse.Command{Field: dimse.CEchoRSP, MessageIDRespondedTo: rq.MessageID}, nil)
			<-asked
			done <- s.a.Release(context.Background())
		})
		a := dial(t, addr)
		require.NoError(t, a.Echo(t.Context()))
		a.SetCheckAfter(0)
		close(asked)
		err := a.AwaitCommitment(t.Context(), nil)
		require.ErrorIs(t, err, dimse.ErrReleased)
		require.NoError(t, <-done)
	})
}

// commitment is what a peer sends as its report.
func commitment(t testing.TB, transaction string, failed ...string) []byte {
	t.Helper()
	item := func(uid string) *stream.DataSet {
		d := &stream.DataSet{}
		d.Set(dict.ReferencedSOPClassUID, ctClass)
		d.Set(dict.ReferencedSOPInstanceUID, uid)
		return d
	}
	d := &stream.DataSet{}
	d.Set(dict.TransactionUID, transaction)
	d.SetSequence(dict.ReferencedSOPSequence, item("1.2.1"))
	var items []*stream.DataSet
	for _, uid := range failed {
		i := item(uid)
		i.SetInt(dict.FailureReason, 0x0112)
		items = append(items, i)
	}
	if items != nil {
		d.SetSequence(dict.FailedSOPSequence, items...)
	}
	b, err := d.Encode(explicit)
	require.NoError(t, err)
	return b
}

func commitmentContexts() []dimse.Context {
	return []dimse.Context{{AbstractSyntax: dict.StorageCommitmentPushModel, TransferSyntaxes: []string{explicit}}}
}

// TestCommitment: the report comes before the response, after it, or not on this association.
func TestCommitment(t *testing.T) {
	event := func(kind uint16) dimse.Command {
		return dimse.Command{
			Field: dimse.NEventReportRQ, MessageID: 77, EventTypeID: kind,
			AffectedSOPClassUID:    dict.StorageCommitmentPushModel,
			AffectedSOPInstanceUID: dict.StorageCommitmentPushModelInstance,
		}
	}
	failures, complete := commitment(t, "1.2.99", "1.2.2"), commitment(t, "1.2.98")
	answers := make(chan *dimse.Command, 5)
	addr := raw(t, func(_ *ul.Association, s *scripted) {
		rq := s.request()
		answers <- rq
		d, err := stream.ParseDataSet(s.data, explicit, stream.Limits{})
		if err != nil || d.String(dict.TransactionUID) != "1.2.99" || len(d.Items(dict.ReferencedSOPSequence)) != 2 {
			t.Errorf("the request: %v %v", d, err)
		}
		s.send(1, event(2), failures)
		answers <- s.request()
		s.send(1, dimse.Command{Field: dimse.NActionRSP, MessageIDRespondedTo: rq.MessageID}, nil)
		for _, kind := range []uint16{1, 3} {
			s.send(1, event(kind), complete)
			answers <- s.request()
		}
		rq = s.request()
		s.send(1, dimse.Command{Field: dimse.NActionRSP, MessageIDRespondedTo: rq.MessageID, Status: 0x0131}, nil)
		_ = s.a.Release(context.Background())
	})
	cfg := config(addr)
	cfg.Contexts = commitmentContexts()
	a, err := dimse.Dial(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	var reports []*dimse.CommitmentReport
	take := func(_ context.Context, r *dimse.CommitmentReport) dimse.Status {
		reports = append(reports, r)
		return dimse.Success
	}
	rq := dimse.CommitmentRequest{
		TransactionUID: "1.2.99", Instances: []dimse.SOPReference{{ctClass, "1.2.1"}, {ctClass, "1.2.2"}},
	}
	require.NoError(t, a.RequestCommitment(t.Context(), rq, take))
	request := <-answers
	require.Equal(t, dict.StorageCommitmentPushModel, request.RequestedSOPClassUID)
	require.Equal(t, dict.StorageCommitmentPushModelInstance, request.RequestedSOPInstanceUID)
	require.EqualValues(t, 1, request.ActionTypeID)
	require.Equal(t, []*dimse.CommitmentReport{{
		TransactionUID: "1.2.99", Committed: []dimse.SOPReference{{ctClass, "1.2.1"}},
		Failed: []dimse.FailedReference{{dimse.SOPReference{SOPClassUID: ctClass, SOPInstanceUID: "1.2.2"}, 0x0112}},
	}}, reports)
	require.Equal(t, "no such SOP instance", reports[0].Failed[0].Reason.Meaning(dimse.NAction).Text)
	answer := <-answers
	require.Equal(t, dimse.NEventReportRSP, answer.Field)
	require.EqualValues(t, 77, answer.MessageIDRespondedTo)
	require.Equal(t, dimse.Success, answer.Status)

	require.NoError(t, a.AwaitCommitment(t.Context(), take))
	require.Len(t, reports, 2)
	require.Equal(t, dimse.Success, (<-answers).Status)
	require.NoError(t, a.AwaitCommitment(t.Context(), take))
	require.Len(t, reports, 2, "an event of a type that isn't defined")
	require.Equal(t, dimse.NoSuchEventType, (<-answers).Status)

	var status *dimse.StatusError
	require.ErrorAs(t, a.RequestCommitment(t.Context(), rq, take), &status)
	require.ErrorContains(t, status, "N-ACTION was answered with status 0131H: the transaction UID is already in use")
	require.ErrorIs(t, a.AwaitCommitment(t.Context(), take), dimse.ErrReleased)
}

// TestReportOfNoUIDs: a report whose transaction or instances are named by no UIDs is refused for good, and nobody sees
// it.
func TestReportOfNoUIDs(t *testing.T) {
	reports := [][]byte{
		commitment(t, "1.2\x00.99"), commitment(t, "1.2.99\xff"), commitment(t, "transaction"), commitment(t, ""),
		commitment(t, "1.2.99", "1.2\x00.2"), commitment(t, "1.2.99", "1.2.2", "\xe4"), commitment(t, "1.2.99", ""),
		bytes.Replace(commitment(t, "1.2.99"), []byte("1.2.1\x00"), []byte("1.\x002.1"), 1),
	}
	answers := make(chan dimse.Status, len(reports))
	addr := raw(t, func(_ *ul.Association, s *scripted) {
		for _, report := range reports {
			s.send(1, dimse.Command{
				Field: dimse.NEventReportRQ, MessageID: 77, EventTypeID: 2,
				AffectedSOPClassUID:    dict.StorageCommitmentPushModel,
				AffectedSOPInstanceUID: dict.StorageCommitmentPushModelInstance,
			}, report)
			answers <- s.request().Status
		}
	})
	cfg := config(addr)
	cfg.Contexts = commitmentContexts()
	a, err := dimse.Dial(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	for i, report := range reports {
		require.NoError(t, a.AwaitCommitment(t.Context(), func(context.Context, *dimse.CommitmentReport) dimse.Status {
			t.Errorf("report %d was taken: %q", i, report)
			return dimse.Success
		}))
		require.Equal(t, dimse.InvalidArgument, <-answers, "report %d: %q", i, report)
	}
}

// TestDeflatedIsEven: a deflated data set of odd length arrives with the NULL byte that the standard wants behind it.
func TestDeflatedIsEven(t *testing.T) {
	var got store
	cfg := config(serve(t, &dimse.Server{Store: got.handle}))
	cfg.Contexts = []dimse.Context{
		{AbstractSyntax: ctClass, TransferSyntaxes: []string{dict.DeflatedExplicitVRLittleEndian}},
	}
	a, err := dimse.Dial(t.Context(), cfg)
	require.NoError(t, err)
	var want []string
	for _, n := range []int{0, 1, 2, 255, 256 << 10, 256<<10 + 1} {
		b := pattern(n)
		for _, r := range []io.Reader{
			bytes.NewReader(b), iotest.DataErrReader(bytes.NewReader(b)), iotest.OneByteReader(bytes.NewReader(b)),
		} {
			_, err := a.Store(t.Context(), dimse.StoreRequest{SOPClassUID: ctClass, SOPInstanceUID: "1.2"}, r)
			require.NoError(t, err)
			want = append(want, sum(even(b)))
		}
	}
	require.NoError(t, a.Release(t.Context()))
	_, sums := got.all()
	require.Equal(t, want, sums)
}
