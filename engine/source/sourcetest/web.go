// SPDX-License-Identifier: AGPL-3.0-or-later

package sourcetest

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/engine/source"
)

// ByWeb returns a source that reads from the PACS by WADO-RS over its line for DICOMweb, with the faults that DICOMweb
// has. lists says that it lists by QIDO-RS, too.
func (p *PACS) ByWeb(from source.Source, lists bool) Subject {
	s := Subject{
		Source: from,
		Get: func(
			ctx context.Context, w source.Wanted, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
		) (dimse.GetResult, error) {
			w.ByWeb = true
			if err := from.Prepare(ctx, w); err != nil {
				return dimse.GetResult{}, err
			}
			return from.Get(ctx, rq, stop, take)
		},
		Quiet: func(ctx context.Context) error {
			return p.Recorder().Wait(ctx, func(l *pacs.Log) bool { return l.Open == 0 && l.Web.Connections == 0 })
		},
		Away: func() {
			p.Line.Close()
			p.WebLine.Close()
		},
		Break: func(after int) {
			p.byWeb(pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{
				AnswerFaults: pacs.WebAnswerFaults{First: 1, Cut: pacs.CutDrop, CutAfterBytes: 200}, CutAtObject: after + 1,
			}})
		},
		Refuse: func(uid string) {
			p.byWeb(pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{Missing: []string{uid}, Partial: true}})
		},
		Short: func(after int) {
			var missing []string
			for _, series := range mainStudy().Series {
				for _, in := range series.Instances[min(after, len(series.Instances)):] {
					missing = append(missing, in.SOPInstanceUID)
				}
			}
			p.byWeb(pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{
				AnswerFaults: pacs.WebAnswerFaults{First: 1}, Missing: missing,
			}})
		},
		Hold: p.holdWeb,
		Drop: p.WebLine.Drop,
	}
	if lists {
		s.BreakList = func(after int) {
			p.byWeb(pacs.WebFaults{Search: pacs.WebSearchFaults{AnswerFaults: pacs.WebAnswerFaults{
				First: 1, Cut: pacs.CutDrop, CutAfterBytes: int64(1 + 300*after),
			}}})
		}
		s.DenyList = p.denyWebList
		return s
	}
	dimseWay := p.Subject(from)
	s.BreakList, s.DenyList, s.Drop = dimseWay.BreakList, dimseWay.DenyList, nil
	return s
}

func (p *PACS) byWeb(f pacs.WebFaults) { p.SetMisbehave(pacs.Misbehave{Web: f}) }

// denyWebList has the next search denied; the metadata, too, if it is denied for good.
func (p *PACS) denyWebList(_ string, status dimse.Status) {
	f := pacs.WebFaults{Search: pacs.WebSearchFaults{
		AnswerFaults: pacs.WebAnswerFaults{First: 1, Status: http.StatusServiceUnavailable},
	}}
	if status != dimse.OutOfResources {
		f.Search.Status, f.Metadata.Status = http.StatusBadRequest, http.StatusNotFound
	}
	p.byWeb(f)
}

// holdWeb holds the first retrieve that brings something. None is to be held after no instance: what is told to stop
// before it has begun is not asked for.
func (p *PACS) holdWeb(after int) {
	var retrieves atomic.Int32
	p.setGate(func(ctx context.Context, e pacs.Event) {
		if e.Kind != pacs.AtWebObject || after == 0 {
			return
		}
		if e.Number == 1 {
			retrieves.Add(1)
		}
		if e.Number == after+1 && retrieves.Load() == 1 {
			<-ctx.Done()
		}
	})
}
