// SPDX-License-Identifier: AGPL-3.0-or-later

package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPlain: a source as it should be keeps all promises, though nothing of DIMSE is in it.
func TestPlain(t *testing.T) {
	Run(t, newPlain(func(p *plain) source.Source { return p }))
}

// TestUntried: a promise that the peer does not lend itself to is not tried, and not taken for kept.
func TestUntried(t *testing.T) {
	for _, p := range promises {
		if p.needs == nil {
			continue
		}
		bare := Subject{Source: newPlain(func(p *plain) source.Source { return p })(t, studies()...).Source}
		require.ErrorIs(t, p.check(t.Context(), bare, patience), errNotTried, p.name)
	}
}

// TestBroken: each source that is broken breaks the promise that it is known to break, and each promise is broken by
// one.
func TestBroken(t *testing.T) {
	caught := map[string]bool{}
	for name, b := range broken {
		caught[b.breaks] = true
		t.Run(name, func(t *testing.T) {
			within := patience
			if b.never {
				within = time.Second // however long it takes: it does not end
			}
			failed := Broken(t, newPlain(newWrong(b.change)), within, b.breaks)
			require.Contains(t, failed, b.breaks, "the suite does not notice")
			t.Log(failed[b.breaks])
		})
	}
	require.ElementsMatch(t, Promises(), slices.Collect(maps.Keys(caught)), "no source is known to break a promise")
}

// TestUnbroken: a source that nothing is wrong with breaks no promise.
func TestUnbroken(t *testing.T) {
	require.Empty(t, Broken(t, newPlain(newWrong(func(*wrong) {})), patience))
}

// wrongness is what is wrong with a source.
type wrongness struct {
	breaks string // the promise that it breaks
	never  bool   // by never ending
	change func(w *wrong)
}

// taking makes a source wrong whose instances come otherwise than they should: n counts them within a retrieve.
func taking(
	change func(n int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status,
) func(w *wrong) {
	return func(w *wrong) {
		w.get = func(
			ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
		) (dimse.GetResult, error) {
			n := 0
			return w.plain.Get(ctx, rq, stop, func(ctx context.Context, in *dimse.Incoming) dimse.Status {
				n++
				return change(n, in, func(in *dimse.Incoming) dimse.Status { return take(ctx, in) })
			})
		}
	}
}

// answering makes a source wrong that answers otherwise than it should.
func answering(change func(r dimse.GetResult, err error) (dimse.GetResult, error)) func(w *wrong) {
	return func(w *wrong) {
		w.get = func(
			ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
		) (dimse.GetResult, error) {
			return change(w.plain.Get(ctx, rq, stop, take))
		}
	}
}

// asked is what a source is asked for.
type asked struct {
	ctx  context.Context
	rq   source.Request
	stop <-chan struct{}
}

// asking makes a source wrong that asks for something else than it should.
func asking(change func(a *asked)) func(w *wrong) {
	return func(w *wrong) {
		w.get = func(
			ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
		) (dimse.GetResult, error) {
			a := &asked{ctx, rq, stop}
			change(a)
			return w.plain.Get(a.ctx, a.rq, a.stop, take)
		}
	}
}

// listing makes a source wrong that lists series otherwise than it should.
func listing(change func(inv *source.Inventory, err error) error) func(w *wrong) {
	return func(w *wrong) {
		w.listSeries = func(ctx context.Context, inv *source.Inventory) error {
			return change(inv, w.plain.ListSeries(ctx, inv))
		}
	}
}

// naming makes a source wrong that lists instances otherwise than it should.
func naming(change func(s *source.SeriesInventory, err error) error) func(w *wrong) {
	return func(w *wrong) {
		w.listInstances = func(
			ctx context.Context, inv *source.Inventory, s *source.SeriesInventory, keys []dict.Tag,
		) ([]string, error) {
			strangers, err := w.plain.ListInstances(ctx, inv, s, keys)
			return strangers, change(s, err)
		}
	}
}

// finding makes a source wrong that finds a study otherwise than it should.
func finding(
	change func(w *wrong, study, patientID string, answer *stream.DataSet, err error) (*stream.DataSet, error),
) func(w *wrong) {
	return func(w *wrong) {
		w.oneStudy = func(ctx context.Context, study, patientID string) (*stream.DataSet, error) {
			answer, err := w.plain.OneStudy(ctx, study, patientID)
			return change(w, study, patientID, answer, err)
		}
	}
}

// other returns an instance with other data.
func other(in *dimse.Incoming, data []byte) *dimse.Incoming {
	o := *in
	o.Data = bytes.NewReader(data)
	return &o
}

// read reads the data of an instance that is whole.
func read(in *dimse.Incoming) []byte {
	data, err := io.ReadAll(in.Data)
	if err != nil {
		panic(err) // of a peer that breaks off
	}
	return data
}

// broken are sources that are known to be broken.
var broken = map[string]wrongness{
	"finds a study under another patient": {breaks: "the study", change: finding(
		func(w *wrong, study, _ string, answer *stream.DataSet, err error) (*stream.DataSet, error) {
			if st := w.study(study); errors.Is(err, source.ErrNoStudy) && st.StudyInstanceUID != "" {
				return answerOf(st), nil
			}
			return answer, err
		},
	)},
	"finds another study of the patient": {breaks: "the study", change: finding(
		func(_ *wrong, _, patientID string, answer *stream.DataSet, err error) (*stream.DataSet, error) {
			if err == nil && patientID == patientOf(mainStudy()) {
				return answerOf(mainStudy()), nil
			}
			return answer, err
		},
	)},
	"says otherwise that there is no study": {breaks: "the study", change: finding(
		func(_ *wrong, _, _ string, answer *stream.DataSet, err error) (*stream.DataSet, error) {
			if errors.Is(err, source.ErrNoStudy) {
				err = errors.New("none")
			}
			return answer, err
		},
	)},
	"counts a study wrongly": {breaks: "the study", change: finding(
		func(_ *wrong, _, _ string, answer *stream.DataSet, err error) (*stream.DataSet, error) {
			if err == nil {
				answer.Set(dict.NumberOfStudyRelatedInstances, "1")
			}
			return answer, err
		},
	)},

	"loses the last series": {breaks: "the series", change: listing(func(inv *source.Inventory, err error) error {
		inv.Series = inv.Series[:max(0, len(inv.Series)-1)]
		return err
	})},
	"lists a series twice": {breaks: "the series", change: listing(func(inv *source.Inventory, err error) error {
		if err == nil {
			inv.Series = append(inv.Series, inv.Series[0])
		}
		return err
	})},
	"lists series in any order": {breaks: "the series", change: listing(func(inv *source.Inventory, err error) error {
		slices.Reverse(inv.Series)
		return err
	})},
	"counts one too many": {breaks: "the series", change: listing(func(inv *source.Inventory, err error) error {
		if err == nil {
			inv.Series[0].Counted++
		}
		return err
	})},
	"lists what it listed before": {breaks: "the series", change: func(w *wrong) {
		w.listSeries = func(ctx context.Context, inv *source.Inventory) error {
			before := inv.Series
			err := w.plain.ListSeries(ctx, inv)
			inv.Series = append(before, inv.Series...)
			return err
		}
	}},
	"lists what the job leaves out": {breaks: "the series", change: func(w *wrong) {
		w.listSeries = func(ctx context.Context, inv *source.Inventory) error {
			inv.Omits = nil
			return w.plain.ListSeries(ctx, inv)
		}
	}},

	"lists series that were not chosen": {breaks: "chosen series", change: func(w *wrong) {
		w.listSeries = func(ctx context.Context, inv *source.Inventory) error {
			chosen := inv.Chosen
			defer func() { inv.Chosen = chosen }()
			inv.Chosen = nil
			return w.plain.ListSeries(ctx, inv)
		}
	}},
	"makes nothing of a series that is not there": {breaks: "chosen series", change: listing(
		func(*source.Inventory, error) error { return nil },
	)},

	"loses the last of a list": {breaks: "the instances", change: naming(
		func(s *source.SeriesInventory, err error) error {
			maps.DeleteFunc(s.Instances, func(uid string, _ source.Instance) bool {
				return uid == slices.Max(slices.Collect(maps.Keys(s.Instances)))
			})
			return err
		},
	)},
	"names one that is not there": {breaks: "the instances", change: naming(
		func(s *source.SeriesInventory, err error) error {
			if err == nil && s.Listed {
				s.Instances[absent] = source.Instance{}
			}
			return err
		},
	)},
	"names another SOP class": {breaks: "the instances", change: naming(
		func(s *source.SeriesInventory, err error) error {
			for uid := range s.Instances {
				s.Instances[uid] = source.Instance{Class: dict.NuclearMedicineImageStorage}
			}
			return err
		},
	)},
	"names another transfer syntax": {breaks: "the instances", change: naming(
		func(s *source.SeriesInventory, err error) error {
			for uid, i := range s.Instances {
				s.Instances[uid] = source.Instance{Class: i.Class, Syntaxes: []string{dict.JPEG2000}}
			}
			return err
		},
	)},
	"names the instances of any series": {breaks: "the instances", change: func(w *wrong) {
		w.listInstances = func(
			ctx context.Context, inv *source.Inventory, s *source.SeriesInventory, keys []dict.Tag,
		) ([]string, error) {
			strangers, err := w.plain.ListInstances(ctx, inv, s, keys)
			for _, in := range w.instances(inv.Study, "", nil) {
				s.Instances[in.SOPInstanceUID] = source.Instance{}
			}
			return strangers, err
		}
	}},

	"takes a list that broke off for whole": {breaks: "a list that breaks off", change: listing(
		func(inv *source.Inventory, err error) error {
			if errors.Is(err, errLost) {
				return nil
			}
			return err
		},
	)},
	"takes instances that broke off for all": {breaks: "a list that breaks off", change: naming(
		func(s *source.SeriesInventory, err error) error {
			if errors.Is(err, errLost) {
				return nil
			}
			return err
		},
	)},
	"takes silence for no study": {breaks: "a list that breaks off", change: finding(
		func(_ *wrong, _, _ string, answer *stream.DataSet, err error) (*stream.DataSet, error) {
			if errors.Is(err, errLost) {
				err = source.ErrNoStudy
			}
			return answer, err
		},
	)},
	"takes a denial for no instances": {breaks: "a list that is denied", change: naming(
		func(s *source.SeriesInventory, err error) error {
			if _, denied := errors.AsType[*dimse.StatusError](err); denied {
				return nil
			}
			return err
		},
	)},
	"takes a denial for no study": {breaks: "a list that is denied", change: finding(
		func(_ *wrong, _, _ string, answer *stream.DataSet, err error) (*stream.DataSet, error) {
			if _, denied := errors.AsType[*dimse.StatusError](err); denied {
				err = source.ErrNoStudy
			}
			return answer, err
		},
	)},
	"lists nothing where nothing is listed": {breaks: "a list that is denied", change: naming(
		func(s *source.SeriesInventory, err error) error {
			s.Listed = err == nil
			return err
		},
	)},

	"loses the last instance but counts it": {breaks: "each series", change: func(w *wrong) {
		w.get = func(
			ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
		) (dimse.GetResult, error) {
			var last *dimse.Incoming
			return w.plain.Get(ctx, rq, stop, func(ctx context.Context, in *dimse.Incoming) dimse.Status {
				before := last
				last = other(in, read(in))
				if before == nil {
					return dimse.Success
				}
				return take(ctx, before)
			})
		}
	}},
	"tells a wrong UID": {breaks: "each series", change: taking(
		func(n int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status {
			if n == 2 {
				in.SOPInstanceUID = absent
			}
			return hand(in)
		},
	)},
	"tells a wrong SOP class": {breaks: "each series", change: taking(
		func(_ int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status {
			if in.SOPClassUID == dict.CTImageStorage {
				in.SOPClassUID = dict.EnhancedCTImageStorage
			}
			return hand(in)
		},
	)},
	"tells a wrong transfer syntax": {breaks: "each series", change: taking(
		func(_ int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status {
			if in.TransferSyntaxUID == dict.ImplicitVRLittleEndian {
				in.TransferSyntaxUID = dict.ExplicitVRLittleEndian
			}
			return hand(in)
		},
	)},
	"hands one over twice": {breaks: "each series", change: taking(
		func(n int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status {
			if n == 2 {
				data := read(in)
				_ = hand(other(in, data)) // once more than asked for
				return hand(other(in, data))
			}
			return hand(in)
		},
	)},
	"changes a byte": {breaks: "each series", change: taking(
		func(n int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status {
			data := read(in)
			if n == 2 {
				data[len(data)-1] ^= 1
			}
			return hand(other(in, data))
		},
	)},
	"loses the last bytes": {breaks: "each series", change: taking(
		func(_ int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status {
			data := read(in)
			return hand(other(in, data[:len(data)-2]))
		},
	)},
	"mixes up two instances": {breaks: "each series", change: func(w *wrong) {
		var before []byte
		taking(func(n int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status {
			data := read(in)
			if n == 2 {
				data, before = before, data
			}
			before = data
			return hand(other(in, data))
		})(w)
	}},
	"cuts what is large": {breaks: "each series", change: taking(
		func(_ int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status {
			in.Data = io.LimitReader(in.Data, 1<<20)
			return hand(in)
		},
	)},
	"hands over two at once": {breaks: "each series", change: func(w *wrong) {
		w.get = func(
			ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
		) (dimse.GetResult, error) {
			var both sync.WaitGroup
			defer both.Wait()
			var meet sync.WaitGroup // in the middle of both
			meet.Add(2)
			n := 0
			return w.plain.Get(ctx, rq, stop, func(ctx context.Context, in *dimse.Incoming) dimse.Status {
				if n++; n > 2 || rq.Series != mainStudy().Series[ofCT].SeriesInstanceUID {
					return take(ctx, in)
				}
				o := other(in, read(in))
				o.Data = io.MultiReader(&meeting{&meet}, o.Data)
				both.Go(func() { take(ctx, o) })
				return dimse.Success
			})
		}
	}},
	"hands one over when it is over": {breaks: "each series", change: func(w *wrong) {
		w.get = func(
			ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
		) (dimse.GetResult, error) {
			over := make(chan struct{})
			defer close(over)
			return w.plain.Get(ctx, rq, stop, func(ctx context.Context, in *dimse.Incoming) dimse.Status {
				o := other(in, read(in))
				go func() {
					<-over
					take(ctx, o)
				}()
				return dimse.Success
			})
		}
	}},
	"counts nothing": {breaks: "each series", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			r.Completed.Value = 0
			return r, err
		},
	)},
	"says that all failed": {breaks: "each series", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			r.Status = dimse.SubOperationsIncomplete
			return r, err
		},
	)},
	"never returns": {breaks: "each series", never: true, change: func(w *wrong) {
		answering(func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			<-w.shelf.over
			return r, err
		})(w)
	}},
	"panics": {breaks: "each series", change: answering(
		func(dimse.GetResult, error) (dimse.GetResult, error) { panic("oh") },
	)},

	"gets the first series for the study": {breaks: "the whole study", change: asking(
		func(a *asked) {
			if a.rq.Series == "" {
				a.rq.Series = mainStudy().Series[0].SeriesInstanceUID
			}
		},
	)},
	"gets other studies, too": {breaks: "the whole study", change: func(w *wrong) {
		w.get = func(
			ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
		) (dimse.GetResult, error) {
			r, err := w.plain.Get(ctx, rq, stop, take)
			for _, in := range studies()[1].Instances() {
				take(ctx, incoming(in, bytes.NewReader(dataOf(in))))
				r.Completed.Value++
			}
			return r, err
		}
	}},
	"gets the series for a list": {breaks: "instances by name", change: asking(
		func(a *asked) {
			a.rq.UIDs = nil
		},
	)},
	"gets the first of a list": {breaks: "instances by name", change: asking(
		func(a *asked) {
			a.rq.UIDs = a.rq.UIDs[:min(1, len(a.rq.UIDs))]
		},
	)},
	"makes up what is not there": {breaks: "what is not there", change: func(w *wrong) {
		w.get = func(
			ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
		) (dimse.GetResult, error) {
			r, err := w.plain.Get(ctx, rq, stop, take)
			if slices.Contains(rq.UIDs, absent) {
				in := *incoming(seriesOf(ofCT)[0], bytes.NewReader(nil))
				in.SOPInstanceUID = absent
				take(ctx, &in)
				r.Completed.Value++
			}
			return r, err
		}
	}},
	"gives up a list for one that is not there": {breaks: "what is not there", change: asking(
		func(a *asked) {
			if slices.Contains(a.rq.UIDs, absent) {
				a.rq.UIDs = []string{absent}
			}
		},
	)},
	"asks for every transfer syntax": {breaks: "only what is wanted", change: func(w *wrong) {
		w.prepare = func(ctx context.Context, wanted source.Wanted) error {
			wanted.Syntaxes = syntaxesOf(mainStudy().Instances())
			return w.plain.Prepare(ctx, wanted)
		}
	}},
	"hides that nothing came as it was wanted": {breaks: "only what is wanted", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			r.Status = dimse.Success
			return r, err
		},
	)},
	"is prepared once": {breaks: "prepared anew", change: func(w *wrong) {
		var first *source.Wanted
		w.prepare = func(ctx context.Context, wanted source.Wanted) error {
			if first == nil {
				first = &wanted
			}
			return w.plain.Prepare(ctx, *first)
		}
	}},

	"says success after a break": {breaks: "a retrieve that breaks off", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			if errors.Is(err, errLost) {
				return dimse.GetResult{}, nil
			}
			return r, err
		},
	)},
	"takes half an instance for a whole one": {breaks: "a retrieve that breaks off", change: taking(
		func(_ int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status {
			data, _ := io.ReadAll(in.Data) // as much as there is
			return hand(other(in, data))
		},
	)},
	"stays broken": {breaks: "again after an error", change: func(w *wrong) {
		var broke error
		answering(func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			if broke == nil {
				broke = err
			}
			return r, broke
		})(w)
	}},
	"can't be asked after an error": {breaks: "again after an error", change: func(w *wrong) {
		aborted := false
		w.abort = func() { aborted = true; w.plain.Abort() }
		w.oneStudy = func(ctx context.Context, study, patientID string) (*stream.DataSet, error) {
			if aborted {
				return nil, errLost
			}
			return w.plain.OneStudy(ctx, study, patientID)
		}
	}},

	"hides what the peer refuses": {breaks: "what the peer refuses", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			r.Status = dimse.Success
			return r, err
		},
	)},
	"counts none that the peer refuses": {breaks: "what the peer refuses", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			r.Failed.Value = 0
			return r, err
		},
	)},
	"names another one that the peer refuses": {breaks: "what the peer refuses", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			for i := range r.FailedSOPInstanceUIDs {
				r.FailedSOPInstanceUIDs[i] = absent
			}
			return r, err
		},
	)},
	"answers success whatever is answered here": {breaks: "what is refused here", change: taking(
		func(_ int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status {
			_ = hand(in) // that is what is wrong
			return dimse.Success
		},
	)},
	"leaves off where something is refused here": {breaks: "what is refused here", change: func(w *wrong) {
		refused := false
		w.get = func(
			ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
		) (dimse.GetResult, error) {
			return w.plain.Get(ctx, rq, stop, func(ctx context.Context, in *dimse.Incoming) dimse.Status {
				if refused {
					return dimse.Success
				}
				status := take(ctx, in)
				refused = status.Class() == dimse.ClassFailure
				return status
			})
		}
	}},
	"goes on with what was left unread": {breaks: "what is left unread", change: func(w *wrong) {
		var rest io.Reader
		taking(func(_ int, in *dimse.Incoming, hand func(*dimse.Incoming) dimse.Status) dimse.Status {
			if rest != nil {
				in.Data = io.MultiReader(rest, in.Data)
			}
			rest = in.Data
			return hand(in)
		})(w)
	}},
	"makes a status an error": {breaks: "a status", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			if err == nil && r.Status.Class() == dimse.ClassFailure {
				err = &dimse.StatusError{Service: dimse.CGet, Status: r.Status}
			}
			return r, err
		},
	)},
	"makes a status a success": {breaks: "a status", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			r.Status = dimse.Success
			return r, err
		},
	)},
	"makes all statuses one": {breaks: "a status", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			if r.Status.Class() == dimse.ClassFailure {
				r.Status = dimse.ProcessingFailure
			}
			return r, err
		},
	)},
	"counts what was asked for": {breaks: "too few", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			r.Completed.Value = len(seriesOf(ofCT))
			return r, err
		},
	)},
	"fetches what did not come": {breaks: "too few", change: func(w *wrong) {
		w.get = func(
			ctx context.Context, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
		) (dimse.GetResult, error) {
			var came []string
			r, err := w.plain.Get(ctx, rq, stop, func(ctx context.Context, in *dimse.Incoming) dimse.Status {
				came = append(came, in.SOPInstanceUID)
				return take(ctx, in)
			})
			rq.UIDs = slices.DeleteFunc(uidsOf(w.instances(rq.Of.Study, rq.Series, rq.UIDs)), func(uid string) bool {
				return slices.Contains(came, uid)
			})
			if err != nil || len(rq.UIDs) == 0 {
				return r, err
			}
			rest, err := w.plain.Get(ctx, rq, stop, take)
			rest.Completed.Value += r.Completed.Value
			return rest, err
		}
	}},

	"goes on after stop": {breaks: "stopped", never: true, change: asking(
		func(a *asked) {
			a.stop = nil
		},
	)},
	"breaks off when it is stopped": {breaks: "stopped", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			if r.Status == dimse.Canceled {
				err = errLost
			}
			return r, err
		},
	)},
	"says success when it is stopped": {breaks: "stopped", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			if r.Status == dimse.Canceled {
				r.Status = dimse.Success
			}
			return r, err
		},
	)},
	"is stopped for good": {breaks: "stopped", change: func(w *wrong) {
		over := make(chan struct{})
		var once sync.Once
		asking(func(a *asked) {
			stop, ctx := a.stop, a.ctx
			go func() {
				select {
				case <-stop:
					once.Do(func() { close(over) })
				case <-ctx.Done():
				}
			}()
			a.stop = over
		})(w)
	}},
	"lives longer than its context": {breaks: "a context that ends", never: true, change: asking(
		func(a *asked) {
			a.ctx = context.WithoutCancel(a.ctx)
		},
	)},
	"says success when its context ends": {breaks: "a context that ends", change: answering(
		func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			if errors.Is(err, context.Canceled) {
				err = nil
			}
			return r, err
		},
	)},
	"tells that it was dropped": {breaks: "dropped while idle", change: func(w *wrong) {
		w.prepare = func(ctx context.Context, wanted source.Wanted) error {
			if w.epoch > 0 && w.epoch != w.shelf.epoch {
				return errLost
			}
			return w.plain.Prepare(ctx, wanted)
		}
	}},

	"opens what nobody wants any more": {breaks: "begun", change: func(w *wrong) {
		w.begin = func(ctx context.Context) error { return w.plain.Begin(context.WithoutCancel(ctx)) }
	}},
	"leaves open what nobody wants any more": {breaks: "begun", change: func(w *wrong) {
		w.begin = func(ctx context.Context) error {
			return errors.Join(w.plain.Begin(context.WithoutCancel(ctx)), ctx.Err())
		}
	}},
	"begins again and again": {breaks: "begun", change: func(w *wrong) {
		w.begin = func(ctx context.Context) error {
			w.epoch = 0
			return w.plain.Begin(ctx)
		}
	}},
	"always lasts": {breaks: "begun", change: func(w *wrong) { w.lasts = func() bool { return true } }},
	"takes what is away for empty": {breaks: "away", change: finding(
		func(_ *wrong, _, _ string, answer *stream.DataSet, err error) (*stream.DataSet, error) {
			if errors.Is(err, errAway) {
				err = source.ErrNoStudy
			}
			return answer, err
		},
	)},
	"brings nothing of what is away": {breaks: "away", change: func(w *wrong) {
		w.prepare = func(ctx context.Context, wanted source.Wanted) error {
			w.wanted = wanted
			return nil
		}
		answering(func(r dimse.GetResult, err error) (dimse.GetResult, error) {
			if errors.Is(err, errAway) {
				return dimse.GetResult{}, nil
			}
			return r, err
		})(w)
	}},
	"leaves open what it releases": {breaks: "ended at any time", change: func(w *wrong) {
		w.release = func(context.Context) { w.epoch = 0 }
	}},
	"leaves open what it aborts": {breaks: "ended at any time", change: func(w *wrong) { w.abort = func() {} }},
	"is released only in time": {breaks: "ended at any time", change: func(w *wrong) {
		w.release = func(ctx context.Context) {
			if ctx.Err() == nil {
				w.plain.Release(ctx)
			}
		}
	}},
	"panics when it is ended twice": {breaks: "ended at any time", change: func(w *wrong) {
		w.abort = func() {
			if w.epoch == 0 {
				panic("nothing is open")
			}
			w.plain.Abort()
		}
	}},
	"can be ended once": {breaks: "ended at any time", change: func(w *wrong) {
		over := false
		w.release = func(ctx context.Context) { over = true; w.plain.Release(ctx) }
		w.begin = func(ctx context.Context) error {
			if over {
				return errLost
			}
			return w.plain.Begin(ctx)
		}
	}},
	"can be moved from, and doesn't say how": {breaks: "moved from", change: func(w *wrong) {
		w.mover = func() (source.Mover, bool) { return nil, true }
	}},
	"can be moved from when it is open": {breaks: "moved from", change: func(w *wrong) {
		w.mover = func() (source.Mover, bool) {
			if w.epoch == 0 {
				return nil, false
			}
			return mover{}, true
		}
	}},
}

// meeting holds the first read of two readers until the other one reads, too.
type meeting struct{ both *sync.WaitGroup }

func (m *meeting) Read([]byte) (int, error) {
	m.both.Done()
	m.both.Wait()
	return 0, io.EOF
}

type mover struct{}

func (mover) Move(context.Context, source.Request, dimse.MoveRequest) (dimse.MoveResult, error) {
	return dimse.MoveResult{}, errLost
}
